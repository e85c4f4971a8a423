"""serve.py of a package: it compares the files, lets nobody in without a token, answers, and ends in order."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from flows.package import folder
from tests.flows.package.test_folder import version
from tests.support.world import ROOT


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    """Of the model `pets`, version 7. Its folder cannot be written to while it serves."""
    target = tmp_path_factory.mktemp("package")
    folder.fill(target, ROOT, version(tmp_path_factory.mktemp("state")))
    return target


def started(package: Path, *words: str) -> "subprocess.Popen[str]":
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, "serve.py", *words]
    return subprocess.Popen(
        command, cwd=package, env={"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}, **pipes
    )


def refused(package: Path, *words: str) -> str:
    """What it says when it refuses to start."""
    process = started(package, *words)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    return said


@contextmanager
def serving(package: Path, *words: str) -> Iterator[str]:
    """The address of the server of a package, which must end in order."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = started(package, "--port", str(port), *words)
    try:
        end = time.monotonic() + 60
        while subprocess.run(healthy(port), cwd=package).returncode:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < end
        yield f"http://127.0.0.1:{port}"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()


def healthy(port: int) -> list[str]:
    """What the image asks its own server."""
    return [sys.executable, "serve.py", "--healthy", "--port", str(port)]


def ask(url: str, package: Path, **more: dict[str, str]) -> httpx.Response:
    row = json.loads((package / "example.json").read_text())
    return httpx.post(f"{url}/models/pets/predict", json=row, timeout=60, **more)


def test_it_answers_with_the_version_and_leaves_its_folder_alone(package):
    before = {path: path.stat().st_mtime_ns for path in package.rglob("*")}
    with serving(package) as url:
        said = ask(url, package).json()
    assert (said["model"], said["version"], said["logged"]) == ("pets", 7, False)
    assert {path: path.stat().st_mtime_ns for path in package.rglob("*")} == before


@pytest.mark.parametrize("name", ["flows/serving/answer.py", "serving/pets/live.json", "requirements.lock"])
def test_a_file_that_was_changed_or_lost_is_named_and_nothing_starts(package, name):
    path = package / name
    whole = path.read_bytes()
    try:
        path.write_bytes(whole + b"\n")
        assert refused(package).startswith(f"error: The file {name} is not the one that was packaged.")
        path.unlink()
        assert refused(package).startswith(f"error: The file {name} is missing.")
    finally:
        path.write_bytes(whole)


def test_other_machines_are_let_in_by_a_token_alone(package, tmp_path):
    tokens = tmp_path / "tokens.json"
    words = ["--host", "0.0.0.0", "--tokens", str(tokens)]
    assert "`python serve.py --new-token NAME`" in refused(package, *words)
    process = started(package, "--tokens", str(tokens), "--new-token", "alice")
    token = process.communicate(timeout=60)[0].split()[0]
    assert token not in tokens.read_text()
    assert "a token 'alice' already" in refused(package, "--tokens", str(tokens), "--new-token", "alice")
    with serving(package, *words) as url:
        assert ask(url, package).status_code == 401
        assert ask(url, package, headers={"Authorization": f"Bearer {token}"}).status_code == 200
