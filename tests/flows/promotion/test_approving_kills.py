"""No version becomes champion without its approvals, whenever a process that decides is killed (kill -9)."""

import json
import os
import random
import signal
import time
from datetime import UTC, datetime, timedelta

import pytest

from flows.access.persons import Person
from flows.promotion import approving, champion_alias, waiting
from flows.records import ledger
from flows.records.champion_state import stand
from flows.records.ledger import MOVES, Line
from flows.tracking import mlflow_runs
from pipelines.errors import RatchetError
from pipelines.sections.promote import Approval
from tests.flows.promotion.test_approving import declare
from tests.support import registered
from tests.support.registered import MODEL, alias
from tests.support.world import PATIENCE

RULES = {"by": ["ana", "ben", "cy"], "of": 2, "not_own": True, "within": "1h"}
NAMES = (*RULES["by"], "eve")


def decide(project, rules: Approval, draw: random.Random) -> None:
    """One word of the gate or of a person, about some version, at some time."""
    version, person = draw.randint(1, 3), Person(draw.choice(NAMES), "user")
    now = datetime.now(UTC) + timedelta(hours=draw.choice([0, 0, 0, 0, 0, 2]))
    act = draw.choice(["judge", "approve", "approve", "approve", "approve", "reject", "ask", "complete"])
    store, book = mlflow_runs.client(project), ledger.of(project)
    if act == "judge":
        standing = champion_alias.settle(store, book, MODEL)
        facts = json.dumps({"better": True, "looks": [], "run_id": ""})
        line = Line(MODEL, 0, "accepted", version, standing.champion, version, version, "better", facts, "k", "gate")
        book.append(standing.last, waiting.for_approval(rules, standing, line, person.name, datetime.now(UTC)))
    elif act == "ask":
        champion_alias.promote(project, MODEL, version, "audited", person)
    elif act == "complete":
        approving.complete(store, book, MODEL, now)
    else:
        say = approving.approve if act == "approve" else approving.reject
        say(project, MODEL, None, "so", person, now)


def in_a_process(project, rules: Approval, draw: random.Random, usual: float) -> float:
    """One decision in a process of its own; returns how long it took. Half of them are killed, mostly within it.

    usual: seconds that one takes.
    """
    start, seed = time.monotonic(), draw.random()
    after = draw.choice([draw.uniform(0, 1.5 * usual), PATIENCE])
    child = os.fork()
    if child == 0:
        status = 1
        try:
            decide(project, rules, random.Random(seed))
            status = 0
        except (RatchetError, ledger.Conflict):
            status = 0
        finally:
            os._exit(status)
    while time.monotonic() < start + after:
        if os.waitpid(child, os.WNOHANG)[0]:
            return time.monotonic() - start
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return usual


def unapproved(lines: list[Line]) -> list[int]:
    """The lines that make a version champion without enough approvals. Read from the lines alone."""
    wrong = []
    for line in lines:
        if line.action not in MOVES:
            continue
        asked = lines[line.facts.get("approval_of", 0) - 1]
        rules = asked.facts.get("approval", {"of": 99, "by": [], "until": "", "started_by": ""})
        said = [one for one in lines[asked.sequence : line.sequence - 1] if one.action == "approved"]
        names = {one.facts["name"] for one in said if one.facts["approval_of"] == asked.sequence} & set(rules["by"])
        good = len(names) >= rules["of"] and names - {rules["started_by"]} and asked.version == line.version
        wrong += [] if good else [line.sequence]
    return wrong


@pytest.mark.long
def test_no_version_becomes_champion_without_its_approvals_though_processes_are_killed(tmp_path_factory, monkeypatch):
    project = registered.versions(tmp_path_factory, "one", "two", "three")
    monkeypatch.chdir(project.root)
    decisions = int(os.environ.get("DECISIONS", "1000"))
    rules, draw = declare(project, **RULES), random.Random(1)
    usual = 1.0
    for _ in range(decisions):
        usual = 0.8 * usual + 0.2 * in_a_process(project, rules, draw, usual)
    store, book = mlflow_runs.client(project), ledger.of(project)
    approving.complete(store, book, MODEL, datetime.now(UTC))
    lines = book.lines(MODEL)
    moves = [line for line in lines if line.action in MOVES]
    print(f"{decisions} decisions, {len(lines)} lines, {len(moves)} promotions")
    assert ledger.broken(lines) == ""
    assert unapproved(lines) == []
    assert alias(project) == stand(lines).champion
    assert moves or decisions < 100
