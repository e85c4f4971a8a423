"""Every row once in an epoch, in an order that seed and epoch alone decide, whether a split is held or not."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import train
from pipelines.config.data import Data
from pipelines.fitting import fit
from pipelines.model import statistics
from pipelines.table import row_groups
from pipelines.train import Train
from pipelines.training import data_loader
from pipelines.training.data_loader import Columns, Held, Split, Streamed
from tests.pipelines.test_train import contents
from tests.support.world import PETS

pytestmark = pytest.mark.usefixtures("hardware")

DATA = Data(kind="table", task="regression", target="y", columns={"x": "number"})
SCHEMA = pa.schema([("x", pa.float64()), ("y", pa.float64())])
ROW = 16  # bytes of the columns that `prepare` gives for a row


def prepare(arrays: data_loader.Arrays, target: np.ndarray) -> Columns:
    """Features of two numbers, and the target, which is one more than the first of them."""
    return np.column_stack([arrays["numbers"][:, 0], -arrays["numbers"][:, 0]]).astype(np.float32), target


def split(folder: Path, rows: int, group: int) -> Split:
    """Rows numbered from 0, `group` of them in a row group."""
    numbers = np.arange(float(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_groups, "GROUP_ROWS", group)
        row_groups.write(folder / "x.parquet", SCHEMA, [pa.record_batch([numbers, numbers + 1], schema=SCHEMA)])
    return Split(folder / "x.parquet", DATA)


def held(found: Split, seed: int | None) -> Held:
    made = data_loader.feed(found, prepare, 10, seed)
    assert isinstance(made, Held)
    return made


def streamed(found: Split, seed: int | None, batch_size: int = 10, window: int = 30) -> Streamed:
    """window: its rows, rounded to whole row groups."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data_loader, "HELD_BYTES", 0)
        patch.setattr(data_loader, "WINDOW_BYTES", window * ROW)
        made = data_loader.feed(found, prepare, batch_size, seed)
    assert isinstance(made, Streamed)
    return made


KINDS = {"held": held, "streamed": streamed}
by_kind = pytest.mark.parametrize("made", KINDS.values(), ids=list(KINDS))


def taken(found: data_loader.Feed, epoch: int) -> list[list[float]]:
    """The targets of each window as they are taken; each belongs to the features beside it."""
    windows = []
    for window in found.epoch(epoch):
        x, y = (np.asarray(column)[window.order] for column in window.columns)
        np.testing.assert_array_equal(x, np.column_stack([y - 1, 1 - y]))
        windows.append(y.tolist())
    assert len(windows) == found.windows
    return windows


def joined(found: data_loader.Feed, epoch: int) -> list[float]:
    return [row for window in taken(found, epoch) for row in window]


@by_kind
def test_every_row_comes_once_in_an_epoch_and_the_order_is_that_of_seed_and_epoch(tmp_path, made):
    rows = split(tmp_path, 95, 10)

    def orders(seed: int) -> list[list[float]]:
        return [joined(made(rows, seed), epoch) for epoch in range(3)]

    assert all(sorted(order) == [*range(1, 96)] for order in orders(1) + orders(2))
    assert len({tuple(order) for order in orders(1) + orders(2)}) == 6
    assert orders(1) == orders(1)


@by_kind
def test_an_epoch_has_its_order_whichever_came_before_it(tmp_path, made):
    """So a training goes on from a checkpoint."""
    rows = split(tmp_path, 95, 10)
    one = made(rows, 1)
    assert [joined(one, epoch) for epoch in range(3)][2] == joined(made(rows, 1), 2)


@by_kind
def test_without_a_seed_rows_come_in_the_order_of_the_file_in_every_epoch(tmp_path, made):
    found = made(split(tmp_path, 95, 10), None)
    assert [joined(found, epoch) for epoch in range(2)] == [[*range(1, 96)]] * 2


@given(st.integers(1, 120), st.integers(1, 40), st.integers(1, 60), st.integers(1, 80), st.none() | st.integers(0, 3))
def test_a_stream_of_any_sizes_has_every_row_once_in_whole_batches_and_windows_of_one_shape(
    tmp_path_factory, rows, group, batch_size, window, seed
):
    found = streamed(split(tmp_path_factory.mktemp("t"), rows, group), seed, batch_size, window)
    sizes = [len(order) for order in taken(found, 0)]
    assert sorted(joined(found, 0)) == [*range(1, rows + 1)]
    assert all(size % batch_size == 0 for size in sizes[:-1])
    shapes = [(column.shape, column.dtype) for column in found.shaped()]
    for opened in found.epoch(1):
        assert [(column.shape, column.dtype) for column in opened.columns] == shapes
        assert opened.order.dtype == np.int32
    assert found.windows == math.ceil(math.ceil(rows / group) / max(1, window // min(group, rows)))


def test_memory_does_not_grow_with_the_rows(tmp_path):
    """A window has room for the rows it may hold, however many windows there are."""
    for rows in (90, 900):
        folder = tmp_path / str(rows)
        folder.mkdir()
        found = streamed(split(folder, rows, 10), seed=1)
        assert (found.windows, len(found.shaped()[0])) == (rows // 30, 30 + 10)


@by_kind
def test_the_rows_of_a_window_are_in_memory_once_and_belong_to_the_tensors(tmp_path, made):
    """TensorFlow copies an array twice, unless it lies as `_zeros` gives it."""
    column = data_loader._zeros((1000, 2), np.dtype(np.float32))
    assert column.ctypes.data % data_loader.ALIGNED == 0
    assert not column.any()
    assert np.shares_memory(np.asarray(memoryview(data_loader._tensor(column))), column)
    found = made(split(tmp_path, 95, 10), 1)
    for columns in (found.shaped(), *(window.columns for window in found.epoch(0))):
        assert all(type(tensor).__name__ == "EagerTensor" for tensor in columns)


def test_rows_of_one_window_come_from_row_groups_all_over_the_file_and_are_mixed(tmp_path):
    first, *_ = taken(streamed(split(tmp_path, 300, 10), seed=1), 0)
    groups = [int(row - 1) // 10 for row in first]
    assert set(groups) != {0, 1, 2}
    assert len(set(groups)) == 3
    assert groups != sorted(groups)
    assert len(set(groups[:10])) > 1


def test_whether_a_split_is_held_depends_on_the_bytes_of_its_features(tmp_path, monkeypatch):
    """And a little on its rows: many columns take long to read anew."""
    rows = split(tmp_path, 95, 10)
    for few, times in ((94, 1), (95, 2)):
        monkeypatch.setattr(data_loader, "FEW_ROWS", few)
        monkeypatch.setattr(data_loader, "HELD_BYTES", -(-95 * ROW // times))
        assert isinstance(data_loader.feed(rows, prepare, 10, 1), Held)
        monkeypatch.setattr(data_loader, "HELD_BYTES", 95 * ROW // times - 1)
        assert isinstance(data_loader.feed(rows, prepare, 10, 1), Streamed)


@pytest.mark.parametrize(("limit", "value"), [("PIECE_ROWS", 9), ("PIECE_BYTES", 9 * ROW)])
def test_pieces_are_small_however_large_a_row_group_is(tmp_path, monkeypatch, limit, value):
    rows = split(tmp_path, 95, 50)
    monkeypatch.setattr(data_loader, limit, value)
    found = list(rows.pieces())
    assert 1 < max(len(target) for _, target in found) <= 9
    np.testing.assert_array_equal(np.concatenate([target for _, target in found]), np.arange(1, 96))
    assert all((arrays["numbers"][:, 0] + 1 == target).all() for arrays, target in found)


def test_pieces_of_some_row_groups_come_in_their_order(tmp_path):
    found = [target.tolist() for _, target in split(tmp_path, 25, 10).pieces([2, 0])]
    assert found == [[*range(21, 26)], [*range(1, 11)]]


# ------------------------------------------------------------------ a training on a stream


@pytest.fixture
def folder(tmp_path, made, monkeypatch):
    """The split files of pets in row groups of 20, and room for two of them in a window; nothing is held."""
    monkeypatch.setattr(row_groups, "GROUP_ROWS", 20)
    for name in ("train", "validation"):
        rows = pq.read_table(made.root / f"data/pets/{name}.parquet")
        row_groups.write(tmp_path / f"{name}.parquet", rows.schema, rows.to_batches())
    monkeypatch.setattr(data_loader, "HELD_BYTES", 0)
    monkeypatch.setattr(data_loader, "WINDOW_BYTES", 40 * 36)  # 8 features and the target, 4 bytes each
    return tmp_path


def trained(folder: Path, **changes: Any) -> dict[str, bytes]:
    data, config = Data.model_validate(PETS["data"]), Train.model_validate(PETS["train"] | changes)
    splits = (Split(folder / "train.parquet", data), Split(folder / "validation.parquet", data))
    fitted = statistics.measure(data, splits[0].pieces)
    train.save(train.train(config, fitted, splits, folder / "history.csv"), data, config, fitted, folder / "model")
    return contents(folder)


def test_a_streamed_training_gives_the_same_bytes_twice(folder, monkeypatch):
    made: list[data_loader.Feed] = []
    plain = data_loader.feed

    def noted(*arguments):
        made.append(plain(*arguments))
        return made[-1]

    monkeypatch.setattr(fit, "feed", noted)
    first = trained(folder)
    assert trained(folder) == first
    assert len(made) == 4
    assert all(isinstance(one, Streamed) and one.windows > 1 for one in made)


@pytest.mark.long
def test_a_streamed_training_learns_what_a_held_one_learns(folder, monkeypatch):
    def last() -> pd.Series:
        trained(folder, epochs=6, learning_rate=0.01)
        history = pd.read_csv(folder / "history.csv")
        assert history["validation/loss"].iloc[-1] < 0.5 * history["validation/loss"].iloc[0]
        return history.iloc[-1]

    streamed = last()
    monkeypatch.setattr(data_loader, "HELD_BYTES", 1 << 20)
    held = last()
    assert streamed["validation/loss"] == pytest.approx(held["validation/loss"], rel=0.05)
    assert streamed["validation/loss"] != held["validation/loss"]  # in another order
