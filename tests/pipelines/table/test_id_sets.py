"""Sets read in passes say what they would say if they were held at once."""

import hashlib
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.table import id_sets, row_groups, rows

SCHEMA = pa.schema([("row_id", pa.string())])


def ids_of(numbers) -> list[str]:
    return [hashlib.sha256(str(number).encode()).hexdigest()[:32] for number in numbers]


def marks(found: id_sets.Marks) -> list[bool]:
    return found.between(0, found.total).tolist()


def write(path, ids: list[str], in_a_batch: int = 7):
    pieces = [ids[start : start + in_a_batch] for start in range(0, len(ids), in_a_batch)]
    row_groups.write(path, SCHEMA, [pa.record_batch([piece], schema=SCHEMA) for piece in pieces])
    return path


numbers = st.lists(st.integers(0, 30), max_size=60)


@given(numbers, st.integers(1, 20))
def test_survey_is_the_same_however_many_are_held(tmp_path_factory, found, held):
    ids = ids_of(found)
    path = write(tmp_path_factory.mktemp("t") / "x.parquet", ids)
    digest, repeated = id_sets.survey(path, held)
    assert digest == rows.content_hash(ids)
    assert marks(repeated) == [row_id in ids[:index] for index, row_id in enumerate(ids)]


@given(numbers, st.randoms())
def test_the_hash_of_a_table_does_not_depend_on_the_order_of_rows(tmp_path_factory, found, random):
    folder = tmp_path_factory.mktemp("t")
    ids = ids_of(found)
    one = id_sets.survey(write(folder / "a.parquet", ids))[0]
    other = id_sets.survey(write(folder / "b.parquet", random.sample(ids, len(ids)), in_a_batch=3))[0]
    assert one == other


@given(numbers, numbers, st.integers(1, 20))
def test_marked_rows_are_those_that_the_other_table_has(tmp_path_factory, found, among, held):
    folder = tmp_path_factory.mktemp("t")
    one, other = write(folder / "a.parquet", ids_of(found)), write(folder / "b.parquet", ids_of(among))
    assert marks(id_sets.marked(one, other, held)) == [number in among for number in found]


@given(numbers, numbers.filter(bool), numbers.filter(bool), st.integers(1, 20))
def test_the_shares_known_are_those_of_sets_in_memory(first, second, third, held):
    tables = [np.array(ids_of(part), "S32") for part in (first, second, third)]
    readers = [lambda ids=ids: [ids[:3], ids[3:]] for ids in tables]
    shares = id_sets.shares_known(readers, [len(ids) for ids in tables], held)
    assert shares == pytest.approx([np.isin(second, first).mean(), np.isin(third, first + second).mean()])


@given(numbers, st.integers(1, 20))
def test_the_ranges_are_in_order_hold_every_row_once_and_leave_no_file(found, count):
    ids = np.array(ids_of(found), "S32")
    parts = list(id_sets.cut(lambda: [ids[:5], ids[5:]], len(ids), count))
    assert len(parts) == count
    assert sorted(place for _, places in parts for place in places.tolist()) == list(range(len(ids)))
    for part, places in parts:
        assert part.tobytes().hex() == b"".join(ids[places].tolist()).decode()
    bounds = [(min(part.tolist()), max(part.tolist())) for part, _ in parts if len(part)]
    assert all(high < low for (_, high), (low, _) in pairwise(bounds))
    assert not list(id_sets.FOLDER.glob("tmp*"))


@given(st.sets(st.integers(0, 99)), st.tuples(st.integers(0, 100), st.integers(0, 100)).map(sorted))
def test_marks_between_two_rows_are_those_that_were_added(places, between):
    start, stop = between
    found = id_sets.Marks(100)
    found.add(np.array(sorted(places), int))
    assert found.between(start, stop).tolist() == [place in places for place in range(start, stop)]
    assert found.count == len(places)
