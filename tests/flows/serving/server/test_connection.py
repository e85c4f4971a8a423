"""Connections: slow, greedy and broken clients get a short answer or none, and the others notice nothing.

Real sockets, and a server with small limits.
"""

import json
import socket
import time
from contextlib import ExitStack

import pytest

from tests.support.served import running, versions

LIMITS = {"body": 100_000, "rows": 1000, "head": 4096, "receive": 0.7, "connections": 12, "end": 2}
ROW = json.dumps(versions.pets_row()).encode()
HEAD = b"POST /models/pets/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
WHOLE = HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(ROW), ROW)
LAST = WHOLE.replace(b"Host", b"Connection: close\r\nHost")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    state = tmp_path_factory.mktemp("state")
    versions.promote(state, "pets")
    with running.server(state, limits=LIMITS) as found:
        yield found


@pytest.fixture(autouse=True)
def _others_are_answered(server):
    """After each test the server answers at once, and has met nothing that it did not foresee."""
    yield
    begun = time.monotonic()
    assert server.post("/models/pets/predict", versions.pets_row()).json()["prediction"] == "dog"
    assert time.monotonic() - begun < running.PATIENCE / 2
    assert server.complaints() == []


def statuses(answer: bytes) -> list[int]:
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


def problem(answer: bytes) -> dict[str, object]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    return dict(json.loads(body))


def test_a_request_that_comes_byte_by_byte_within_the_time_is_answered(server):
    with server.connect() as line:
        for start in range(0, len(LAST), 40):
            line.sendall(LAST[start : start + 40])
            time.sleep(0.002)
        assert statuses(running.received(line)) == [200]


def test_a_request_that_does_not_arrive_is_told_counted_and_ends_the_connection(server):
    """At every place where it can stop, all at the same time. A client that never begins is told nothing."""
    begun = time.monotonic()
    starts = [b"", b"POST /mod", HEAD, HEAD + b"X-Slow: ", HEAD + b'Content-Length: 100\r\n\r\n{"weight"']
    with ExitStack() as stack:
        lines = [stack.enter_context(server.connect()) for _ in starts]
        for line, start in zip(lines, starts, strict=True):
            line.sendall(start)
        silent, *told = map(running.received, lines)
    assert silent == b""
    assert time.monotonic() - begun >= LIMITS["receive"]
    for answer in told:
        assert statuses(answer) == [408]
        assert "0.7 seconds" in problem(answer)["detail"]
    running.until(lambda: 'route="predict",status="408"} ' in server.get("/metrics").text)


def test_slow_clients_in_every_place_give_way_to_one_that_asks(server):
    """More of them than connections are allowed: the one that has waited longest is closed."""
    with ExitStack() as stack:
        slow = [stack.enter_context(server.connect()) for _ in range(int(LIMITS["connections"]) + 4)]
        for number, line in enumerate(slow):
            line.sendall([b"POST /mo", HEAD, HEAD + b"Content-Length: 90\r\n\r\n{"][number % 3])
        assert statuses(server.sent(LAST)) == [200]


def test_clients_that_leave_in_the_middle_are_forgotten(server):
    for part in (5, len(HEAD), len(WHOLE) - 5, len(WHOLE)):
        with server.connect() as line:
            line.sendall(WHOLE[:part])
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset, no farewell


def test_requests_one_after_the_other_without_waiting_are_answered_in_order(server):
    rows = [versions.pets_row(weight=weight) for weight in (1.0, 30.0, None)]
    wanted = [server.post("/models/pets/predict", row).json()["probabilities"] for row in rows]
    bodies = [json.dumps(row).encode() for row in rows]
    requests = [HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(one), one) for one in bodies]
    requests[-1] = requests[-1].replace(b"Host", b"Connection: close\r\nHost")
    answer = server.sent(b"".join(requests))
    assert statuses(answer) == [200] * 3
    found = [json.loads(part.partition(b"\r\n\r\n")[2]) for part in answer.split(b"HTTP/1.1 ")[1:]]
    for one, other in zip(found, wanted, strict=True):
        assert one["probabilities"] == pytest.approx(other, abs=1e-6)


def test_a_client_that_would_rather_speak_http_2_is_answered_in_http_1(server):
    wish = b"Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nHost"
    assert statuses(server.sent(WHOLE.replace(b"Host", wish))) == [200]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01", 400),  # a client that speaks TLS
        (b"GET / HTTP/3.0\r\n\r\n", 400),
        (b"GET  / \r\n\r\n", 400),
        (HEAD + b"Content-Length: -1\r\n\r\n", 400),
        (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (HEAD + b"X" * 5000 + b": 1\r\n\r\n", 431),
        (HEAD + b"X: " + b"y" * 5000 + b"\r\n\r\n", 431),
        (HEAD + b"".join(b"X%d: y\r\n" % number for number in range(2000)), 431),
        (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431),
    ],
)
def test_what_is_no_request_is_told_and_ends_the_connection(server, content, status):
    answer = server.sent(content)
    assert statuses(answer) == [status]
    assert problem(answer)["status"] == status


def test_a_body_above_the_limit_is_refused_before_it_is_sent(server):
    """Its sender can read why, though it goes on sending."""
    with server.connect() as line:
        line.sendall(HEAD + b"Content-Length: 100000000\r\n\r\n")
        first = line.recv(1 << 16)
        assert statuses(first) == [413]
        for _ in range(40):
            line.sendall(b"x" * 50_000)
    with server.connect() as line:
        line.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: 100000000\r\n\r\n")
        assert statuses(line.recv(1 << 16)) == [413]


def test_a_body_in_pieces_ends_at_the_limit_too(server):
    piece = b"%x\r\n%s\r\n" % (40_000, b" " * 40_000)
    with server.connect() as line:
        line.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + 4 * piece)
        assert statuses(line.recv(1 << 16)) == [413]


def test_a_client_that_does_not_take_its_answer_is_dropped(server):
    rows = json.dumps([{"weight": None, "age": None, "colour": None, "born": None}] * 1000).encode()
    whole = HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(rows), rows)
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        line.connect(("127.0.0.1", server.port))
        line.settimeout(running.PATIENCE)
        assert _pushed_until_dropped(line, whole) < running.PATIENCE


def _pushed_until_dropped(line: socket.socket, content: bytes) -> float:
    """Send it again and again, and take nothing; returns after how many seconds the server ends the connection."""
    begun = time.monotonic()
    while time.monotonic() - begun < running.PATIENCE:
        try:
            line.sendall(content)
        except (ConnectionResetError, BrokenPipeError):
            break
        time.sleep(0.05)
    return time.monotonic() - begun
