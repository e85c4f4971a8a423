"""The login of Prefect's server: a secret that only its user can read, and that goes nowhere else."""

import http.server
import json
import os
import stat
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest
import requests

from flows.cli import terminal
from flows.cli.commands.servers import servers_text
from flows.inspect import doctor
from flows.project import environment, private_files
from flows.project.environment import Project
from flows.servers import lifecycle, prefect_login
from flows.servers.lifecycle import Server
from pipelines.errors import IntegrityError, RequestError
from tests.support.world import ROOT

TEAM = "https://prefect.example/api"
MAKE = """
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from flows.servers import prefect_login
from flows.project.environment import Project
sys.stdin.read()
print(prefect_login.ensure(Project(Path("."), Path("."), "", "")))
"""


@pytest.fixture
def project(tmp_path) -> Project:
    return Project(tmp_path, tmp_path, "", "")


@pytest.fixture
def team(tmp_path) -> Project:
    return Project(tmp_path, tmp_path, "", TEAM)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def sent(project: Project, **environ: str) -> str:
    auth = prefect_login.of_requests(project, environ)
    return str(requests.Request("POST", TEAM, auth=auth).prepare().headers.get("Authorization", ""))


def test_it_is_made_once_and_for_this_user_alone(project):
    os.umask(before := os.umask(0))
    try:
        secret = prefect_login.ensure(project)
    finally:
        os.umask(before)
    assert prefect_login.FORM.fullmatch(secret)
    assert mode(prefect_login.path(project)) == 0o600
    assert prefect_login.ensure(project) == prefect_login.read(prefect_login.path(project)) == secret
    assert [path.name for path in project.state.iterdir()] == ["prefect-login"]


def test_of_several_who_make_it_at_once_all_have_the_same(project):
    variables = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", MAKE]
    started = [
        subprocess.Popen(command, cwd=project.state, env=variables, stdin=-1, stdout=-1, text=True) for _ in range(4)
    ]
    for process in started:
        assert process.stdin
        process.stdin.close()
        process.stdin = None
    found = {process.communicate()[0] for process in started}
    assert found == {prefect_login.ensure(project) + "\n"}


@pytest.mark.parametrize("what", ["readable", "writable", "link", "folder", "short", "binary", "another user's"])
def test_one_that_others_may_know_or_have_made_is_refused(project, what, tmp_path):
    path, secret = prefect_login.path(project), prefect_login.ensure(project)
    if what in ("readable", "writable"):
        path.chmod(0o640 if what == "readable" else 0o620)
    elif what == "link":
        path.rename(path.with_name("elsewhere"))
        path.symlink_to("elsewhere")
    elif what == "folder":
        path.unlink()
        path.mkdir()
    elif what == "another user's":
        if os.geteuid():
            pytest.skip("only root can give a file away")
        os.chown(path, 65534, 65534)
    else:
        path.write_bytes(secret.encode()[:-1] if what == "short" else b"\xff\xff")
    with pytest.raises(IntegrityError) as refused:
        prefect_login.ensure(project)
    assert str(path) in str(refused.value)
    assert "ratchet down" in str(refused.value)
    assert secret not in str(refused.value)
    assert prefect_login.page(project, "http://127.0.0.1:1") == ""


def test_files_are_written_whole_and_for_this_user_alone(tmp_path):
    path = tmp_path / "servers.json"
    path.write_text("{}")
    path.chmod(0o644)
    private_files.write(path, {"format": 1})
    assert (json.loads(path.read_text()), mode(path)) == ({"format": 1}, 0o600)
    private_files.make(path, "another")
    assert json.loads(path.read_text()) == {"format": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["servers.json"]


def test_our_server_gets_the_secret_and_never_the_users_own_login(project):
    secret = prefect_login.ensure(project)
    own = {"PREFECT_API_AUTH_STRING": "me:mine", "PREFECT_API_KEY": "key"}
    assert sent(project, **own) == sent(project) == prefect_login.header(secret)


def test_a_teams_server_gets_the_users_own_login_and_never_the_secret(team):
    assert sent(team, PREFECT_API_AUTH_STRING="me:mine") == prefect_login.header("me:mine")
    assert sent(team, PREFECT_API_KEY="key") == "Bearer key"
    assert sent(team) == ""
    assert prefect_login.settings(team) == {}
    assert prefect_login.page(team, TEAM) == ""
    assert not prefect_login.path(team).exists()


def test_a_login_in_netrc_is_not_sent_in_its_place(team, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine prefect.example login other password other")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", lambda self, request, **more: seen.append(request))
    seen: list[requests.PreparedRequest] = []
    with pytest.raises(AttributeError):  # of the answer that never came
        requests.post(TEAM, auth=prefect_login.of_requests(team, {"PREFECT_API_AUTH_STRING": "me:mine"}))
    assert seen[0].headers["Authorization"] == prefect_login.header("me:mine")


@pytest.mark.parametrize(("given", "kept"), [("", False), (TEAM, True)])
@pytest.mark.parametrize("enter", [environment.prepare, environment.join])
def test_the_users_own_login_stays_only_where_it_is_for_a_teams_server(world, monkeypatch, enter, given, kept):
    (world.root / "dvc.yaml").touch()
    monkeypatch.setattr(os, "environ", dict(os.environ))
    os.environ |= {"RATCHET_PREFECT_API_URL": given, "PREFECT_API_AUTH_STRING": "me:mine", "PREFECT_API_KEY": "key"}
    enter()
    assert [name in os.environ for name in environment.OF_PREFECT] == [kept, kept]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, "127.0.0.1,localhost"),
        ({"NO_PROXY": "a.example, localhost"}, "a.example,localhost,127.0.0.1"),
        ({"no_proxy": "*"}, None),
    ],
)
def test_what_is_said_to_this_machine_is_said_to_no_proxy(monkeypatch, given, found):
    kept = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
    monkeypatch.setattr(os, "environ", kept | given)
    environment._never_by_proxy()
    assert [os.environ.get(name) for name in ("no_proxy", "NO_PROXY")] == ([found, found] if found else ["*", None])


def test_the_address_that_logs_in_holds_the_secret_after_the_sign_that_no_browser_sends_on(project):
    secret = prefect_login.ensure(project)
    assert prefect_login.page(project, "http://127.0.0.1:1") == f"http://127.0.0.1:1/ratchet/login#{secret}"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_it_is_told_in_a_terminal_and_written_into_no_log(monkeypatch, is_terminal):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal, raising=False)
    found = {"servers": [], "schedule": {}, "problem": "", "login": "http://here#secret", "models": []}
    for words in (servers_text, lambda found: "".join(terminal.login(found))):
        assert ("secret" in words(found)) == is_terminal
        assert "log in" in words(found)
        assert "log in" not in words(found | {"login": ""})


def test_doctor_says_whether_the_secret_is_private(project):
    assert [check.ok for check in doctor._login(project)] == [True]
    prefect_login.ensure(project)
    assert [check.ok for check in doctor._login(project)] == [True]
    prefect_login.path(project).chmod(0o644)
    (check,) = doctor._login(project)
    assert (check.ok, "can be read" in check.found, "ratchet up" in check.fix) == (False, True, True)


class Open(http.server.BaseHTTPRequestHandler):
    """A server that answers everybody, as Prefect's did."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *about: object) -> None:
        pass


def test_a_server_of_an_earlier_version_is_told_apart_and_what_to_do_about_it(project):
    (project.state / "locks").mkdir()
    with http.server.HTTPServer(("127.0.0.1", 0), Open) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        started = psutil.Process().create_time()
        entry = Server("prefect", f"http://127.0.0.1:{server.server_port}", os.getpid(), started)
        private_files.write(project.state / "servers.json", {"format": 1, "servers": [asdict(entry)]})
        with pytest.raises(RequestError, match=r"is up without a login.*ratchet down.*ratchet up"):
            lifecycle.up(project)
        assert [check.ok for check in doctor._login(project)] == [True, False]
        server.shutdown()
