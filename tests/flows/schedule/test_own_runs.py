"""The scheduler starts its own flow alone, also where a team's Prefect lets others change its deployments."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import DeploymentResponse

from flows.project.environment import Project
from flows.schedule import own_runs, serve
from flows.schedule.own_runs import foreign
from flows.servers.prefect_guard import ENTRYPOINT
from pipelines import model_file
from tests.support.clone import answer, clone, environment, ratchet
from tests.support.world import ROOT

MODEL, LOGIN = "diabetes", ("team", "of-the-team")
PATIENCE = 120  # seconds
TEAMS_SERVER = """
import json, sys, uvicorn
from prefect.server.api.server import create_app

app = create_app()


async def noting(scope, receive, send):
    headers = {name: value.decode() for name, value in scope.get("headers", [])}

    async def hear():
        message = await receive()
        if "token" in (message.get("text") or ""):
            note(json.loads(message["text"])["token"])
        return message

    if b"authorization" in headers:
        note(headers[b"authorization"])
    await app(scope, hear, send)


def note(login):
    with open(sys.argv[2], "a") as file:
        print(login, file=file)


uvicorn.run(noting, host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
"""


def deployment(**changes: Any) -> DeploymentResponse:
    return DeploymentResponse.model_validate({"flow_id": uuid4(), "name": MODEL, "entrypoint": ENTRYPOINT} | changes)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, ""),
        ({"pull_steps": [], "job_variables": {}, "path": None, "parameters": {"model": "digits"}}, ""),
        ({"entrypoint": "os.abort"}, "its entrypoint"),
        ({"entrypoint": None}, "its entrypoint"),
        ({"pull_steps": [{"a": None}]}, "its pull steps"),
        ({"path": "/tmp", "job_variables": {"env": {}}}, "its path, its job variables"),
        ({"storage_document_id": uuid4()}, "its storage document id"),
        ({"infrastructure_document_id": uuid4()}, "its infrastructure document id"),
        ({"work_pool_name": "pool"}, "its work pool name"),
    ],
)
def test_a_deployment_that_is_not_as_it_was_registered_is_named(changes, found):
    assert foreign(deployment(**changes)) == found


def test_so_is_a_run_of_its_own(monkeypatch):
    run = FlowRun(flow_id=uuid4(), job_variables={"command": "sh"})
    assert foreign(deployment(), run) == "the job variables of the run"
    assert foreign(deployment(), FlowRun(flow_id=uuid4())) == ""


def test_what_the_scheduler_registers_is_its_own(monkeypatch):
    monkeypatch.chdir(ROOT)
    rules = model_file.check(MODEL).schedule
    found = asyncio.run(serve.deployment(Project(ROOT, ROOT, "", ""), MODEL, rules))
    assert found.entrypoint == ENTRYPOINT
    given = (found._path, found.job_variables, found.storage, found.work_pool_name)
    assert not any(given)


def test_prefects_runner_still_asks_where_the_scheduler_looks(monkeypatch):
    """The names that are private to Prefect, and the variable by which a run's process asks the server for no code."""
    from prefect import flow_engine
    from prefect.runner import _hook_runner, _scheduled_run_poller

    monkeypatch.setenv(own_runs.IMPORTED, ENTRYPOINT)
    run = FlowRun(flow_id=uuid4(), deployment_id=uuid4())  # which no server knows
    assert flow_engine.load_flow(run) is serve.retrain
    for module, name in ((_hook_runner.HookRunner, "_resolve_flow"), (_scheduled_run_poller, "_resolve_starter")):
        assert name in Path(sys.modules[getattr(module, "__module__", module.__name__)].__file__ or "").read_text()


# ------------------------------------------------------------------ a team's Prefect, with real servers


@pytest.fixture
def team(tmp_path) -> Iterator[str]:
    """The address of the API of a Prefect server that refuses nothing to those who log in."""
    (tmp_path / "server.py").write_text(TEAMS_SERVER)
    port, home = free_port(), tmp_path / "home"
    variables = environment(
        PREFECT_HOME=str(home),
        PREFECT_SERVER_API_AUTH_STRING=":".join(LOGIN),
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
        PREFECT_LOGGING_LEVEL="CRITICAL",
    )
    command = [sys.executable, str(tmp_path / "server.py"), str(port), str(tmp_path / "logins")]
    process = subprocess.Popen(command, env=variables, cwd=tmp_path)
    url = f"http://127.0.0.1:{port}/api"
    try:
        wait(lambda: reached(url))
        yield url
    finally:
        process.kill()
        process.wait()


def reached(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=30).ok
    except requests.ConnectionError:
        return False


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait(look: Any) -> Any:
    until = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < until, "it never came"
        time.sleep(0.2)
    return found


def ask(url: str, path: str, method: str = "POST", content: Any = None) -> Any:
    found = requests.request(method, f"{url}/{path}", json=content, auth=LOGIN, timeout=60)
    assert found.ok, found.text
    return found.json() if found.content else None


@pytest.mark.long
def test_what_somebody_has_put_on_a_teams_server_is_not_run(team, tmp_path):
    marker, root = tmp_path / "marker", clone(tmp_path / "clone")
    more = {"RATCHET_PREFECT_API_URL": team, "PREFECT_API_AUTH_STRING": ":".join(LOGIN)}
    try:
        found = answer(root, "up", "--no-serve", "--no-warm", **more)
        assert (found["login"], found["problem"]) == ("", "")
        known = ask(team, f"deployments/name/retrain/{MODEL}", "GET")
        assert foreign(DeploymentResponse.model_validate(known)) == ""
        steps = [{"prefect.deployments.steps.run_shell_script": {"script": f"touch {marker}"}}]
        same = {key: known[key] for key in ("flow_id", "name", "entrypoint", "parameters")}
        ask(team, "deployments/", content=same | {"pull_steps": steps, "enforce_parameter_schema": False})
        run = ask(team, f"deployments/{known['id']}/create_flow_run", content={})
        state = wait(lambda: ended(team, run["id"]))
        assert (state["type"], state["name"]) == ("FAILED", "Refused")
        said = "differs from what the scheduler registered: its pull steps"
        assert said in state["message"]
        assert said in (root / ".ratchet" / "logs" / "schedule.log").read_text()
        assert not marker.exists()
        assert answer(root, "status", **more)["scheduler"]  # and it goes on
        ask(team, f"deployments/{known['id']}", "PATCH", {"job_variables": {"env": {"PATH": "/tmp"}}})
        assert ratchet(root, "down", **more).returncode == 0
        answer(root, "up", "--no-serve", "--no-warm", **more)
        anew = ask(team, f"deployments/name/retrain/{MODEL}", "GET")
        assert foreign(DeploymentResponse.model_validate(anew)) == ""
        assert answer(root, "data", MODEL, "--changed", **more)["event"]
        wait(lambda: [one for one in runs(team) if one["created_by"] and one["created_by"]["type"] == "AUTOMATION"])
    finally:
        assert ratchet(root, "down", **more).returncode == 0
    logins = set((tmp_path / "logins").read_text().split("\n")) - {""}
    assert logins == {requests.auth._basic_auth_str(*LOGIN), ":".join(LOGIN)}
    assert not marker.exists()


def ended(url: str, run: str) -> dict[str, Any] | None:
    state = dict(ask(url, f"flow_runs/{run}", "GET")["state"])
    return state if state["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") else None


def runs(url: str) -> list[dict[str, Any]]:
    return list(ask(url, "flow_runs/filter", content={}))
