"""A project with three registered versions, real logs and labels, of which one can be on trial."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from flows.labels import store
from flows.promotion import champion_alias, on_trial
from flows.records import ledger
from flows.records.champion_state import Standing
from flows.records.ledger import Line
from flows.serving.answer import Answer
from flows.serving.engine.loaded import Answered
from flows.serving.log.writer import Log
from flows.serving.rows.batch import Batch
from flows.tracking import mlflow_runs
from pipelines import model_file
from pipelines.sections.serve import Canary, Serve, Shadow
from tests.support import registered
from tests.support.registered import MODEL
from tests.support.served import answered

ROWS = 400
TRUTH = np.random.default_rng(3).uniform(50, 250, ROWS)
NAMES = [f"row {number}" for number in range(ROWS)]


@pytest.fixture(scope="session")
def versions(tmp_path_factory):
    return registered.versions(tmp_path_factory, "one", "two", "three")


class Live:
    """Version 1 is champion. The metric is the mean absolute error, and the margin 3."""

    def __init__(self, project: Any):
        self.project, self.book = project, ledger.of(project)
        self.at = datetime.now(UTC) + timedelta(minutes=1)  # of the answers: after the lines
        self.now = self.at + timedelta(days=1)
        self.declared = model_file.check(MODEL)
        self.wants(Serve(shadow=Shadow(rows=300)))
        self.line(registered.accept(project, 1))

    def wants(self, serve: Serve) -> None:
        self.declared = replace(self.declared, sections=self.declared.sections | {"serve": serve})

    def line(self, line: Line) -> None:
        champion_alias.settle(mlflow_runs.client(self.project), self.book, MODEL)

    @property
    def standing(self) -> Standing:
        return registered.standing(self.project)

    def judged(self, version: int, better: bool = True) -> None:
        """The gate accepts a version: it goes on trial, or becomes champion."""
        store, now = mlflow_runs.client(self.project), self.standing
        run = store.get_model_version(MODEL, str(version)).run_id
        facts = {"better": better, "looks": [], "run_id": run, "model_hash": f"of {version}", "test_rows": None}
        facts |= on_trial.after_promotion(self.declared.serve)
        line = Line(MODEL, 0, "accepted", version, now.champion, version, version, "it is fine", json.dumps(facts))
        line = on_trial.begun(self.declared.serve, now, replace(line, decision_key="k", actor="gate, run 7"))
        champion_alias.follow(store, self.book, self.book.append(now.last, line))

    def answers(self, version: int, said: Sequence[float], log: str = "answers", names: Any = None) -> None:
        """One version answers the rows. log: `shadow` for answers that nobody sees."""
        by = replace(answered.version(version), model=MODEL)
        row = [{"x": 1.0, "caller": name.split()[-1]} for name in names or NAMES[: len(said)]]
        batch = Batch({}, len(said), [()] * len(said), row if log == "answers" else [{}] * len(said))
        kept = Log(self.project.state / log, 0, answered.KEY)
        found = Answered(by, [Answer(float(one), {}) for one in said], batch)
        assert kept.write(found, names or NAMES[: len(said)], self.at)
        kept.close()

    def labels(self, rows: int = ROWS, truth: Sequence[float] = TRUTH, names: Any = None) -> None:
        table = pa.table({"id": (names or NAMES)[:rows], "label": list(truth[:rows])})
        store.add(self.project.state, self.declared, table, taken=self.at + timedelta(hours=1))

    def actions(self) -> list[str]:
        return [line.action for line in self.book.lines(MODEL)]


@pytest.fixture
def live(versions, monkeypatch):
    monkeypatch.chdir(versions.root)
    registered.forget(versions)
    for name in ("serving", "answers", "shadow", "labels"):
        shutil.rmtree(versions.state / name, ignore_errors=True)
    (versions.state / f"rollout-{MODEL}.json").unlink(missing_ok=True)
    return Live(versions)


BOTH = Serve(shadow=Shadow(rows=300), canary=Canary(key=["caller"], rows=200))
