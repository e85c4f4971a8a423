"""A watch takes the step of a trial, and tells what came of it."""

import json
import shutil

import pytest

from flows.monitoring.watch import watch
from tests.flows.rollout.conftest import ROWS, TRUTH

FINE = TRUTH + 1


@pytest.fixture
def heard(live, monkeypatch, tmp_path):
    """What a hook has heard, one object a line."""
    script = tmp_path / "hook.sh"
    script.write_text(f"#!/bin/sh\ncat >> {tmp_path}/heard\necho >> {tmp_path}/heard\n")
    script.chmod(0o700)
    monkeypatch.setenv("RATCHET_HOOK", str(script))
    (live.project.state / "locks").mkdir(exist_ok=True)
    shutil.rmtree(live.project.state / "watch", ignore_errors=True)

    def found():
        path = tmp_path / "heard"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    return found


def shadow(live):
    live.judged(2)
    live.answers(1, TRUTH + 10)
    live.answers(2, FINE, "shadow")


def test_a_trial_that_is_decided_ends_and_is_told_once(live, heard):
    shadow(live)
    watch(live.project, live.declared, live.at)
    live.labels(ROWS)
    found = watch(live.project, live.declared, live.now)
    assert (found.parts["trial"]["outcome"], found.champion) == ("promoted", 2)
    assert live.actions().count("accepted") == 2
    watch(live.project, live.declared, live.now)
    (told,) = [one for one in heard() if one["what"] == "promoted"]
    assert (told["version"], told["champion"], told["outcome"]) == (2, 2, "accepted")
    assert "on live rows" in told["reason"]


def test_a_trial_that_waits_for_labels_is_an_event_until_it_ends(live, heard):
    shadow(live)
    found = watch(live.project, live.declared, live.now)
    (event,) = found.new
    assert (event["kind"], event["subject"]) == ("rollout", "shadow")
    assert "still undecided" in event["said"]
    assert watch(live.project, live.declared, live.now).new == []
    live.labels(ROWS)
    found = watch(live.project, live.declared, live.now)
    assert [(one["action"], one["said"]) for one in found.new] == [("over", "the shadow has ended")]
    assert [one["what"] for one in heard()] == ["noticed", "promoted", "over"]


def test_a_look_back_takes_no_step(live, heard):
    shadow(live)
    live.labels(ROWS)
    watch(live.project, live.declared, live.now, past=True)
    assert live.actions() == ["accepted", "on trial"]
    assert heard() == []
