"""Live quality: the champion's labelled rows, by day and in all, beside what the gate had promised."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from flows.monitoring.live import promise as promises
from flows.monitoring.live.promise import Champion, Promise
from flows.monitoring.live.spending import share
from flows.monitoring.quality import look
from flows.records.ledger import Line
from pipelines.config.data import Data
from pipelines.model.metrics import METRICS, Answers
from pipelines.model_file import Declaration
from pipelines.sections.labels import Labels
from pipelines.sections.monitor import Monitor
from pipelines.sections.promote import Promote

SINCE = datetime(2026, 3, 1, 9, tzinfo=UTC)
INSTANT = pa.timestamp("us", "UTC")


def declared(metric: str = "accuracy", margin: float = 0.02, zone: str = "UTC", selective: bool = False) -> Declaration:
    classify = METRICS[metric].task == "classification"
    kind = {"task": "classification", "label": "integer"} if classify else {"task": "regression"}
    data = Data(kind="table", target="y", columns={"age": "number"}, **kind)
    rules = Promote(metric=metric, at_least=0, margin=margin)
    labels, monitor = Labels(depend_on_answer=selective), Monitor(timezone=zone)
    sections = {"data": data, "promote": rules, "labels": labels, "monitor": monitor}
    return Declaration("pets", {}, sections)


def rows(count: int, days: float, flipped_from: float = np.inf, seed: int = 0, delay: float = 1.0) -> pa.RecordBatch:
    """Answers of version 3 with the probability of their class, spread over days; from a day on the labels are those of
    another world. Labels come `delay` days later."""
    random = np.random.default_rng(seed)
    after = np.sort(random.uniform(0, days, count))
    chance = random.beta(0.6, 0.6, count)
    label = (random.random(count) < np.where(after >= flipped_from, 1 - chance, chance)) * 1
    at = [SINCE + timedelta(days=float(one)) for one in after]
    return batch(at, (chance > 0.5) * 1, label, np.column_stack([1 - chance, chance]), delay)


def batch(
    at: list[datetime], predicted: np.ndarray, label: np.ndarray, chances: np.ndarray | None = None, delay: float = 1.0
) -> pa.RecordBatch:
    came = pa.array([one + timedelta(days=delay) for one in at], INSTANT)
    columns = {"id": [f"{number:05}" for number in range(len(at))], "at": pa.array(at, INSTANT)}
    columns |= {"version": pa.array([3] * len(at)), "prediction": pa.array(predicted), "label": pa.array(label)}
    columns |= {"known": came, "taken": came, "asked": pa.nulls(len(at), pa.float64())}
    for place in range(0 if chances is None else chances.shape[1]):
        columns[f"probability_{place}"] = pa.array(chances[:, place].astype(np.float32))
    return pa.RecordBatch.from_pydict(columns)


def with_column(found: pa.RecordBatch, name: str, values: pa.Array) -> pa.RecordBatch:
    return found.set_column(found.schema.get_field_index(name), name, values)


def champion(about: Declaration, count: int = 1000, seed: int = 100) -> Champion:
    """Tested on rows of the world as it was."""
    found = rows(count, 10, seed=seed)
    chances = np.column_stack([found[f"probability_{place}"] for place in (0, 1)])
    answers = Answers(np.arange(count), found["label"].to_numpy(), found["prediction"].to_numpy(), chances, [0, 1])
    return Champion(3, SINCE, promises.of(about, answers, 0))


def seen(about: Declaration, found: pa.RecordBatch, days: float = 40, of: Champion | None = None):
    return look(iter([found]), about, of or champion(about), SINCE + timedelta(days=days))


@pytest.mark.parametrize("metric", ["accuracy", "log_loss", "roc_auc", "f1_macro"])
def test_the_value_is_the_metric_of_all_rows_and_of_each_day_within_its_interval(metric):
    about, found = declared(metric), rows(1200, 8)
    quality = seen(about, found)
    chances = np.column_stack([found[f"probability_{place}"] for place in (0, 1)])
    answers = Answers(np.arange(1200), found["label"].to_numpy(), found["prediction"].to_numpy(), chances, [0, 1])
    days = np.array([at.date() for at in found["at"].to_pylist()])
    assert quality.value == pytest.approx(answers.score(metric))
    assert [one.first for one in quality.days] == sorted(set(days))
    for one in quality.days:
        assert one.value == pytest.approx(answers.take(days == one.first).score(metric))
        assert one.rows == (days == one.first).sum()
    for one in (quality, *quality.days):
        assert one.low <= one.value <= one.high
    assert not quality.worse


@pytest.mark.parametrize("metric", ["accuracy", "log_loss", "roc_auc"])
def test_a_world_that_turns_late_is_noticed_within_days_and_says_since_when(metric):
    about = declared(metric)
    quality = seen(about, rows(2400, 60, flipped_from=52), days=61)
    assert quality.worse
    assert quality.harm.first > date(2026, 3, 30)
    assert quality.said.startswith(f"worse by more than the margin 0.02: {metric}")
    assert f"answered since {quality.harm.first}; the gate promised" in quality.said
    assert not seen(about, rows(2400, 60), days=61).worse


def test_errors_of_numbers_are_bounded_by_the_worst_test_row_and_that_is_said():
    about = declared("mean_absolute_error")
    random = np.random.default_rng(0)
    at = [SINCE + timedelta(hours=hour) for hour in range(900)]
    tested = Answers(np.arange(300), random.normal(size=300), np.zeros(300), None, [])
    known = Champion(3, SINCE, promises.of(about, tested, 0))
    fine = seen(about, batch(at, np.zeros(900), random.normal(size=900)), of=known)
    harmed = seen(about, batch(at, np.zeros(900), random.normal(0, 2, 900)), of=known)
    assert (fine.worse, harmed.worse) == (False, True)
    assert known.promise.worst == pytest.approx(np.abs(tested.actual).max())
    assert f"a row counts at most {known.promise.worst:.4g}, the worst test row" in harmed.said


def test_rows_of_other_versions_of_before_the_promotion_and_asked_for_do_not_count():
    about, found = declared(), rows(400, 8)
    half = np.arange(400) % 2 == 0
    expected = seen(about, found.filter(pa.array(half)))
    others = with_column(found, "version", pa.array(np.where(half, 3, 2)))
    asked = with_column(found, "asked", pa.array([None if one else 0.5 for one in half]))
    before = [at if one else at - timedelta(days=30) for at, one in zip(found["at"].to_pylist(), half, strict=True)]
    for one in (others, asked, with_column(found, "at", pa.array(before, INSTANT))):
        assert seen(about, one) == expected


def test_a_label_that_has_not_come_yet_changes_nothing():
    about, found = declared(), rows(400, 8)
    first = found.filter(pa.array(np.array(found["taken"].to_pylist()) < SINCE + timedelta(days=5)))
    assert seen(about, found, days=5) == seen(about, first, days=5)


def test_a_metric_that_is_no_mean_is_looked_at_once_a_day():
    about, found = declared("f1_macro"), rows(400, 8)
    midnight = datetime(2026, 3, 6, tzinfo=UTC)
    looks = [look(iter([found]), about, champion(about), midnight + timedelta(hours=hour)) for hour in (0, 7, 23)]
    assert looks[0] == looks[1] == looks[2]


def test_days_are_those_of_the_zone():
    late = [datetime(2026, 3, 2, 23, 30, tzinfo=UTC)] * 4
    found = batch(late, np.ones(4, int), np.ones(4, int), np.tile([0.2, 0.8], (4, 1)))
    for zone, day in (("UTC", 2), ("Europe/Berlin", 3)):
        assert [one.first for one in seen(declared(zone=zone), found).days] == [date(2026, 3, day)]


def test_a_class_that_the_version_does_not_know_counts_as_wrong_and_is_told():
    about, found = declared("log_loss"), rows(300, 5)
    strange = with_column(found, "label", pa.array(np.where(np.arange(300) < 60, 7, found["label"].to_numpy())))
    quality = seen(about, strange)
    assert quality.strange == 60
    assert "60 labels of classes that it does not know" in quality.said
    assert quality.value > seen(about, found).value


def test_only_labels_of_classes_that_it_does_not_know_give_no_figure():
    about, found = declared("f1_macro"), rows(30, 2)
    quality = seen(about, with_column(found, "label", pa.array([7] * 30)))
    assert (quality.rows, quality.strange, quality.value, quality.worse) == (0, 30, None, False)


def test_what_is_selective_says_so():
    said = seen(declared(selective=True), rows(200, 5)).said
    assert said.endswith("these are only rows whose answer let a label come")


def test_labels_that_come_soon_and_differ_are_told():
    about, found = declared(), rows(2000, 30)
    right = found["label"].to_numpy() == found["prediction"].to_numpy()
    came = [at + timedelta(days=4 if ok else 1) for at, ok in zip(found["at"].to_pylist(), right, strict=True)]
    order = pa.array(np.argsort(came, kind="stable"))
    quality = seen(about, with_column(found, "taken", pa.array(came, INSTANT)).take(order))
    assert quality.early.soon < quality.early.late
    assert "labels that come soon tell another story" in quality.said
    assert seen(about, found).early is None


def test_without_labels_or_without_a_promise_nothing_is_called_worse():
    about, none = declared(), rows(1, 1).slice(0, 0)
    empty = seen(about, none)
    assert (empty.worse, empty.rows, empty.value) == (False, 0, None)
    assert empty.said == "no label has come for a row that version 3 has answered since it became champion"
    unknown = seen(about, rows(100, 2), of=Champion(3, SINCE, None))
    assert "too few rows for a promise" in unknown.said


def test_a_champion_that_was_picked_out_of_many_promises_less():
    about = declared()
    answers = Answers(np.arange(200), np.ones(200, int), (np.arange(200) > 20) * 1, None, [0, 1])
    alone, picked = promises.of(about, answers, 0), promises.of(about, answers, 9)
    assert picked.low < alone.low < alone.value == picked.value


def test_what_the_test_rows_had_judged_is_read_from_the_ledger():
    def line(number: int, action: str, version: int | None, evidence: str) -> Line:
        return Line("pets", number, action, version, None, None, None, "", evidence)

    first = [line(1, "rejected", 1, '{"model_hash": "a"}'), line(2, "noticed", None, "{}")]
    lines = [*first, line(3, "accepted", 2, '{"model_hash": "b"}'), line(4, "accepted", 3, '{"judged": 1.5}')]
    assert [promises.judged(lines, version) for version in (2, 3)] == [1, 1.5]


def test_the_shares_of_all_looks_add_up_to_at_most_one():
    assert sum(share(number, 30) for number in range(3000)) == pytest.approx(1)
    assert sum(share(number, 365) for number in range(365)) == pytest.approx(0.5)


def test_it_becomes_json():
    content = seen(declared(), rows(300, 5)).content()
    assert content["days"][0]["first"] == "2026-03-01"
    assert content["promise"]["rows"] == 1000
    assert content["worse"] is False


def test_worse_is_judged_by_the_low_end_of_the_promise_and_the_margin():
    about, found = declared(), rows(3000, 10)
    value = seen(about, found).value
    kept = champion(about).promise
    for low, worse in ((value + 0.01, False), (value + 0.2, True)):
        changed = replace(kept, value=low + 0.02, low=low, high=low + 0.04)
        assert isinstance(changed, Promise)
        assert seen(about, found, of=Champion(3, SINCE, changed)).worse is worse
