"""Approving: persons, a real registry and a real ledger. No version becomes champion without the approvals it needs."""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from flows.access import tokens
from flows.access.persons import Person
from flows.cli.commands.champion import do_promote
from flows.promotion import approving, champion_alias, waiting
from flows.promotion.approving import approve, reject
from flows.records import ledger
from flows.records.ledger import Line
from flows.registry import model_registry
from flows.tracking import mlflow_runs
from pipelines.errors import RequestError
from pipelines.sections.promote import Approval
from tests.support import registered
from tests.support.registered import MODEL, accept, alias, standing

ANA, BEN, EVE = (Person(name, "user") for name in ("ana", "ben", "eve"))
NOW = datetime.now(UTC)
LATE = NOW + timedelta(days=4)


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    return registered.versions(tmp_path_factory, "one", "two", "three")


@pytest.fixture
def project(three, monkeypatch):
    """Version 1 is champion. models/ asks for nobody's approval; the working directory."""
    monkeypatch.chdir(three.root)
    monkeypatch.delenv("RATCHET_TOKEN", raising=False)
    registered.forget(three)
    declare(three)
    accept(three, 1)
    champion_alias.settle(mlflow_runs.client(three), ledger.of(three), MODEL)
    return three


def declare(project, **rules) -> Approval | None:
    """Write `promote: approval:` into the YAML; without rules nobody needs to approve."""
    path = project.root / "models" / f"{MODEL}.yaml"
    declared = YAML(typ="safe").load(path)
    declared["promote"].pop("approval", None)
    declared["promote"] |= {"approval": rules} if rules else {}
    YAML(typ="safe").dump(declared, path)
    return champion_alias.approval_of(MODEL)


def judged(project, version: int, started_by: str = "", **rules) -> Line:
    """A version that the gate accepts while `rules` ask for approval."""
    now, book = standing(project), ledger.of(project)
    facts = json.dumps({"better": True, "looks": [], "run_id": "", "started_by": started_by})
    line = Line(MODEL, 0, "accepted", version, now.champion, version, version, "better", facts, "k", "gate, run r")
    declared = declare(project, **({"by": ["ana", "ben"]} | rules))
    return book.append(now.last, waiting.for_approval(declared, now, line, started_by, NOW))


def actions(project) -> list[str]:
    return [line.action for line in ledger.of(project).lines(MODEL)]


def test_a_version_waits_and_one_approval_promotes_it_with_the_evidence_of_the_gate(project):
    line = judged(project, 2)
    assert (line.action, line.to_version, line.reference) == ("waits", 1, 1)
    assert line.reason.startswith("version 2 waits for the approval of ana or ben, until ")
    found = approve(project, MODEL, None, "looks right", BEN)
    assert (found["action"], found["champion"], found["from"], alias(project)) == ("accepted", 2, 1, 2)
    assert actions(project) == ["accepted", "waits", "approved", "accepted"]
    said, moved = ledger.of(project).lines(MODEL)[2:]
    assert (said.actor, said.reason, said.to_version) == ("person ben", "looks right", 1)
    assert (moved.actor, moved.reason, moved.decision_key) == ("person ben", "better; approved by ben", "k")
    assert (moved.facts["approved_by"], moved.facts["approval_of"], moved.facts["waited"]) == (["ben"], 2, 2)
    assert [use.promoted for use in standing(project).uses] == [True, True]  # the test rows were used once


def test_two_must_approve_if_two_are_asked_for_and_the_same_one_twice_is_told(project):
    judged(project, 2, of=2)
    found = approve(project, MODEL, 2, "", ANA)
    assert (found["action"], found["champion"], found["approval"]["others"]) == ("approved", 1, ["ben"])
    with pytest.raises(RequestError, match=r"ana has approved version 2 of diabetes already.*waits for ben"):
        approve(project, MODEL, 2, "", ANA)
    assert alias(project) == 1
    assert approve(project, MODEL, 2, "", BEN)["champion"] == alias(project) == 2
    assert ledger.of(project).lines(MODEL)[-1].facts["approved_by"] == ["ana", "ben"]


def test_whoever_started_the_run_is_not_the_only_one(project):
    judged(project, 2, started_by="ana", not_own=True)
    assert approve(project, MODEL, 2, "", ANA)["action"] == "approved"
    assert alias(project) == 1
    assert approve(project, MODEL, 2, "", BEN)["champion"] == 2


def test_nobody_else_may_approve_or_reject_and_what_does_not_wait_is_told(project):
    with pytest.raises(RequestError, match=r"No version of diabetes waits for an approval"):
        approve(project, MODEL, None, "", ANA)
    judged(project, 2)
    for say in (approve, reject):
        with pytest.raises(RequestError, match=r"eve, known by the Unix user, may not .* version 2 .*ana or ben may"):
            say(project, MODEL, 2, "so", EVE)
        with pytest.raises(RequestError, match="its roles are look"):
            say(project, MODEL, 2, "so", Person("ana", "token", ("look",)))
    with pytest.raises(RequestError, match="Version 3 of diabetes does not wait"):
        approve(project, MODEL, 3, "", ANA)
    assert actions(project) == ["accepted", "waits"]
    assert alias(project) == 1


def test_a_rejection_has_a_reason_and_ends_it(project):
    judged(project, 2)
    with pytest.raises(RequestError, match="needs a reason"):
        reject(project, MODEL, 2, " ", ANA)
    found = reject(project, MODEL, None, "wrong on sevens", ANA)
    assert (found["action"], found["reason"], alias(project)) == ("rejected", "ana rejects it: wrong on sevens", 1)
    verdict = standing(project).verdicts[2]
    assert (verdict.action, verdict.decision_key, verdict.facts["rejected_by"]) == ("rejected", "k", "ana")
    with pytest.raises(RequestError, match="No version of diabetes waits"):
        approve(project, MODEL, None, "", BEN)
    assert [use.promoted for use in standing(project).uses] == [True, False]


def test_what_waits_too_long_expires_and_cannot_be_approved_then(project):
    judged(project, 2, within="3d")
    with pytest.raises(RequestError, match=r"version 2 has expired: nobody approved until .*UTC"):
        approve(project, MODEL, 2, "", ANA, LATE)
    assert actions(project) == ["accepted", "waits", "expired"]
    assert (alias(project), standing(project).approvals.waiting) == (1, {})


def test_rules_that_have_changed_meanwhile_need_another_judgement(project):
    judged(project, 2, of=2)
    declare(project, by=["ana", "ben"])
    with pytest.raises(RequestError, match=r"has changed since version 2 began to wait.*ratchet run diabetes"):
        approve(project, MODEL, 2, "", ANA)


def test_an_approval_whose_process_was_killed_is_completed_by_the_next_one(project, monkeypatch):
    judged(project, 2)
    with monkeypatch.context() as broken:
        broken.setattr(approving, "_promotion", lambda *_: sys.exit("killed"))
        with pytest.raises(SystemExit):
            approve(project, MODEL, 2, "", ANA)
    assert (actions(project)[-1], alias(project)) == ("approved", 1)
    store, book = mlflow_runs.client(project), ledger.of(project)
    (line,) = approving.complete(store, book, MODEL, LATE)  # though it is late: it was approved in time
    assert (line.action, line.version, alias(project)) == ("accepted", 2, 2)
    assert approving.complete(store, book, MODEL, LATE) == []


def test_a_promotion_by_hand_asks_for_the_same_approvals(project, monkeypatch):
    declare(project, by=["ana", "ben"])
    found = champion_alias.promote(project, MODEL, 3, "audited", EVE)
    assert (found["action"], found["champion"], alias(project)) == ("asked", 1, 1)
    with pytest.raises(RequestError, match="waits for approval already"):
        champion_alias.promote(project, MODEL, 3, "audited", EVE)
    found = approve(project, MODEL, 3, "", ANA)
    assert (found["action"], found["champion"], alias(project)) == ("promoted", 3, 3)
    line = ledger.of(project).lines(MODEL)[-1]
    assert (line.reason, line.reference, line.facts["approved_by"]) == ("audited; approved by ana", 3, ["ana"])
    assert len(standing(project).uses) == 1  # nothing was judged


def test_the_own_approval_counts_for_whoever_promotes_by_hand_unless_it_must_be_another_one(project, monkeypatch):
    monkeypatch.setenv("RATCHET_TOKEN", tokens.add(project.state, "ana", ["approve"]))
    declare(project, by=["ana", "ben"], not_own=True)
    assert do_promote(project, MODEL, 2, "audited", adopt=False)["action"] == "approved"
    assert alias(project) == 1
    assert approve(project, MODEL, 2, "", BEN)["champion"] == 2
    declare(project, by=["ana", "ben"])
    assert do_promote(project, MODEL, 3, "audited", adopt=False)["champion"] == alias(project) == 3
    tokens.remove(project.state, "ana")


def test_an_alias_that_was_moved_by_hand_is_not_taken_over_without_approval(project):
    declare(project, by=["ana"])
    mlflow_runs.client(project).set_registered_model_alias(MODEL, model_registry.CHAMPION, "3")
    with pytest.raises(RequestError, match=r"Nobody has approved version 3.*ratchet rollback diabetes"):
        champion_alias.adopt(project, MODEL, "mine")
    assert champion_alias.rollback(project, MODEL, "", hold=False)["champion"] == alias(project) == 1


def test_another_champion_ends_the_waiting_against_the_one_before(project):
    judged(project, 2)
    declare(project)
    champion_alias.promote(project, MODEL, 3, "by hand, without rules")
    with pytest.raises(RequestError, match="Version 2 of diabetes does not wait"):
        approve(project, MODEL, 2, "", ANA)
    assert alias(project) == 3


def test_a_version_whose_files_have_changed_is_not_promoted_though_approved(project):
    judged(project, 2)
    version = mlflow_runs.client(project).get_model_version(MODEL, "2")
    logged = mlflow_runs.client(project).get_logged_model(model_registry.logged_model(version))
    file = next(Path(logged.artifact_location.removeprefix("file://")).rglob("architecture.json"))
    before = file.read_bytes()
    file.chmod(0o644)
    file.write_bytes(before + b" ")
    try:
        with pytest.raises(Exception, match="changed"):
            approve(project, MODEL, 2, "", ANA)
        assert (actions(project)[-1], alias(project)) == ("approved", 1)
    finally:
        file.write_bytes(before)
