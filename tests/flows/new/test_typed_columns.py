"""What `ratchet new` says of the types that files other than CSV have."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.new import column_types, target
from flows.new.new import drafted
from flows.new.wanted import Wanted
from pipelines.table.rows import MISSING

COUNT = 100
ODD = {
    "times of day (time64[us])": pa.array([dt.time(at % 24) for at in range(COUNT)], pa.time64("us")),
    "times of day (time32[s])": pa.array([dt.time(at % 24) for at in range(COUNT)], pa.time32("s")),
    "durations (duration[us])": pa.array([dt.timedelta(seconds=at) for at in range(COUNT)]),
    "objects (struct<p: double>)": pa.array([{"p": 1.0 * at} for at in range(COUNT)]),
    "lists (list<item: int64>)": pa.array([[1, at] for at in range(COUNT)]),
    "lists (fixed_size_list<item: float>[2])": pa.array([[1, 2]] * COUNT, pa.list_(pa.float32(), 2)),
    "lists (large_list<item: int8>)": pa.array([[1]] * COUNT, pa.large_list(pa.int8())),
    "maps (map<string, int64>)": pa.array([[("k", at)] for at in range(COUNT)], pa.map_(pa.string(), pa.int64())),
    "bytes that are no text in UTF-8 (binary)": pa.array([bytes([200, at]) for at in range(COUNT)]),
    "bytes that are no text in UTF-8 (fixed_size_binary[2])": pa.array([b"\xff\x00"] * COUNT, pa.binary(2)),
}


@pytest.mark.parametrize("told", ODD)
def test_a_column_without_single_values_is_left_out_with_its_type_and_the_repair(told):
    found = column_types.column("odd", pa.chunked_array([ODD[told]]), MISSING)
    assert found.role == "ignore"
    assert found.why.startswith(told)
    assert "in the source write" in found.why


def test_a_file_with_all_of_them_becomes_a_model_without_them(tmp_path):
    """Whatever looks at the columns together has to bear them."""
    random = np.random.default_rng(0)
    seen = {"x": random.normal(size=COUNT), "y": ["a" if one else "b" for one in random.integers(0, 2, COUNT)]}
    odd = {f"odd{place}": column for place, column in enumerate(ODD.values())}
    pq.write_table(pa.table({**seen, **odd}), tmp_path / "odd.parquet")
    draft = drafted(Wanted("odd", tmp_path / "odd.parquet", "y", [], []), "-")
    assert [column.name for column in draft.seen] == ["x"]
    kinds = {column.name: column.why.partition(" (")[0] for column in draft.left_out}
    assert kinds == {name: told.partition(" (")[0] for name, told in zip(odd, ODD, strict=True)}


WORDS = ["red", "green", None, "blue"] * 25
SAME = {
    "flag": [
        pa.array([True, False, None, True] * 25),
        pa.array(["True", "false", None, "TRUE"] * 25),
        pa.array(["true", "False", "NA", "true"] * 25).dictionary_encode(),
    ],
    "word": [
        pa.array(WORDS),
        pa.array(WORDS, pa.large_string()),
        pa.array(WORDS).dictionary_encode(),
        pa.array([word and word.encode() for word in WORDS]),
    ],
    "number": [
        pa.array([0.1, 2.5, None, -3.0] * 25),
        pa.array(np.array([0.1, 2.5, np.nan, -3.0] * 25, np.float32)),
        pa.array([Decimal("0.10"), Decimal("2.50"), None, Decimal("-3.00")] * 25),
        pa.array(["0.1", "2.5", "", "-3"] * 25),
    ],
    "date": [
        pa.array([dt.datetime(2026, 1, day + 1) for day in range(20)] * 5, pa.timestamp("ns")),
        pa.array([dt.date(2026, 1, day + 1) for day in range(20)] * 5),
        pa.array([f"2026-01-{day + 1:02}" for day in range(20)] * 5),
    ],
}


@pytest.mark.parametrize("kind", SAME)
def test_the_same_values_are_the_same_column_in_every_type(kind):
    found = [column_types.column("x", pa.chunked_array([array]), MISSING) for array in SAME[kind]]
    known = [(one.role, one.words, one.missing, np.float32(one.low), np.float32(one.high)) for one in found]
    assert known == known[:1] * len(known)
    assert found[0].role == {"flag": "category", "word": "category"}.get(kind, kind)


def test_words_and_classes_are_named_as_ingest_writes_them():
    cells = pa.chunked_array([pa.array(["1.0", "2.0", "c3", "True"] * 25)])
    assert set(column_types.column("x", cells, MISSING).words) == {"1", "2", "c3", "true"}
    assert set(target.target("x", cells, MISSING, "rows.csv").classes) == {"1", "2", "c3", "true"}


def test_a_time_of_day_is_not_shortened_to_an_hour():
    assert column_types.cells(pa.chunked_array([pa.array(["18.00", "18.30"])]), MISSING).tolist() == ["18.00", "18.30"]
