"""A real receiver hears of each event once when it begins and once when it is over, and no secret is said."""

import logging

import pytest

from flows.monitoring import alerts
from flows.monitoring.events import Event, Found, record
from flows.project.environment import Project
from flows.records.ledger import Ledger
from tests.support.listener import Listener, listening

SECRET = "token-that-nobody-may-see"


@pytest.fixture
def address():
    with listening() as port:
        yield f"127.0.0.1:{port}/{SECRET}"


@pytest.fixture
def project(tmp_path):
    (tmp_path / "state").mkdir()
    return Project(tmp_path, tmp_path / "state", "", "")


class Watch:
    """What a watch does with events, without the looks."""

    def __init__(self, project):
        self.project, self.book = project, Ledger(f"sqlite:///{project.root}/ledger.db")
        self.said: list[str] = []

    def __call__(self, there=(), gone=(), killed=False):
        found = alerts.receivers(self.project, self.said.append)
        alerts.ready(self.project, "pets", self.book.lines("pets"), found)
        record(self.book, "pets", Found(there, gone))
        if not killed:
            alerts.tell(self.project, "pets", self.book.lines("pets"), found, self.said.append)


@pytest.fixture
def watch(project):
    return Watch(project)


def event(column="age", said="age has drifted"):
    return Event("drift", column, said, "2026-11-29", {"distance": 0.3})


def file_of(project, text, mode=0o600):
    path = project.state / "alerts"
    path.write_text(text)
    path.chmod(mode)


def test_each_event_is_told_once_and_once_when_it_is_over(watch, project, address, monkeypatch):
    monkeypatch.setenv("RATCHET_WEBHOOK", f"http://{address}")
    file_of(project, f"# ours\n\njson://{address}\n")
    watch([event(), event("weight", "weight has drifted")])
    watch([event(), event("weight", "weight has drifted")])
    hook, mail = Listener.heard
    assert (hook["what"], hook["model"], hook["reason"]) == ("noticed", "pets", "age has drifted; weight has drifted")
    assert [one["subject"] for one in hook["events"]] == ["age", "weight"]
    assert (mail["title"], mail["message"].splitlines()[:2]) == (
        "pets: noticed",
        ["age has drifted", "weight has drifted"],
    )
    watch(gone=[event(said="age is as it was")])
    watch(gone=[event(said="age is as it was")])
    _, _, hook, mail = Listener.heard
    assert (hook["what"], hook["reason"]) == ("over", "age is as it was")
    assert mail["message"].startswith("over: age is as it was")
    assert watch.said == []


def test_a_watch_that_is_killed_before_it_told_is_made_good_by_the_next(watch, address, monkeypatch):
    monkeypatch.setenv("RATCHET_ALERTS", f"json://{address}")
    watch([event()], killed=True)
    assert Listener.heard == []
    watch([event()])
    watch([event()])
    assert len(Listener.heard) == 1


def test_a_receiver_that_fails_is_said_without_its_secret_and_told_again(watch, address, monkeypatch, caplog, capfd):
    caplog.set_level(logging.DEBUG, "apprise")
    monkeypatch.setenv("RATCHET_ALERTS", f"json://{address} nothing://{SECRET} json://127.0.0.1:9/{SECRET}")
    monkeypatch.setattr(Listener, "status", 500)
    watch([event()])
    assert watch.said == [
        "address 1 of RATCHET_ALERTS failed: the message was not taken",
        "address 2 of RATCHET_ALERTS is none that apprise knows",
        "address 3 of RATCHET_ALERTS failed: the message was not taken",
    ]
    monkeypatch.setattr(Listener, "status", 200)
    watch([event()])
    watch([event()])
    assert len(Listener.heard) == 2
    assert SECRET not in caplog.text + "".join(capfd.readouterr()) + "".join(watch.said)
    assert SECRET not in (watch.project.state / "watch" / "pets" / "told.json").read_text()


def test_a_receiver_that_always_fails_is_given_up(watch, address, monkeypatch):
    monkeypatch.setattr(alerts, "TRIES", 2)
    monkeypatch.setenv("RATCHET_ALERTS", f"json://{address}")
    monkeypatch.setattr(Listener, "status", 500)
    for _ in range(4):
        watch([event()])
    assert len(watch.said) == len(Listener.heard) == 2
    assert watch.said[1].endswith("; after 2 times, it is not told again")


def test_a_new_receiver_hears_of_nothing_old(watch, address, monkeypatch):
    watch([event()])
    monkeypatch.setenv("RATCHET_ALERTS", f"json://{address}")
    watch([event(), event("weight")])
    (mail,) = Listener.heard
    assert [line for line in mail["message"].splitlines() if "drifted" in line] == ["age has drifted"]
    assert watch.book.lines("pets")[1].facts["subject"] == "weight"


def test_a_file_of_addresses_that_others_can_read_is_not_used(watch, project, address):
    file_of(project, f"json://{address}", mode=0o644)
    watch([event()])
    assert Listener.heard == []
    (said,) = watch.said
    assert "can be read or written by other users" in said
    assert "chmod 600" in said


def test_a_name_from_the_rows_cannot_break_a_line(watch, address, monkeypatch):
    monkeypatch.setenv("RATCHET_WEBHOOK", f"http://{address}")
    watch([event("a\nge\u202e", "a\nge\u202e has drifted")])
    assert Listener.heard[0]["events"][0]["subject"] == "a\\nge\\u202e"
