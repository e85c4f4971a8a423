"""A real server and a real command are told, and nobody's failure is a run's."""

import json
import sys

import pytest
from prefect.events import Event

from flows.project import environment
from flows.project.environment import Project
from flows.run import notify
from tests.support.listener import Listener, listening

TOLD = {"model": "pets", "outcome": "rejected", "reason": "worse", "version": 3}


@pytest.fixture
def listener():
    with listening() as port:
        yield f"http://127.0.0.1:{port}/secret-path-of-a-hook"


@pytest.fixture
def events(monkeypatch):
    """What is sent to Prefect, caught where it would leave the process."""
    found: list[Event] = []
    monkeypatch.setattr(notify, "emit_event", lambda event, **about: found.append((event, about)))
    return found


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path, tmp_path / ".ratchet", "", "")


def tell(project, **changes):
    said = []
    notify.tell(project, TOLD | changes, said.append)
    return said


@pytest.mark.parametrize(
    ("outcome", "what"),
    [("accepted", "promoted"), ("rejected", "rejected"), ("failed", "failed"), ("refused", "failed")],
)
def test_each_outcome_is_told_to_all_three(project, listener, events, monkeypatch, tmp_path, outcome, what):
    script = "import sys, pathlib; pathlib.Path('heard.json').write_text(sys.stdin.read())"
    monkeypatch.setenv("RATCHET_WEBHOOK", listener)
    monkeypatch.setenv("RATCHET_HOOK", f'{sys.executable} -c "{script}"')
    assert tell(project, outcome=outcome) == []
    expected = {"format": 1, "what": what, **TOLD, "outcome": outcome}
    assert Listener.heard == [expected]
    assert json.loads((tmp_path / "heard.json").read_text()) == expected
    ((name, about),) = events
    assert (name, about["payload"]) == (f"ratchet.run.{what}", expected)


@pytest.mark.parametrize("outcome", ["skipped", "unchanged", "undecided"])
def test_nobody_is_told_that_nothing_happened(project, listener, events, monkeypatch, outcome):
    monkeypatch.setenv("RATCHET_WEBHOOK", listener)
    tell(project, outcome=outcome)
    assert (Listener.heard, events) == ([], [])


@pytest.mark.parametrize("wrong", ["refusing", "away", "no address"])
def test_a_webhook_that_fails_is_said_without_its_address(project, listener, events, monkeypatch, wrong):
    monkeypatch.setattr(Listener, "status", 500)
    addresses = {"away": "http://127.0.0.1:9/secret-path-of-a-hook", "no address": "file:///secret-path-of-a-hook"}
    monkeypatch.setenv("RATCHET_WEBHOOK", addresses.get(wrong, listener))
    (said,) = tell(project)
    assert said.startswith("RATCHET_WEBHOOK failed: ")
    assert "secret" not in said


def test_a_command_runs_without_a_shell_and_its_failure_is_said(project, events, monkeypatch, tmp_path):
    monkeypatch.setenv("RATCHET_HOOK", f"{sys.executable} -c 'import sys; sys.exit(3)' ; touch {tmp_path}/made")
    assert tell(project) == ["RATCHET_HOOK failed: exit status 3"]
    assert not (tmp_path / "made").exists()
    monkeypatch.setenv("RATCHET_HOOK", "no-such-command --token=secret")
    (said,) = tell(project)
    assert "secret" not in said


def test_a_command_gets_no_login(project, events, monkeypatch, tmp_path):
    script = "import json, os, pathlib; pathlib.Path('seen.json').write_text(json.dumps(dict(os.environ)))"
    monkeypatch.setenv("RATCHET_HOOK", f'{sys.executable} -c "{script}"')
    for name in environment.LOGINS:
        monkeypatch.setenv(name, "planted-secret")
    assert tell(project) == []
    assert "planted-secret" not in json.loads((tmp_path / "seen.json").read_text()).values()


def test_what_waits_for_persons_is_told_once_and_what_waits_for_a_commit_is_not(project, listener, events, monkeypatch):
    monkeypatch.setenv("RATCHET_WEBHOOK", listener)
    project.state.mkdir()
    Listener.heard.clear()
    tell(project, outcome="waits")
    assert Listener.heard == []
    for line in (4, 4, 7):
        tell(project, outcome="waits", approval={"line": line, "others": ["ana"]})
    assert [(one["what"], one["approval"]["line"]) for one in Listener.heard] == [("waits", 4), ("waits", 7)]


def test_what_a_person_says_is_told_to_the_hooks(project, listener, monkeypatch):
    monkeypatch.setenv("RATCHET_WEBHOOK", listener)
    Listener.heard.clear()
    said = {"model": "pets", "action": "rejected", "reason": "no", "version": 3, "champion": 2}
    notify.said(project, said | {"approval": {"line": 4}, "person": "ana"}, lambda wrong: None)
    (heard,) = Listener.heard
    assert (heard["what"], heard["outcome"], heard["person"]) == ("rejected", "rejected", "ana")
