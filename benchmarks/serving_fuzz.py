"""Do bad requests break the server of answers, or make it grow? python benchmarks/serving_fuzz.py [STATE]

    STATE           a state folder with models that are live (default: .ratchet of this folder)
    --minutes N     how long (default 10)
    --seed N        of all random requests (printed; default 1)

Starts a server (`python -m flows.serving`) and disturbs it in two ways at once: schemathesis reads the description of
its addresses and sends what that allows and what it does not; a second sender takes each model's example and cuts,
doubles, bends and replaces parts of it. Meanwhile the memory of the server's processes is read every second.

An answer with a status from 500 on, a connection that breaks, or a body that is no JSON is a failure. Prints how many
requests there were by status, and how memory grew after the first minute. Exit status 1 after a failure, or if memory
grew by 5 % or more.
"""

import argparse
import http.client
import json
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parent.parent
GROWTH = 1.05
STRANGE: tuple[Any, ...] = (
    None, True, -1, 0, 1e308, 10**400, 0.1, "", " ", "x" * 70_000, "NaN", "-inf", "1e999", "\x00", "\ud800", "‮",
    [], [[]], {}, {"": {}}, [[[[[[]]]]]], ["a"] * 1000, {"rows": []}, "2026-02-30", "=1+1", "../../etc/passwd",
)  # fmt: skip
RAW = (b"", b"{", b"[", b"null", b"NaN", b"[" * 100_000, b"\xff\xfe{}", b'{"a":1,"a":2}', b"{}" * 3, b'"', b"1e999999")


@dataclass
class Found:
    """What came of the requests: how many by status, and what no server may do."""

    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def main() -> int:
    options = _arguments()
    print(f"seed {options.seed}, {options.minutes:g} minutes", flush=True)
    seconds, found = options.minutes * 60, Found()
    with serving(options.state) as (server, port):
        end = time.monotonic() + seconds
        second = threading.Thread(target=disturb, args=(port, options.seed, end, found))
        second.start()
        described = start_schemathesis(port, options.seed, seconds)
        sizes = memory(server, end)
        told = described.communicate()[0]
        second.join()
        alive = server.poll() is None
    return report(found, sizes, described.returncode, told, alive)


@contextmanager
def serving(state: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A server of this state folder, ready to answer."""
    port = _free_port()
    command = [sys.executable, "-m", "flows.serving", str(state), "--port", str(port), "--no-log"]
    server = subprocess.Popen(command, cwd=ROOT)
    try:
        _wait(port, server)
        yield server, port
    finally:
        server.terminate()
        server.wait(30)


def _wait(port: int, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and server.poll() is None:
        try:
            if _ask(port, "GET", "/health").status == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise SystemExit("The server did not start.")


def start_schemathesis(port: int, seed: int, seconds: float) -> subprocess.Popen[str]:
    program = Path(sys.executable).with_name("schemathesis")
    command = [str(program), "run", f"http://127.0.0.1:{port}/openapi.json", "--seed", str(seed)]
    command += ["--max-time", str(max(1, round(seconds))), "--checks", "not_a_server_error", "--mode", "all"]
    command += ["--continue-on-failure", "--phases", "examples,coverage,fuzzing", "--suppress-health-check", "all"]
    command += ["--request-timeout", "60"]  # of a busy machine
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, text=True, cwd=tempfile.gettempdir(), **pipes)  # type: ignore[call-overload]


def disturb(port: int, seed: int, end: float, found: Found) -> None:
    """Send examples that were bent, until `end` on the monotonic clock."""
    chance = random.Random(seed)
    listed = json.loads(_ask(port, "GET", "/models").read())["models"]
    names = [one["model"] for one in listed if one["version"] is not None]
    examples = {name: json.loads(_ask(port, "GET", f"/models/{name}").read())["example"] for name in names}
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    while time.monotonic() < end:
        model = chance.choice(names)
        body = bent(examples[model], chance)
        kind = chance.choice(["application/json"] * 6 + ["text/csv", "text/plain", "application/json; charset=latin-1"])
        address = f"/models/{model}/{chance.choice(['predict', 'predict', 'invocations'])}"
        try:
            line.request("POST", address, body, {"Content-Type": kind})
            answer = line.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            found.failures.append(f"{address}: {type(error).__name__} {error}: {body[:200]!r}")
            line.close()
            continue
        found.statuses[answer.status] += 1
        if answer.status >= 500 or not _is_json(content):
            found.failures.append(f"{address}: {answer.status} {content[:200]!r}: {body[:200]!r}")


def bent(example: Any, chance: random.Random) -> bytes:
    """A body that was right, with something wrong in it."""
    way = chance.randrange(8)
    if way == 0:
        return chance.choice(RAW)
    if way == 1:  # bytes in another place, or others
        text = bytearray(json.dumps(example).encode())
        for _ in range(chance.randint(1, 5)):
            text[chance.randrange(len(text))] = chance.randrange(256)
        return bytes(text)
    if way == 2:
        text = json.dumps(example).encode()
        return bytes(text[: chance.randrange(len(text))])
    if way == 3:
        return json.dumps([replaced(example, chance) for _ in range(chance.randint(0, 40))]).encode()
    if way == 4:
        wrapped = [example] if chance.random() < 0.5 else replaced(example, chance)
        key = chance.choice(["dataframe_records", "dataframe_split", "instances", "inputs", "rows"])
        return json.dumps({key: wrapped}).encode()
    return json.dumps(replaced(example, chance)).encode()


def replaced(example: Any, chance: random.Random) -> Any:
    """The example with one value, somewhere inside, that does not belong there, or without it."""
    if isinstance(example, dict) and example:
        key = chance.choice(list(example))
        rest = {name: value for name, value in example.items() if name != key}
        if chance.random() < 0.1:
            return rest
        inside = chance.random() < 0.5
        return {**rest, key: replaced(example[key], chance) if inside else chance.choice(STRANGE)}
    if isinstance(example, list) and example and chance.random() < 0.7:
        at = chance.randrange(len(example))
        return [*example[:at], replaced(example[at], chance), *example[at + 1 :]]
    return chance.choice(STRANGE)


def memory(server: subprocess.Popen[bytes], end: float) -> list[int]:
    """The bytes of the server and its children that are in memory, every second until `end`."""
    sizes = []
    while time.monotonic() < end and server.poll() is None:
        process = psutil.Process(server.pid)
        found = [one.memory_info().rss for one in [process, *process.children(recursive=True)] if one.is_running()]
        sizes.append(sum(found))
        time.sleep(1)
    return sizes


def report(found: Found, sizes: list[int], status: int | None, told: str, alive: bool) -> int:
    """Print what came of it; returns the exit status."""
    by_status = ", ".join(f"{count:,} times {status}" for status, count in sorted(found.statuses.items()))
    print(told[-6000:])
    print(f"bent requests: {by_status}; {len(found.failures)} failures")
    for failure in found.failures[:10]:
        print(f"  {failure}")
    growth = grown(sizes)
    print(f"memory: {max(sizes) / 1e6:.0f} MB at most; ", end="")
    print("too short to see it grow" if growth is None else f"{growth - 1:+.1%} from the second minute to the end")
    print("the server lives" if alive else "the server has died")
    return int(bool(found.failures) or status != 0 or (growth or 0) >= GROWTH or not alive)


def grown(sizes: list[int]) -> float | None:
    """The memory of the last half minute over that after the first minute; None for less than three minutes."""
    if len(sizes) < 180:
        return None
    return statistics.median(sizes[-30:]) / statistics.median(sizes[60:90])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ask(port: int, method: str, address: str) -> http.client.HTTPResponse:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    line.request(method, address)
    return line.getresponse()


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("state", nargs="?", type=Path, default=Path(".ratchet"))
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
