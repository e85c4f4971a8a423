"""The promise of a champion is read from the files that are kept with it, and from the ledger."""

from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from flows.monitoring.live import promise
from flows.records.champion_state import Standing
from pipelines.config import settings
from pipelines.model_file import of
from tests.support import registered
from tests.support.clone import ROOT
from tests.support.registered import MODEL, accept, standing

ERRORS = np.random.default_rng(0).normal(0, 50, 120)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    found = registered.project(tmp_path_factory.mktemp("promise"))
    ids = [f"r{number}" for number in range(120)]
    answers = pd.DataFrame({"row_id": ids, "actual": 150.0, "prediction": 150 + ERRORS})
    rows = pd.DataFrame({"row_id": ids, "split": "test"})
    registered.register(found, tmp_path_factory.mktemp("model"), "one", rows, answers)
    return found


@pytest.fixture
def declared(monkeypatch):
    monkeypatch.chdir(ROOT)
    return of(MODEL, settings.read(MODEL))


def test_without_a_champion_there_is_none(project, declared):
    assert promise.champion(project, declared, Standing()) is None


def test_the_promise_is_the_metric_on_the_test_rows_since_the_line_that_made_the_champion(project, declared):
    line = accept(project, 1, judged=3.0)
    found = promise.champion(project, declared, standing(project))
    assert (found.version, found.since) == (1, datetime.fromisoformat(line.at))
    assert declared.promote.metric == "mean_absolute_error"
    assert found.promise.value == pytest.approx(np.abs(ERRORS).mean())
    assert found.promise.low < found.promise.value < found.promise.high
    assert (found.promise.rows, found.promise.margin) == (120, declared.promote.margin)
    assert found.promise.judged == 3.0
    assert found.promise.worst == pytest.approx(declared.promote.worst or np.abs(ERRORS).max())
    assert found.content()["since"] == line.at
