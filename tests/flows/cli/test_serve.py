"""ratchet serve and ratchet token: what is refused before a server starts, and the life of a token."""

import json
import os

import psutil
import pytest

from tests.support.clone import called
from tests.support.world import ROOT


@pytest.fixture
def project(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "pets.yaml").write_text("format: 1\n")
    (tmp_path / "dvc.yaml").write_text((ROOT / "dvc.yaml").read_text())
    (tmp_path / ".ratchet").mkdir(mode=0o700)
    return tmp_path


def test_an_unknown_model_is_refused_with_the_nearest_name(project):
    done = called(project, "serve", "pest")
    assert done.returncode == 2
    assert "Did you mean 'pets'?" in done.stderr


def test_a_second_server_on_the_same_port_is_refused_with_the_first_ones_address(project):
    mine = psutil.Process()
    entry = {"name": "serving", "url": "http://127.0.0.1:40123", "pid": os.getpid(), "started": mine.create_time()}
    (project / ".ratchet" / "servers.json").write_text(json.dumps({"format": 1, "servers": [entry]}))
    done = called(project, "serve", "--json")
    assert done.returncode == 2
    assert "answers at http://127.0.0.1:40123" in json.loads(done.stdout)["error"]
    assert "ratchet down" in done.stderr
    assert "--port" in done.stderr


def test_a_token_is_shown_once_listed_without_its_secret_and_removed(project):
    made = json.loads(called(project, "token", "nightly", "--role", "run", "--role", "look", "--json").stdout)
    assert made["tokens"] == [{"name": "nightly", "roles": ["look", "run"], "created": made["tokens"][0]["created"]}]
    for path in (project / ".ratchet").rglob("*"):
        assert path.is_dir() or made["token"] not in path.read_text(errors="replace")
    listed = called(project, "token", "--list")
    assert "nightly" in listed.stdout
    assert made["token"] not in listed.stdout
    assert called(project, "token", "--remove", "nightly").stdout == "removed: nightly\n"
    assert called(project, "token", "--list").stdout == "no token: only this machine may ask\n"


@pytest.mark.parametrize("words", [[], ["one", "--list"], ["one", "--remove", "one"], ["--list", "--remove", "one"]])
def test_one_thing_at_a_time(project, words):
    done = called(project, "token", *words)
    assert (done.returncode, "--remove NAME" in done.stderr) == (2, True)
