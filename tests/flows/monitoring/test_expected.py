"""Expected performance: it follows rows that become harder, and says that it cannot see a changed relation."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from flows.monitoring import expected
from flows.monitoring.drift import look
from flows.registry.reference import CONFIDENCE
from pipelines.config.data import Data
from pipelines.model.metrics import Answers
from pipelines.table.summary import columns
from pipelines.table.summary.columns import NUMBERS
from pipelines.table.summary.gather import Gathered
from tests.flows.monitoring.drift.conftest import FIRST
from tests.support.served import versions, watched
from tests.support.served.answered import Answer

CLASSES = ["cat", "dog"]


def answered(seed, rows, harder=0.0, classes=CLASSES):
    """Answers of a model that is too sure of itself, and the truth. harder: by how much its scores are smaller."""
    random = np.random.default_rng(seed)
    scores = random.normal(size=(rows, len(classes))) * (2 - harder)
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    actual = np.array([random.choice(classes, p=chance) for chance in chances])
    said = np.exp(1.7 * scores) / np.exp(1.7 * scores).sum(axis=1, keepdims=True)
    table = pd.DataFrame(
        {f"probability_{name}": said[:, place].astype("float32") for place, name in enumerate(classes)}
    )
    return table.assign(actual=actual, prediction=np.array(classes)[said.argmax(axis=1)])


def lines(table, labelled):
    """The summary of answers, as reference and days have it."""
    found = []
    names = [name for name in table if name.startswith("probability_")]
    values = {name: table[name].to_numpy(float) for name in names}
    values[CONFIDENCE] = np.max([*values.values()], axis=0)
    for name, column in values.items():
        gathered = Gathered("", name, NUMBERS, answer=True)
        gathered.add_numbers(column)
        (line,) = gathered.columns()
        true = table["actual"] == (table["prediction"] if name == CONFIDENCE else name.removeprefix("probability_"))
        right = [int((true.to_numpy() & (column <= point)).sum()) for point in line.points]
        found.append(columns.Column(**vars(line) | {"right": right if labelled else []}))
    return found


@pytest.mark.parametrize("metric", ["accuracy", "log_loss", "roc_auc", "balanced_accuracy", "f1_macro"])
@pytest.mark.parametrize("harder", [0.0, 1.2])
def test_it_is_close_to_the_truth_on_rows_that_are_harder_too(metric, harder):
    tested, live = answered(1, 2_000), answered(2, 2_000, harder)
    found = expected.estimate(metric, CLASSES, lines(tested, True), lines(live, False))
    true, before = (Answers.read(table, "text").score(metric) for table in (live, tested))
    assert found == pytest.approx(true, abs=0.04)
    if harder:
        assert abs(found - before) > abs(true - before) / 2  # it has seen most of the change


@pytest.mark.parametrize("metric", ["accuracy", "log_loss", "roc_auc"])
def test_of_three_classes_too(metric):
    classes = ["a", "b", "c"]
    tested, live = answered(3, 3_000, classes=classes), answered(4, 3_000, 1.0, classes=classes)
    found = expected.estimate(metric, classes, lines(tested, True), lines(live, False))
    assert found == pytest.approx(Answers.read(live, "text").score(metric), abs=0.1 if metric == "log_loss" else 0.05)


def test_a_changed_relation_is_not_seen_and_that_is_said(tmp_path):
    tested, live = answered(1, 2_000), answered(2, 500)
    folder = versions.promote(tmp_path)
    columns.write(folder / "reference.parquet", lines(tested, True), {})
    live["actual"] = np.where(live["actual"] == "cat", "dog", "cat")  # the world turned over
    said = [
        Answer(one.prediction, {"cat": float(one.probability_cat), "dog": float(one.probability_dog)})
        for one in live.itertuples()
    ]
    watched.log(tmp_path, FIRST, watched.pets(500, seed=0), answer=said)
    project, declared = watched.project(tmp_path), watched.declared()
    look.update(project, declared, datetime(2026, 11, 20, tzinfo=UTC))
    found = expected.expected(project, declared, FIRST)
    assert found.rows == 500
    assert found.value == pytest.approx(found.then, abs=0.05)
    assert Answers.read(live, "text").score("accuracy") < found.value - 0.4
    assert found.said.startswith(f"accuracy is expected to be {found.value:.3f} on 2026-11-02 (test rows: ")
    assert "a changed relation cannot be seen without labels" in found.said
    later = expected.expected(project, declared, FIRST + timedelta(30))
    assert later.value is None
    assert later.why == "it has answered fewer than 100 rows in the 14 days up to 2026-12-02"


def test_where_it_is_not_offered_it_says_why(tmp_path):
    versions.promote(tmp_path, "weights")
    data = Data(kind="table", task="regression", target="weight", columns={"age": "number"})
    project = watched.project(tmp_path)
    found = expected.expected(project, watched.declared(data, "r2", "weights"), FIRST)
    assert found.said == "r2 is not expected without labels: the answers of a regression have no probabilities."
    versions.promote(tmp_path, "pets")
    assert expected.expected(project, watched.declared(), FIRST).why == "nobody kept the probabilities of its test rows"
    versions.promote(tmp_path, "tiles")
    found = expected.expected(project, watched.declared(metric="f1_macro", model="tiles"), FIRST)
    assert found.why == "f1_macro of 3 classes does not follow from the probabilities of single classes"
    assert expected.expected(project, watched.declared(model="nobody"), FIRST).why == "no version is live here"
