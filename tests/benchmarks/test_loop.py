"""benchmarks/loop looks as the watch does: its short way, day by day, gives the verdicts of `quality.look`."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from flows.monitoring.live.promise import Champion
from flows.monitoring.quality import look
from pipelines.config.data import Data
from pipelines.model_file import Declaration
from pipelines.sections.labels import Labels
from pipelines.sections.monitor import Monitor
from pipelines.sections.promote import Promote

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from loop import streams
from loop.looks import LOOKS, first_worse

START = datetime(2026, 1, 1, tzinfo=UTC)
INSTANT = pa.timestamp("us", "UTC")
DAYS, DELAY = 9, 1


def batch(scored) -> pa.RecordBatch:
    """The same rows as they lie in the log, each answered at noon; labels come some days later."""
    at = [START + timedelta(days=int(day), hours=12) for day in scored.days]
    columns = {"at": pa.array(at, INSTANT), "version": pa.array([1] * len(at)), "asked": pa.nulls(len(at))}
    columns["taken"] = pa.array([one + timedelta(days=DELAY) for one in at], INSTANT)
    answers = scored.answers
    columns |= {"prediction": pa.array(answers.predicted), "label": pa.array(answers.actual)}
    for place, name in enumerate(answers.classes):
        columns[f"probability_{name}"] = pa.array(answers.probabilities[:, place])
    return pa.RecordBatch.from_pydict(columns)


def declared(metric: str) -> Declaration:
    data = Data(kind="table", task="classification", label="integer", target="y", columns={"x": "number"})
    rules = Promote(metric=metric, margin=0.02)
    return Declaration("p", {}, {"data": data, "promote": rules, "labels": Labels(), "monitor": Monitor(looks=LOOKS)})


@pytest.mark.parametrize(("metric", "harm"), [("accuracy", 0.3), ("log_loss", 0.3), ("roc_auc", 1.0)])
def test_the_short_way_says_worse_on_the_same_day(metric, harm):
    about, found = declared(metric), set()
    for seed in range(2):
        random = np.random.default_rng(seed)
        promise = streams.tested(metric, 500, 0.02, random)
        scored = streams.Stream(DAYS, 60, 4, harm if seed else 0.0).scored(metric, random)
        rows, champion = batch(scored), Champion(1, START, promise)
        ends = (START + timedelta(days=day + 1) for day in range(DAYS + DELAY))
        worse = [look(iter([rows]), about, champion, end).worse for end in ends]
        assert first_worse(metric, scored, promise, DELAY) == (worse.index(True) if any(worse) else None), seed
        found.add(any(worse))
    assert found == {True, False}
