"""What two versions of the data have in common: rows by their identities, columns by their statistics."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from flows.cli.commands import data as data_command
from flows.data import diff
from pipelines.table import row_groups
from tests.support.world import pets

# ------------------------------------------------------------------ rows in common


def table(path: Path, **values: pa.Array) -> Path:
    found = pa.table(values)
    row_groups.write(path, found.schema, found.to_batches(max_chunksize=7))
    return path


def ids(path: Path, numbers: np.ndarray) -> Path:
    return table(path, row_id=pa.array([f"{number * 0x9E3779B97F4A7C15 % 2**128:032x}" for number in numbers.tolist()]))


@pytest.mark.parametrize("held", [5, 1000])
@pytest.mark.parametrize("seed", range(5))
def test_rows_are_counted_as_often_as_they_are_there(tmp_path, seed, held):
    random = np.random.default_rng(seed)
    a, b = random.integers(0, 20, 30), random.integers(10, 30, 50)
    found = diff.rows(ids(tmp_path / "a.parquet", a), ids(tmp_path / "b.parquet", b), held)
    one, other = Counter(a.tolist()), Counter(b.tolist())
    expected = {"only_a": one - other, "only_b": other - one, "both": one & other}
    assert found == {name: counts.total() for name, counts in expected.items()}


# ------------------------------------------------------------------ statistics


def statistics(path: Path, values: pa.Array) -> dict[str, Any]:
    table(path, x=values)
    return diff.statistics(path, pa.field("x", values.type))


def test_statistics_of_numbers_are_those_of_pandas(tmp_path):
    frame = pets(100)
    found = statistics(tmp_path / "x.parquet", pa.array(frame["age"], pa.float64(), from_pandas=True))
    described = frame["age"].describe()
    names = {"mean": "mean", "standard_deviation": "std", "smallest": "min", "largest": "max"}
    assert found["kind"] == "number"
    assert found["missing"] == frame["age"].isna().sum() > 0
    assert {name: found[name] for name in names} == pytest.approx({name: described[key] for name, key in names.items()})


@pytest.mark.parametrize("kind", ["float64", "string", "int64"])
def test_the_order_of_the_rows_does_not_matter(tmp_path, kind):
    values = np.random.default_rng(0).normal(0, 100, 500).round(9 if kind == "float64" else 0)
    values = pd.Series(values).astype({"string": str, "int64": int}.get(kind, float)).tolist()
    found = [statistics(tmp_path / f"{n}.parquet", pa.array(values[n:] + values[:n], kind)) for n in (0, 250)]
    assert found[0] == found[1]


def test_of_values_the_most_frequent_are_told_with_their_share_of_those_that_are_there(tmp_path):
    values = [7, 7, 7, 5, 5, 3, 3, 1, 9, 2, None, None]
    found = statistics(tmp_path / "x.parquet", pa.array(values, pa.int64()))
    assert (found["kind"], found["missing"], found["distinct"]) == ("integer", 2, 6)
    assert found["frequent"] == [
        {"value": value, "share": pytest.approx(share)}
        for value, share in [(7, 0.3), (3, 0.2), (5, 0.2), (1, 0.1), (2, 0.1)]
    ]


def test_of_images_the_brightness_is_told(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 12), np.uint8)
    found = statistics(tmp_path / "x.parquet", pa.array([image.tobytes() for image in pixels], pa.binary(12)))
    bright = pixels.mean(axis=1)
    assert (found["kind"], found["missing"]) == ("image", 0)
    assert (found["smallest"], found["largest"]) == (bright.min(), bright.max())
    assert found["mean"] == pytest.approx(pixels.mean())
    assert found["standard_deviation"] == pytest.approx(bright.std(ddof=1))
    entry = {"column": "x", "a": found, "b": found, "differs": False}
    shown = data_command._columns({"columns": [entry]}, ("number", "image"), data_command._of_numbers)
    assert shown.splitlines()[1].split()[:5] == ["x", "a,", "b", "brightness", "0"]


@pytest.mark.parametrize(
    ("values", "known"),
    [([None, None], 0), ([2.5], 3), ([1e308, 1e308], 2)],
    ids=["all are missing", "one row", "their sum is no number"],
)
def test_what_cannot_be_computed_is_none(tmp_path, values, known):
    found = statistics(tmp_path / "x.parquet", pa.array(values, pa.float64()))
    assert sum(found[name] is not None for name in ("mean", "standard_deviation", "smallest", "largest")) == known
    json.dumps(found, allow_nan=False)
    data_command._of_numbers(found)


def test_text_that_is_all_missing_has_no_values(tmp_path):
    found = statistics(tmp_path / "x.parquet", pa.array([None, None], pa.string()))
    assert found == {"kind": "text", "missing": 2, "distinct": 0, "frequent": []}
    assert data_command._of_values(found)["most frequent"] == "none"


def test_a_column_of_another_kind_differs_and_is_told_by_both(tmp_path):
    one = table(tmp_path / "a.parquet", x=pa.array([1.0, 2.0]))
    other = table(tmp_path / "b.parquet", x=pa.array(["[1]", "a long text " * 9]))
    (entry,) = diff.columns(one, other)
    assert ([entry[key]["kind"] for key in "ab"], entry["differs"]) == (["number", "text"], True)
    shown = data_command._columns({"columns": [entry]}, ("integer", "text"), data_command._of_values)
    assert "[1] 50.0%, a long text a long te... 50.0%" in shown
