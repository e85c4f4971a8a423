"""Pieces: every row once, in order, in whole batches, small enough, and the same in another process."""

import pickle

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.predict.answering import pieces
from flows.predict.answering.pieces import Part, Piece, Reading
from pipelines.config.data import Data
from pipelines.errors import DataError
from pipelines.ingest import Ingest

DATA = Data(kind="table", task="regression", target="y", columns={"x": "number", "colour": "category"})
READING = Reading(DATA, Ingest(source="x"), {"colour": pa.array(["red"])})


def part(where: str, first: int, numbers: list[str], colours: list[str | None]) -> Part:
    columns = [pa.array(numbers, pa.string()), pa.array(colours, pa.string()), pa.nulls(len(numbers), pa.float64())]
    return Part(where, first, pa.record_batch(columns, ["x", "colour", "y"]))


def files(sizes: list[int]) -> list[Part]:
    """Two files with parts of these sizes; the rows are counted through."""
    found, before, first = [], 0, 1
    for place, size in enumerate(sizes):
        first = 1 if place == len(sizes) // 2 else first
        where = "a.csv" if place < len(sizes) // 2 else "b.csv"
        found.append(part(where, first, [str(row) for row in range(before, before + size)], ["red"] * size))
        before, first = before + size, first + size
    return found


def numbers(piece: Piece) -> list[float]:
    return READING.read(piece)[0]["x"].to_pylist()


@given(sizes=st.lists(st.integers(0, 40), max_size=8), size=st.integers(1, 9), most=st.integers(1, 30))
def test_every_row_comes_once_in_order_and_only_the_last_piece_has_no_whole_batches(sizes, size, most):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "ROWS", most)
        found = list(pieces.cut(files(sizes), size))
    rows = [numbers(piece) for piece in found]
    assert [row for one in rows for row in one] == [*range(sum(sizes))]
    assert all(len(one) == max(1, most // size) * size for one in rows[:-1])
    assert [piece.before for piece in found] == [sum(map(len, rows[:place])) for place in range(len(rows))]


def test_a_piece_of_large_values_has_fewer_rows_but_a_whole_batch(monkeypatch):
    monkeypatch.setattr(pieces, "BYTES", 1000)
    wide = pa.record_batch([pa.array(["x" * 100] * 50)], ["text"])
    assert [sum(p.content.num_rows for p in one.parts) for one in pieces.cut([Part("a", 1, wide)], 4)][:2] == [8, 8]
    assert [sum(p.content.num_rows for p in one.parts) for one in pieces.cut([Part("a", 1, wide)], 30)] == [30, 20]


def test_a_message_names_file_and_row_wherever_the_row_was_cut_off(monkeypatch):
    monkeypatch.setattr(pieces, "ROWS", 4)
    rows = part("b.csv", 1, ["1"] * 9 + ["old"], ["red"] * 10)
    *_, last = pieces.cut([*files([5]), rows], 4)
    with pytest.raises(DataError, match=r"^b\.csv: Row 10, column 'x': 'old' is not a number"):
        READING.read(last)
    same_name = part("b.csv", 1, ["1", "old"], ["red"] * 2)  # in another folder
    with pytest.raises(DataError, match=r"^b\.csv: Row 2, column 'x'"):
        READING.read(Piece([*files([1]), same_name], 0))


def test_unknown_words_are_counted_by_piece_and_a_refused_one_is_named_by_its_row_of_all(monkeypatch):
    monkeypatch.setattr(pieces, "ROWS", 8)
    rows = part("b.csv", 1, ["1"] * 6, ["red"] * 5 + ["pink"])
    first, last = pieces.cut([*files([3]), rows], 8)
    assert [READING.read(piece)[1].counts for piece in (first, last)] == [{}, {"colour": 1}]
    strict = Reading(DATA, READING.config, READING.known, strict=True)
    strict.read(first)
    with pytest.raises(DataError, match="Row 9, column 'colour': 'pink'"):
        strict.read(last)


def test_another_process_gets_the_rows_of_a_piece_and_no_others():
    whole = files([10_000])[0]
    there = whole.slice(5_000, 3)
    sent = pickle.dumps(Piece([there], 5_000))
    assert len(sent) < 2_000
    assert pickle.loads(sent).parts == [there]
