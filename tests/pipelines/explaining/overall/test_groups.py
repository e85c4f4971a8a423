"""Columns that hang together: numbers, words, one by the other; and nothing that only seems to."""

import numpy as np
import pytest

from pipelines.explaining.columns import Column
from pipelines.explaining.overall import groups

N = [Column(f"n{place}", "numbers", place) for place in range(3)]
W = [Column(f"w{place}", "categories", place) for place in range(3)]


def arrays(rows=300, seed=0):
    random = np.random.default_rng(seed)
    return {
        "numbers": random.normal(size=(rows, 3)),
        "categories": random.choice(["a", "b", "c", ""], (rows, 3)).astype(object),
    }


def test_independent_columns_have_no_groups():
    found = arrays()
    assert groups.groups(found, [*N, *W]) == []
    off = groups.association(found, [*N, *W]) - np.eye(6)
    assert off.max() < 0.25


def test_a_number_and_its_copy_upside_down_with_gaps_hang_together():
    found = arrays()
    found["numbers"][:, 2] = -np.exp(found["numbers"][:, 0])
    found["numbers"][:5, 2] = np.nan
    assert groups.groups(found, N) == [[N[0], N[2]]]


def test_words_hang_together_under_other_names_and_numbers_by_their_word():
    found = arrays()
    found["categories"][:, 1] = np.char.add("is ", found["categories"][:, 0].astype(str))
    known = {"a": 0.0, "b": 10.0, "c": 20.0, "": 30.0}
    found["numbers"][:, 1] += [known[word] for word in found["categories"][:, 0]]
    assert groups.groups(found, [*N, *W]) == [[N[1], W[0], W[1]]]


def test_words_that_are_new_in_each_row_hang_together_with_nothing():
    found = arrays(40)
    found["categories"][:, 0] = [f"id {row}" for row in range(40)]
    off = groups.association(found, [*N, *W])[3]
    assert max(off[:3].max(), off[4:].max()) < 0.5


def test_constants_and_gaps_hang_together_with_nothing():
    found = arrays()
    found["numbers"][:, 0], found["numbers"][:, 1] = np.nan, 4.0
    found["categories"][:, 0] = "always"
    assert groups.groups(found, [*N, *W]) == []


@pytest.mark.parametrize("rows", [0, 1, 9])
def test_few_rows_have_no_groups(rows):
    assert groups.groups({"numbers": np.ones((rows, 3))}, N) == []


def test_windows_hang_together_by_their_last_step():
    random = np.random.default_rng(0)
    past = random.normal(size=(100, 4, 2))
    past[:, -1, 1] = past[:, -1, 0]
    both = [Column("p", "past_numbers", 0), Column("q", "past_numbers", 1)]
    assert groups.groups({"past_numbers": past}, both) == [both]
