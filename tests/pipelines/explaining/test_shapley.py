"""Shapley: contributions add up, belong to the columns that matter, and are those of the definition."""

import itertools
from math import factorial

import numpy as np
import pytest

from pipelines.explaining import shapley
from pipelines.explaining.columns import columns, rows
from pipelines.explaining.shapley import Contributions, contributions

WORDS = np.array(["a", "b", ""], object)


def about(numbers, categories=0, window=0):
    past = {"window": window, "numbers": ["p"] * bool(window), "categories": []}
    names = {"numbers": [f"n{place}" for place in range(numbers)], "categories": [f"c{p}" for p in range(categories)]}
    return {"kind": "sequence" if window else "table", "past": past, **names}


def drawn(count, of, seed):
    """Rows of numbers, one of five missing, of words, and of a window."""
    draw = np.random.default_rng(seed)
    numbers = draw.normal(size=(count, len(of["numbers"])))
    numbers[draw.random(numbers.shape) < 0.2] = np.nan
    found = {"numbers": numbers}
    if of["categories"]:
        found["categories"] = draw.choice(WORDS, (count, len(of["categories"])))
    if of["past"]["window"]:
        found["past_numbers"] = draw.normal(size=(count, of["past"]["window"], 1))
    return found


def answers(arrays):
    """A small network of two outputs, float32 as real ones; a missing number is 0.3, an unknown word like none."""
    parts = [np.nan_to_num(arrays["numbers"], nan=0.3), arrays.get("past_numbers", np.zeros((1, 1, 1)))[..., 0]]
    parts[1] = np.broadcast_to(parts[1], (len(parts[0]), parts[1].shape[1]))
    if "categories" in arrays:
        parts.append((arrays["categories"] == "a").astype(float))
    values = np.concatenate(parts, axis=1)
    hidden = np.tanh(values @ np.random.default_rng(1).normal(size=(values.shape[1], 5)))
    return (hidden @ np.random.default_rng(2).normal(size=(5, 2))).astype(np.float32)


def by_definition(row, background, chosen):
    """The mean gain over every order of the columns and every background row, [columns, outputs]."""
    total = np.zeros((len(chosen), 2))
    for order in itertools.permutations(range(len(chosen))):
        current = {name: found.copy() for name, found in background.items()}
        before = answers(current)
        for place in order:
            column = chosen[place]
            current[column.array][..., column.place] = row[column.array][..., column.place]
            after = answers(current)
            total[place] += (after.astype(float) - before).mean(axis=0)
            before = after
    return total / factorial(len(chosen))


def test_with_few_columns_they_are_those_of_the_definition():
    of = about(2, 1, window=3)
    explained, background, chosen = drawn(5, of, 0), drawn(7, of, 3), columns(of)
    found = contributions(answers, explained, background, chosen, 2, 0)
    wanted = [by_definition(rows(explained, [row]), background, chosen) for row in range(5)]
    np.testing.assert_allclose(found.values, wanted, atol=1e-6)
    np.testing.assert_allclose(found.base[0], answers(background).mean(axis=0), atol=1e-6)


@pytest.mark.parametrize(("numbers", "categories"), [(4, 2), (9, 4)], ids=["exact", "sampled"])
def test_they_add_up_to_the_answer(numbers, categories):
    of = about(numbers, categories)
    found = contributions(answers, drawn(6, of, 0), drawn(30, of, 3), columns(of), 10, 0)
    total = found.base + found.values.sum(axis=1)
    np.testing.assert_allclose(total, answers(drawn(6, of, 0)), atol=1e-6)
    assert found.error.max() < 1e-6


def test_sampled_ones_approach_the_exact_ones(monkeypatch):
    of = about(4, 2)
    given = answers, drawn(2, of, 0), drawn(30, of, 3), columns(of)
    exact = contributions(*given, 0, 0)
    monkeypatch.setattr(shapley, "EXACT", 0)
    few, many = (np.abs(contributions(*given, orders, 0).values - exact.values).max() for orders in (20, 4000))
    assert many < 0.02 < few


@pytest.mark.parametrize("categories", [3, 9], ids=["exact", "sampled"])
def test_the_only_column_that_a_model_uses_gets_all(categories):
    of = about(2, categories)

    def one(arrays):
        return (arrays["categories"][:, 1:2] == "a").astype(np.float32)

    explained = drawn(6, of, 0) | {"categories": np.full((6, categories), "never seen", object)}
    found = contributions(one, explained, drawn(30, of, 3), columns(of), 60, 0)
    others = [place for place, column in enumerate(columns(of)) if column.name != "c1"]
    np.testing.assert_allclose(found.values[:, others], 0, atol=1e-15)
    np.testing.assert_allclose(found.values[:, 3], 0 - found.base)


@pytest.mark.parametrize("categories", [3, 9], ids=["exact", "sampled"])
def test_a_row_of_the_background_against_itself_has_no_contributions(categories):
    of = about(2, categories)
    found = contributions(answers, drawn(1, of, 0), drawn(1, of, 0), columns(of), 6, 0)
    np.testing.assert_allclose(found.values, 0, atol=1e-6)
    assert found.error.max() < 1e-6


def test_rows_are_explained_alone_as_among_others():
    of = about(9, 4)
    explained, background = drawn(6, of, 0), drawn(30, of, 3)
    every = contributions(answers, explained, background, columns(of), 20, 0)
    alone = contributions(answers, rows(explained, [4]), background, columns(of), 20, 0)
    np.testing.assert_allclose(alone.values[0], every.values[4], atol=1e-6)


def test_a_call_of_the_model_has_no_more_rows_than_fit(monkeypatch):
    of, sizes = about(9, 4), []

    def counted(arrays):
        sizes.append(len(arrays["numbers"]))
        return answers(arrays)

    given = drawn(3, of, 0), drawn(30, of, 3), columns(of), 200, 0
    wanted = contributions(answers, *given)
    monkeypatch.setattr(shapley, "BYTES", 100 * (9 * 8 + 4 * shapley.WORD_BYTES))
    found: Contributions = contributions(counted, *given)
    assert max(sizes) == 100
    np.testing.assert_allclose(found.values, wanted.values, atol=1e-6)


@pytest.mark.parametrize("categories", [3, 12], ids=["exact", "sampled"])
def test_a_column_that_is_not_explained_keeps_the_value_of_the_row(categories):
    of = about(2, categories)
    chosen, explained, background = columns(of)[1:], drawn(6, of, 0), drawn(30, of, 3)
    found = contributions(answers, explained, background, chosen, 60, 0)
    own = [answers(background | {"numbers": with_first(background, row)}) for row in explained["numbers"][:, 0]]
    np.testing.assert_allclose(found.base, [one.mean(axis=0) for one in own], atol=1e-6)
    np.testing.assert_allclose(found.base + found.values.sum(axis=1), answers(explained), atol=1e-6)


def with_first(arrays, value):
    numbers = arrays["numbers"].copy()
    numbers[:, 0] = value
    return numbers


@pytest.mark.parametrize(("walks", "steps"), [(200, 20), (400, 20), (200, 31), (1000, 26), (2, 12)])
def test_the_regression_is_fitted_to_answers_from_every_step(walks, steps):
    met = np.bincount(shapley._enough(walks, steps) % steps, minlength=steps)
    assert met.min() > 0
    assert met.max() - met.min() <= 1
