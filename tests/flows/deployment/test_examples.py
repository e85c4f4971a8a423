"""Examples: golden rows in the form of a request. What they are read as is what the golden rows hold."""

import base64
import io
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from flows.deployment import examples
from pipelines.config.data import Data
from pipelines.table import row_groups, rows
from pipelines.table.series import windows
from tests.support import sequences

TABLE = {"kind": "table", "task": "regression", "target": "y", "columns": {"a": "number", "b": "category", "d": "date"}}


def test_a_row_of_a_table_has_every_column_and_plain_values():
    golden = pa.table(
        {
            "row_id": ["1", "2"],
            "a": pa.array([2.0, None]),
            "b": pa.array(["x", None]),
            "d": pa.array(["2026-01-01T00:00:00+00:00", None]),
        }
    )
    data = Data.model_validate(TABLE)
    found = examples.rows(data, golden, [])
    assert found[0] == {"a": 2, "b": "x", "d": "2026-01-01T00:00:00+00:00"}
    assert found[1] == {"a": None, "b": None, "d": None}
    assert isinstance(found[0]["a"], int)
    assert examples.first(found[::-1]) == found[0]
    assert examples.rows(Data.model_validate(TABLE), golden.drop_columns("a"), ["b"])[0] == found[0] | {
        "a": None,
        "b": None,
    }


def test_a_number_keeps_all_its_digits():
    golden = pa.table({"a": [0.1, 1e300, -0.0, 2.0**60], "b": ["x"] * 4, "d": pa.nulls(4, pa.string())})
    found = [row["a"] for row in examples.rows(Data.model_validate(TABLE), golden, [])]
    assert found == [0.1, 1e300, 0, 2.0**60]


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_a_picture_has_the_pixels_of_the_image(channels):
    data = Data.model_validate({"kind": "image", "task": "classification", "target": "y", "shape": [5, 4, channels]})
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 4, channels), np.uint8)
    golden = pa.table({"image": pa.array([one.tobytes() for one in pixels], pa.binary(20 * channels))})
    found = [row["image"] for row in examples.rows(data, golden, [])]
    read = [np.array(one) if channels == 2 else _opened(one) for one in found]
    np.testing.assert_array_equal([one.reshape(5, 4, channels) for one in read], pixels)


def _opened(text: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


def test_large_examples_are_few_but_there_is_one():
    data = Data.model_validate({"kind": "image", "task": "classification", "target": "y", "shape": [1500, 900, 1]})
    pixels = np.random.default_rng(0).integers(0, 256, (5, 1500 * 900), np.uint8)
    golden = pa.table({"image": pa.array([one.tobytes() for one in pixels], pa.binary(1500 * 900))})
    assert len(examples.rows(data, golden, [])) == 2


STEPS = [
    {},
    {"horizon": 3},
    {"seasons": [24], "baseline": "season_and_change"},
]


@pytest.mark.parametrize("more", STEPS, ids=["one step", "three steps", "a season"])
def test_the_rows_of_a_forecast_make_the_same_window_again(world, more):
    """The windows that the pipeline makes of an example's rows are those of the golden row."""
    folder = sequences.prepared(world, sequences.shops(), data_=sequences.SHOPS | more)
    data = Data.model_validate(sequences.SHOPS | more)
    golden = pq.read_table(folder / "test.parquet").slice(0, 40)
    found = examples.rows(data, golden, [])
    assert len(found) > 20
    wanted = [row for row in golden.to_pylist() if row[data.past_target][-1] == row[data.past_target][-1]]
    wanted = [row for row in wanted if row[data.past_target][-1] is not None]
    for example, row in zip(found, wanted, strict=True):
        made = _windows(world, data, [*example["rows"], _asked(data, row)])
        for name in data.features:
            np.testing.assert_array_equal(_plain(made[name]), _plain(row[name]), err_msg=name)


def _asked(data: Data, row: dict) -> dict:
    """The row that is forecast: when, and of which series."""
    return dict.fromkeys(data.columns) | {data.time: row[data.time], data.target: None, "shop": row["shop"]}


def _windows(world, data: Data, raw: list[dict]) -> dict:
    """The last window of some raw rows."""
    schema = rows.raw_schema(data)
    columns = {name: [one.get(name) for one in raw] for name in schema.names if name != "row_id"}
    columns["row_id"] = [str(place) for place in range(len(raw))]
    path = world.root / "example.parquet"
    row_groups.write(path, schema, [pa.RecordBatch.from_pydict({n: columns[n] for n in schema.names}, schema=schema)])
    tables = list(windows.windows(lambda: row_groups.batches(path), data, world.root, Counter(), every=True))
    return pa.concat_tables(tables).to_pylist()[-1]


def _plain(value):
    return ["" if one is None or one != one else one for one in (value if isinstance(value, list) else [value])]
