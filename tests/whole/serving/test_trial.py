"""A trial from its run to its end: run, answers, labels, watch; and back again, if the new champion is worse."""

import csv
import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from flows.serving.answer import Answer
from flows.serving.engine.loaded import Answered
from flows.serving.log.writer import Log
from flows.serving.rows.batch import Batch
from tests.support.clone import answer, clone, git
from tests.support.served import answered

pytestmark = pytest.mark.long
MODEL, ROWS = "diabetes", 120
SERVE = "\nserve: {shadow: {rows: 100}, rollback: automatic, before_rows: 1000}\n"
TRUTH = np.random.default_rng(1).uniform(60, 240, ROWS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = clone(tmp_path_factory.mktemp("trial") / "clone")
    yaml = found / "models" / f"{MODEL}.yaml"
    yaml.write_text(yaml.read_text().replace("margin: 3", "margin: 20") + SERVE)
    git(found, "commit", "-qam", "a trial for each candidate")
    return found


def answers(folder, log: str, version: int, said, name: str) -> None:
    by = replace(answered.version(version), model=MODEL)
    rows = [{"age": 1.0}] * ROWS
    batch = Batch({}, ROWS, [()] * ROWS, rows if log == "answers" else [{}] * ROWS)
    kept = Log(folder / ".ratchet" / log, 0, answered.KEY)
    names = [f"{name} {number}" for number in range(ROWS)]
    assert kept.write(Answered(by, [Answer(float(one), {}) for one in said], batch), names, datetime.now(UTC))
    kept.close()


def labels(folder, name: str) -> None:
    path = folder.parent / f"{name}.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("id", "label"), *((f"{name} {n}", one) for n, one in enumerate(TRUTH))])
    assert answer(folder, "label", MODEL, str(path))["new"] == ROWS


def champion(folder) -> int:
    (found,) = [one for one in answer(folder, "status")["models"] if one["model"] == MODEL]
    return int(found["champion"])


def test_a_candidate_is_tried_promoted_and_rolled_back_by_what_live_rows_show(folder):
    first = answer(folder, "run", MODEL)
    assert (first["decision"], first["champion"]) == ("accepted", 1)

    yaml = folder / "models" / f"{MODEL}.yaml"
    yaml.write_text(yaml.read_text().replace("seed: 7", "seed: 8"))
    git(folder, "commit", "-qam", "another seed")
    second = answer(folder, "run", MODEL)
    assert (second["decision"], second["champion"]) == ("on trial", 1), second["reason"]
    assert "ratchet watch" in second["next"]
    assert answer(folder, "run", MODEL)["decision"] == "on trial"

    answers(folder, "answers", 1, TRUTH + 60, "a")
    answers(folder, "shadow", 2, TRUTH + 1, "a")
    labels(folder, "a")
    watched = answer(folder, "watch", MODEL)
    assert [one["problems"] for one in watched["models"]] == [[]], json.dumps(watched)
    assert champion(folder) == 2

    answers(folder, "answers", 2, TRUTH + np.where(np.arange(ROWS) % 2, 90, -90), "b")
    answers(folder, "shadow", 1, TRUTH + 1, "b")
    labels(folder, "b")
    answer(folder, "watch", MODEL)
    assert champion(folder) == 1
    lines = answer(folder, "history", MODEL)["lines"]
    told = [(line["action"], line["actor"]) for line in lines if line["action"] not in ("noticed", "over")]
    assert [action for action, _ in told] == ["accepted", "on trial", "accepted", "rolled back"]
    assert [actor for _, actor in told[2:]] == ["monitor", "monitor"]
    again = answer(folder, "run", MODEL)
    assert (again["decision"], again["champion"]) == ("rejected", 1)
    assert "was left by a rollback" in again["reason"]
