"""The server as a process: what it imports, how it ends, what it says when it cannot begin; and several workers."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import httpx
import psutil
import pytest

from flows.access import tokens
from flows.serving.server import worker_number
from tests.support.clone import ROOT, environment
from tests.support.served import running, versions

HEAVY = {"tensorflow", "keras", "mlflow", "prefect", "dvc", "pandas", "great_expectations", "sqlalchemy", "sklearn"}
ROW = versions.pets_row()
TELLS_WHAT_IT_IMPORTED = """
import json, sys
from flows.serving.__main__ import main
try:
    main(sys.argv[1:])
finally:
    print(json.dumps(sorted(name.partition(".")[0] for name in sys.modules)), file=sys.stderr)
"""


@pytest.fixture
def state(tmp_path):
    versions.promote(tmp_path, "pets")
    return tmp_path


def refused(state, *words: str) -> str:
    """What a server says that does not start."""
    command = [sys.executable, "-m", "flows.serving", str(state), *words]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_stop_lets_requests_be_answered_and_nothing_heavy_was_ever_imported(state):
    with running.server(state, "pets", code=TELLS_WHAT_IT_IMPORTED) as server:
        said = {"model": "pets", "version": 1, "served_as": "", "runtime": "onnx", "problem": ""}
        assert server.said["models"] == [said]
        assert server.said["pid"] == server.process.pid
        for path in ("/models", "/openapi.json", "/metrics", "/ready"):
            assert server.get(path).status_code == 200
        server.process.send_signal(signal.SIGHUP)
        body = json.dumps(ROW).encode()
        head = b"POST /models/pets/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
        with server.connect() as line:
            line.sendall(head + body[:9])
            running.until(lambda: len(_connections(server)) == 1)
            server.process.send_signal(signal.SIGTERM)
            running.until(lambda: not _listens(server))
            line.sendall(body[9:])
            assert b'"prediction":"dog"' in running.received(line)
        assert server.process.wait(running.PATIENCE) == 0
        *said, imported = server.complaints()
        assert said == []
        assert {"fastapi", "onnxruntime"} <= set(json.loads(imported))
        assert HEAVY.isdisjoint(json.loads(imported))


def _connections(server: running.Running) -> list[object]:
    found = psutil.Process(server.process.pid).net_connections()
    return [one for one in found if one.status == psutil.CONN_ESTABLISHED]


def _listens(server: running.Running) -> bool:
    return any(one.status == psutil.CONN_LISTEN for one in psutil.Process(server.process.pid).net_connections())


def test_beyond_this_machine_every_question_but_two_needs_a_token(state):
    assert "no token" in refused(state, "--host", "0.0.0.0")
    assert "no token" in refused(state, "--allow-host", "models.example")
    secret = tokens.add(state, "nightly", ["look"])
    with running.server(state, "--host", "0.0.0.0") as server:
        url = server.url.replace("0.0.0.0", "127.0.0.1")
        assert httpx.get(f"{url}/ready").json() == {"status": "ready"}
        for method, path in (("GET", "/models"), ("GET", "/metrics"), ("POST", "/models/pets/predict")):
            answer = httpx.request(method, url + path)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        login = {"authorization": f"Bearer {secret}"}
        assert httpx.post(f"{url}/models/pets/predict", json=ROW, headers=login).json()["prediction"] == "dog"
        tokens.remove(state, "nightly")
        assert httpx.post(f"{url}/models/pets/predict", json=ROW, headers=login).status_code == 401
        assert "listen at 127.0.0.1" in refused(state, "--port", url.rpartition(":")[2])
        assert server.stop(signal.SIGINT) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--port", "70000"], "70000 is no port"),
        (["--port", "x"], "invalid"),
        (["--workers", "0"], "invalid choice"),
        (["--host", "no such name"], "cannot listen at no such name"),
    ],
)
def test_a_wrong_option_is_told(state, words, said):
    tokens.add(state, "one", ["look"])
    assert said in refused(state, *words)


def test_the_numbers_of_processes_are_the_lowest_that_are_free(tmp_path):
    code = "import sys; from pathlib import Path; from flows.serving.server import worker_number as w; "
    code += "print(w.take(Path(sys.argv[1])), flush=True); sys.stdin.read()"
    started = []
    for wanted in ("0", "1"):
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", code, str(tmp_path)],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        assert started[-1].stdout.readline().strip() == wanted
    started[0].kill()
    started[0].wait()
    assert worker_number.take(tmp_path) == 0
    started[1].kill()
    started[1].wait()


@pytest.mark.long
def test_a_worker_that_is_killed_is_replaced_and_the_others_answer_and_count_on(state):
    with running.server(state, "--workers", "2") as server:
        watcher = psutil.Process(server.process.pid)
        running.until(lambda: len(_workers(watcher)) == 2)
        for _ in range(20):
            assert server.post("/models/pets/predict", ROW).status_code == 200
        first = _workers(watcher)[0]
        first.kill()
        answered = 20
        end = time.monotonic() + 5
        while time.monotonic() < end:
            try:
                answered += server.post("/models/pets/predict", ROW).status_code == 200
            except httpx.TransportError:  # of the one that was killed, which had it taken already
                continue
        running.until(lambda: len(_workers(watcher)) == 2 and first not in _workers(watcher))
        counted = {
            float(re.search(r'requests_total\{model="pets",route="predict",status="200"\} (\S+)', text)[1])
            for text in (server.get("/metrics").text for _ in range(10))
        }
        assert counted == {answered}
        workers = _workers(watcher)
        assert server.stop() == 0
        assert psutil.wait_procs(workers, timeout=running.PATIENCE)[1] == []


@pytest.mark.long
def test_workers_end_with_the_process_that_watches_them(state):
    with running.server(state, "--workers", "2") as server:
        watcher = psutil.Process(server.process.pid)
        running.until(lambda: len(_workers(watcher)) == 2)
        workers = _workers(watcher)
        os.kill(server.process.pid, signal.SIGHUP)  # it changes nothing
        assert server.get("/health").status_code == 200
        server.stop(signal.SIGKILL)
        assert psutil.wait_procs(workers, timeout=running.PATIENCE)[1] == []


def _workers(watcher: psutil.Process) -> list[psutil.Process]:
    return [one for one in watcher.children() if any("spawn_main" in word for word in one.cmdline())]
