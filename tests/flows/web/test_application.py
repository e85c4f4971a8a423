"""The application by itself: without an answering server, with a token for each person, and as it is started."""

import asyncio
import json
import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from flows.web import __main__ as start
from flows.web.application import application

NOWHERE = "http://127.0.0.1:1"


def got(app, path: str, **more) -> httpx.Response:
    async def asked():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
            return await client.get(path, **more)

    return asyncio.run(asked())


@pytest.fixture
def listener():
    """A server that serves no model; it keeps the tokens that it is given, and refuses one."""
    given = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self):
            given.append(self.headers["Authorization"])
            refused = given[-1] == "Bearer wrong"
            content = {"title": "Not your server", "detail": "The token is not known."} if refused else {"models": []}
            self.send_response(401 if refused else 200)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *about):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", given
        server.shutdown()


@pytest.mark.parametrize("path", ["/", "/models/pets/"])
def test_without_an_answering_server_the_pages_say_so(path):
    answer = got(application(NOWHERE), path)
    assert answer.status_code == 503
    assert "ratchet serve" in answer.text
    assert answer.headers["HX-Retarget"] == "#answer"  # a form stays as it is


def test_a_server_that_says_something_else_is_told():
    assert got(application(f"http://127.0.0.1:{_not_http()}"), "/").status_code == 503


def _not_http() -> int:
    """The port of a server that says something else and closes."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        line, _ = server.accept()
        line.sendall(b"220 mail\r\n")
        line.close()
        server.close()

    threading.Thread(target=serve, daemon=True).start()
    return int(server.getsockname()[1])


def test_the_token_of_the_pages_is_sent_on(listener):
    assert got(application(listener[0], token="t0ken"), "/").status_code == 200
    assert listener[1] == ["Bearer t0ken"]


def test_each_person_gives_a_token_which_is_sent_on(listener):
    app = application(listener[0], login=True)
    for wrong in (None, ("ana", ""), ("ana", "täglich"), ("ana", "wrong")):
        answer = got(app, "/", auth=wrong)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")
        assert answer.headers["X-Frame-Options"] == "DENY"
    assert got(app, "/", headers={"Authorization": "Basic no base64"}).status_code == 401
    assert got(app, "/", auth=("ana", "t0ken")).status_code == 200
    assert listener[1] == ["Bearer wrong", "Bearer t0ken"]


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["--server", "somewhere"], 2, "http://127.0.0.1:8790"),
        (["--server", "http://127.0.0.1:port"], 2, "--server"),
        (["--server", NOWHERE, "--port", "99999"], 2, "--port"),
        (["--server", NOWHERE, "--host", "no.such.host.invalid"], 2, "no.such.host.invalid"),
        (["--server", NOWHERE, "--token-file", "absent"], 2, "absent"),
        (["--server", NOWHERE, "--token-file", "open"], 1, "chmod 600 open"),
        (["--server", NOWHERE, "--token-file", "empty"], 2, "holds no token"),
        (["--server", NOWHERE, "--token-file", "good", "--host", "0.0.0.0"], 2, "everybody"),
        (["--server", NOWHERE, "--token-file", "good", "--allow-host", "ratchet.example"], 2, "everybody"),
    ],
)
def test_a_start_that_is_wrong_is_told_in_a_paragraph(tmp_path, monkeypatch, capsys, words, status, told):
    monkeypatch.chdir(tmp_path)
    for name, content, mode in (("open", "t0ken", 0o644), ("empty", "", 0o600), ("good", "t0ken", 0o600)):
        (tmp_path / name).write_text(content)
        os.chmod(tmp_path / name, mode)
    assert start.main(words) == status
    said = capsys.readouterr()
    assert told in said.err
    assert "t0ken" not in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_a_port_that_is_taken_is_told(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert start.main(["--server", NOWHERE, "--port", str(taken.getsockname()[1])]) == 2
    assert "Choose another --port" in capsys.readouterr().err
