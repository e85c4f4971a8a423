"""Identities: sets read in passes say what they would say if they were held at once."""

import hashlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import identities, rows, tables

SCHEMA = pa.schema([("row_id", pa.string())])


def ids_of(numbers) -> list[str]:
    return [hashlib.sha256(str(number).encode()).hexdigest()[:32] for number in numbers]


def write(path, ids: list[str], in_a_batch: int = 7):
    pieces = [ids[start : start + in_a_batch] for start in range(0, len(ids), in_a_batch)]
    tables.write(path, SCHEMA, [pa.record_batch([piece], schema=SCHEMA) for piece in pieces])
    return path


numbers = st.lists(st.integers(0, 30), max_size=60)


@given(numbers, st.integers(1, 20))
def test_survey_is_the_same_however_many_are_held(tmp_path_factory, found, held):
    ids = ids_of(found)
    path = write(tmp_path_factory.mktemp("t") / "x.parquet", ids)
    digest, repeated = identities.survey(path, held)
    assert digest == rows.content_hash(ids)
    assert repeated.tolist() == [row_id in ids[:index] for index, row_id in enumerate(ids)]


@given(numbers, st.randoms())
def test_the_hash_of_a_table_does_not_depend_on_the_order_of_rows(tmp_path_factory, found, random):
    folder = tmp_path_factory.mktemp("t")
    ids = ids_of(found)
    one = identities.survey(write(folder / "a.parquet", ids))[0]
    other = identities.survey(write(folder / "b.parquet", random.sample(ids, len(ids)), in_a_batch=3))[0]
    assert one == other


@given(numbers, numbers, st.integers(1, 20))
def test_marked_rows_are_those_that_the_other_table_has(tmp_path_factory, found, among, held):
    folder = tmp_path_factory.mktemp("t")
    one, other = write(folder / "a.parquet", ids_of(found)), write(folder / "b.parquet", ids_of(among))
    assert identities.marked(one, other, held).tolist() == [number in among for number in found]


@given(numbers.filter(bool), numbers, st.integers(1, 20))
def test_the_share_known_is_that_of_sets_in_memory(tmp_path_factory, found, known, held):
    share = identities.share_known(lambda: [ids_of(found)], lambda: [ids_of(known)], (len(found), len(known)), held)
    assert share == pytest.approx(np.isin(found, known).mean())


@given(st.integers(0, 1000), st.integers(1, 10**6))
def test_ranges_cover_every_identity_once(passes, held):
    bounds = list(identities.ranges(passes * held, held))
    assert len(bounds) == max(1, passes)
    for row_id in [*ids_of(range(5)), "0" * 32, "f" * 32]:
        assert sum(low <= row_id.encode() < high for low, high in bounds) == 1
