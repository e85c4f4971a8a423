"""Values of the log mean what they mean to the server, whatever they are; pictures and series have values too."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.monitoring.drift import champion, look, values
from flows.serving.log import columns
from flows.serving.problem import Problem
from flows.serving.rows.reader import RowReader
from pipelines.config.data import Data
from pipelines.table.summary.gather import Gathered
from tests.flows.monitoring.drift.conftest import FIRST
from tests.support.served import versions, watched
from tests.support.served.answered import NOON, Answer

CELLS = st.one_of(
    st.none(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(10**6), 10**6),
    st.booleans(),
    st.sampled_from(["", "NA", " 3 ", "1e3", "8000.0", "x", "black", "1,5", "true"]),
)


def batch(rows, **answer):
    """Rows as the closed log has them."""
    said = {"prediction": "dog", "probabilities": {}, "unknown": []} | answer
    lines = [
        {"id": "1", "at": NOON.isoformat(), "version": 1, "model_hash": "", "answer": said, "row": r} for r in rows
    ]
    shape = columns.Shape()
    for line in lines:
        shape.take(line)
    return columns.batch(orjson.loads(orjson.dumps(lines)), shape.schema())


def gathered(found, rows):
    """The summary of each watched column."""
    made = {}
    for reader in values.readers(found, {}):
        into = made[reader.name] = Gathered("", reader.name, reader.kind, named=reader.named)
        reader.add(into, values.fields(batch(rows), found).get(reader.name, pa.nulls(len(rows))))
    return {name: next(iter(one.columns())) for name, one in made.items()}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    state = tmp_path_factory.mktemp("served")
    folder = versions.promote(state)
    return champion.of(watched.project(state), "pets"), RowReader(folder)


@given(st.lists(st.fixed_dictionaries({"weight": CELLS, "colour": CELLS}), min_size=1, max_size=8))
@settings(deadline=None)
def test_a_summary_counts_what_the_server_would_read(served, drawn):
    found, server = served
    taken = [versions.pets_row(**row) for row in drawn]
    kept, unknown = [], 0
    for row in taken:
        try:
            one = server.read([row])
        except Problem:
            continue
        unknown += sum("colour" in names for names in one.unknown)
        kept.append((row, one.arrays["numbers"][0, 0], one.arrays["categories"][0, 0]))
    if not kept:
        return
    lines = gathered(found, [row for row, _, _ in kept])
    numbers = np.array([number for _, number, _ in kept])
    assert lines["weight"].missing == np.isnan(numbers).sum()
    assert lines["weight"].unreadable == 0
    assert sorted(set(numbers[~np.isnan(numbers)].tolist())) == lines["weight"].points
    words = [word for _, _, word in kept]
    assert lines["colour"].missing == words.count("")
    assert lines["colour"].unknown == unknown
    assert dict(zip(lines["colour"].words, lines["colour"].counts, strict=True)).get("black", 0) == words.count("black")


def test_what_cannot_be_read_counts_as_missing_and_is_counted(served):
    found, _ = served
    lines = gathered(found, [versions.pets_row(weight="heavy", colour=[1]), versions.pets_row(weight=3.0)])
    assert (lines["weight"].unreadable, lines["weight"].missing, lines["weight"].points) == (1, 1, [3.0])


def test_of_a_picture_the_mean_value_is_watched(tmp_path):
    versions.promote(tmp_path, "tiles")
    found = champion.of(watched.project(tmp_path), "tiles")
    (line,) = gathered(found, [{"image": [[20] * 6] * 6}, {"image": [[200] * 6] * 6}, {"image": "nothing"}]).values()
    assert (line.name, line.points, line.unreadable) == ("pixel_mean", [20.0, 200.0], 1)


def test_of_a_series_the_last_known_row_is_watched(tmp_path):
    versions.promote(tmp_path, "shops")
    found = champion.of(watched.project(tmp_path), "shops")
    lines = gathered(found, [{"rows": versions.shops_rows(8)}, {"rows": versions.shops_rows(4)}, {"rows": []}])
    assert lines["warm"].points == [5.5]
    assert lines["warm"].missing == 1
    assert lines["shop"].missing == 1
    assert "born" not in lines


def test_rows_of_a_series_raise_no_alarm_of_drift(tmp_path):
    """They depend on each other: a test of independent rows would be wrong on most days."""
    folder = versions.promote(tmp_path, "shops")
    data = Data(
        kind="sequence",
        task="regression",
        target="sold",
        columns={"at": "date", "shop": "category", "warm": "number", "sky": "category"},
        time="at",
        series=["shop"],
        step=3600,
        window=6,
    )
    place = watched.project(tmp_path)
    days_before = watched.declared(data, "r2", "shops", reference=3)
    for step in range(6):
        rows = [{"rows": [row | {"warm": float(hour + 50 * (step > 3))} for row in versions.shops_rows(8)]}
                for hour in range(120)]  # fmt: skip
        watched.log(tmp_path, FIRST + timedelta(step), rows, answer=Answer(5.0), model="shops")
    look.update(place, days_before, datetime(2026, 11, 20, tzinfo=UTC))
    found = look.look(place, days_before, FIRST + timedelta(5))
    warm = next(one for one in found.columns if one.name == "warm")
    assert warm.distance > 0.4
    assert not warm.alarm
    assert "depend on each other" in found.said
    assert folder.is_dir()
    assert json.dumps(found.content())
