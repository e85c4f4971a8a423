"""A step of a rollout, with a real registry, ledger, log and labels: what it decides, and that a kill loses nothing."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from flows.deployment import live_file
from flows.promotion import champion_alias
from flows.promotion.evidence import against_it
from flows.rollout import acts
from flows.rollout.step import step
from flows.tracking import mlflow_runs
from pipelines.errors import IntegrityError
from pipelines.sections.promote import Approval
from pipelines.sections.serve import Serve, Shadow
from tests.flows.rollout.conftest import BOTH, ROWS, TRUTH
from tests.support.registered import MODEL, alias

FINE, BAD = TRUTH + 1, TRUTH + np.where(np.arange(ROWS) % 2, 40.0, -40.0)
AUTOMATIC = Serve(rollback="automatic", before_rows=300)


def tried(live, said, labels=ROWS):
    """Version 2 answers as a shadow; a step."""
    live.judged(2)
    live.answers(1, TRUTH + 10)
    live.answers(2, said, "shadow")
    if labels:
        live.labels(labels)
    return step(live.project, live.declared, live.now)


def test_without_a_trial_it_does_nothing(live):
    assert step(live.project, live.declared, live.now).outcome == "none"
    assert live.actions() == ["accepted"]


def test_a_shadow_that_is_not_worse_becomes_champion_with_the_evidence_of_gate_and_live_rows(live):
    found = tried(live, FINE)
    assert (found.outcome, found.champion, found.figures["labelled"]) == ("promoted", 2, ROWS)
    line = live.book.lines(MODEL)[-1]
    assert (line.action, line.actor, line.to_version, line.reference) == ("accepted", "monitor", 2, 2)
    assert line.reason.startswith("it is fine; on live rows: better: mean_absolute_error against the champion (version")
    (look,) = line.facts["live"]
    assert (look["verdict"], look["role"], line.facts["waited"], line.decision_key) == ("pass", "shadow", 2, "k")
    assert look["low"] < 9 < look["high"]
    assert [use.promoted for use in live.standing.uses] == [True, True]
    assert (alias(live.project), live_file.read(live.project, MODEL).version) == (2, 2)
    tags = mlflow_runs.client(live.project).get_model_version(MODEL, "2").tags
    assert (tags["ratchet.decision"], tags["ratchet.decision_line"]) == ("accepted", "3")
    assert step(live.project, live.declared, live.now).outcome == "none"
    assert live.actions() == ["accepted", "on trial", "accepted"]


def test_a_shadow_that_passes_waits_for_persons_if_they_must_approve(live):
    promote = live.declared.promote.model_copy(update={"approval": Approval(by=["ana"])})
    live.declared = replace(live.declared, sections=live.declared.sections | {"promote": promote})
    found = tried(live, FINE)
    assert (found.outcome, found.champion, alias(live.project)) == ("waits", 1, 1)
    line = live.book.lines(MODEL)[-1]
    assert (line.action, line.actor, line.to_version) == ("waits", "monitor", 1)
    assert (live.standing.beside, [*live.standing.approvals.waiting]) == (None, [2])
    assert step(live.project, live.declared, live.now).outcome == "none"


def test_a_shadow_that_is_worse_is_rejected_and_the_champion_stays(live):
    found = tried(live, BAD)
    assert (found.outcome, found.champion, alias(live.project)) == ("rejected", 1, 1)
    assert found.said.startswith("worse on live rows: worse, and maybe by more than the margin 3")
    assert (live.standing.beside, live.standing.verdicts[2].action) == (None, "rejected")
    assert [use.promoted for use in live.standing.uses] == [True, False]


def test_with_few_labels_it_is_undecided_and_says_how_many_more(live):
    found = tried(live, TRUTH + np.where(np.arange(ROWS) % 2, 18, 4), labels=30)
    assert (found.outcome, found.figures["labelled"], live.actions()[-1]) == ("undecided", 30, "on trial")
    assert found.said.startswith("still undecided: about ")
    assert "30 of 400 rows are labelled" in found.said
    live.wants(Serve(shadow=Shadow(rows=5000)))
    assert step(live.project, live.declared, live.now).outcome == "running"


def test_answers_that_are_near_need_no_label(live):
    assert tried(live, TRUTH + 10.5, labels=0).outcome == "promoted"


def test_a_look_at_a_past_day_changes_nothing(live):
    live.judged(2)
    live.answers(1, TRUTH + 10)
    live.answers(2, FINE, "shadow")
    live.labels()
    assert step(live.project, live.declared, live.now, past=True).outcome == "running"
    assert live.actions() == ["accepted", "on trial"]


def test_a_shadow_that_passes_goes_on_as_a_canary_whose_callers_decide(live):
    live.wants(BOTH)
    assert tried(live, FINE).outcome == "canary begins"
    assert (live.standing.beside.role, live.standing.champion, len(live.standing.uses)) == ("canary", 1, 2)
    live.at = live.now
    live.now = live.at.replace(year=live.at.year + 1)
    mine, theirs = [f"c {number}" for number in range(300)], [f"o {number}" for number in range(ROWS)]
    live.answers(2, FINE[:300], names=mine)
    live.answers(1, TRUTH + 10, names=theirs)
    live.labels(300, TRUTH, mine)
    live.labels(ROWS, TRUTH, theirs)
    found = step(live.project, live.declared, live.now)
    assert (found.outcome, found.role, found.champion) == ("promoted", "canary", 2)
    assert [look["role"] for look in live.book.lines(MODEL)[-1].facts["live"]] == ["shadow", "canary"]
    assert [use.promoted for use in live.standing.uses] == [True, True]


def left(live, said):
    """Version 2 became champion, and version 1 answers beside it; a step."""
    live.wants(AUTOMATIC)
    live.judged(2)
    assert live.standing.beside.role == "before"
    live.answers(2, said)
    live.answers(1, TRUTH + 2, "shadow")
    live.labels()
    return step(live.project, live.declared, live.now)


def test_a_champion_that_is_worse_live_goes_back_by_itself_and_is_vetoed(live):
    found = left(live, BAD)
    assert (found.outcome, found.champion, alias(live.project)) == ("rolled back", 1, 1)
    line = live.book.lines(MODEL)[-1]
    assert (line.action, line.actor, line.to_version) == ("rolled back", "monitor", 1)
    assert "worse by more than the margin 3" in line.reason
    assert line.facts["live"][0]["verdict"] == "fail"
    assert against_it(live.standing, 2)[0].what == "veto"
    assert live_file.read(live.project, MODEL).version == 1
    assert step(live.project, live.declared, live.now).outcome == "none"
    assert live.standing.beside is None


def test_one_that_is_worse_by_less_than_the_margin_stays_and_the_one_before_ends(live):
    found = left(live, TRUTH + 3)
    assert (found.outcome, found.champion, live.standing.champion) == ("before ends", 2, 2)
    assert live.standing.beside is None
    assert step(live.project, live.declared, live.now).outcome == "none"


def test_labels_that_come_after_the_one_before_has_ended_still_count(live):
    live.wants(AUTOMATIC)
    live.judged(2)
    live.answers(2, BAD)
    live.answers(1, TRUTH + 2, "shadow")
    assert step(live.project, live.declared, live.now).outcome == "before ends"
    live.labels()
    assert step(live.project, live.declared, live.now).outcome == "rolled back"


def test_without_that_key_no_champion_goes_back(live):
    live.wants(AUTOMATIC)
    live.judged(2)
    live.answers(2, BAD)
    live.answers(1, TRUTH, "shadow")
    live.labels()
    live.wants(Serve())
    assert step(live.project, live.declared, live.now).outcome == "before ends"
    assert (step(live.project, live.declared, live.now).outcome, live.standing.champion) == ("none", 2)


def test_an_alias_that_was_moved_by_hand_stops_it(live):
    live.judged(2)
    live.answers(1, TRUTH + 10)
    live.answers(2, FINE, "shadow")
    live.labels()
    mlflow_runs.client(live.project).set_registered_model_alias(MODEL, "champion", "3")
    with pytest.raises(IntegrityError, match="changed outside Ratchet"):
        step(live.project, live.declared, live.now)
    assert live.actions() == ["accepted", "on trial"]


def test_somebody_who_decides_at_the_same_time_is_not_overruled(live, monkeypatch):
    live.judged(2)
    live.answers(1, TRUTH + 10)
    live.answers(2, FINE, "shadow")
    live.labels()
    before = acts.promote

    def later(*arguments):
        champion_alias.promote(live.project, MODEL, 3, "by hand")
        return before(*arguments)

    monkeypatch.setattr(acts, "promote", later)
    assert step(live.project, live.declared, live.now).outcome == "overtaken"
    assert (live.standing.champion, live.actions()[-1]) == (3, "promoted")


KILLED = """
import os, signal, sys
from datetime import datetime
from flows.project.environment import Project
from flows.promotion import champion_alias
from flows.rollout import acts
from flows.rollout.step import step
from pathlib import Path
from pipelines import model_file
from pipelines.sections.promote import Approval
from pipelines.sections.serve import Serve, Shadow
from dataclasses import replace

declared = model_file.check("diabetes")
declared = replace(declared, sections=declared.sections | {"serve": Serve(shadow=Shadow())})
champion_alias.follow = lambda store, book, last: last.action == "accepted" and last.actor == "monitor" and os.kill(
    os.getpid(), signal.SIGKILL)
root = Path.cwd()
project = Project(root=root, state=root / ".ratchet", tracking="", prefect="")
step(project, declared, datetime.fromisoformat(sys.argv[1]))
"""


@pytest.mark.process
def test_what_a_kill_kept_from_following_a_line_follows_at_the_next_step(live):
    live.judged(2)
    live.answers(1, TRUTH + 10)
    live.answers(2, FINE, "shadow")
    live.labels()
    done = subprocess.run([sys.executable, "-c", KILLED, live.now.isoformat()], env=os.environ, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert (live.actions()[-1], alias(live.project)) == ("accepted", 1)
    assert step(live.project, live.declared, live.now).outcome == "none"
    assert (alias(live.project), live_file.read(live.project, MODEL).version) == (2, 2)
    assert mlflow_runs.client(live.project).get_model_version(MODEL, "2").tags["ratchet.decision"] == "accepted"
