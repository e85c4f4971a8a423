"""Partial dependence: the mean answer with one value everywhere, on a grid of values that occur."""

import numpy as np

from pipelines.explaining.columns import Column
from pipelines.explaining.overall import dependence as module
from pipelines.explaining.overall.dependence import dependence


def test_a_number_has_a_grid_of_its_values_and_the_means_of_the_model():
    values = np.random.default_rng(0).normal(size=(500, 2))
    found = dependence(lambda rows: rows["numbers"] ** 2, {"numbers": values}, Column("a", "numbers", 0))
    grid = [value for value, _ in found]
    assert len(grid) == module.POINTS
    assert set(grid) <= set(values[:, 0].tolist())
    assert grid == sorted(grid)
    rest = (values[: module.MOST_ROWS, 1] ** 2).mean()
    for value, mean in found:
        np.testing.assert_allclose(mean, [value**2, rest])


def test_few_values_are_the_grid_gaps_are_not_and_a_constant_has_none():
    column = Column("a", "numbers", 0)
    values = np.array([[1.0], [2.0], [np.nan], [2.0]])
    assert [value for value, _ in dependence(lambda rows: rows["numbers"], {"numbers": values}, column)] == [1, 2]
    for constant in (np.full((4, 1), np.nan), np.full((4, 1), 3.0)):
        assert dependence(lambda rows: rows["numbers"], {"numbers": constant}, column) == []


def test_words_come_by_how_frequent_they_are_a_missing_one_too():
    words = np.array([["b"], ["b"], ["b"], ["a"], ["a"], [""]], object)

    def answers(rows):
        return np.char.str_len(rows["categories"].astype(str)).astype(np.float32)

    found = dependence(answers, {"categories": words}, Column("w", "categories", 0))
    assert [(value, mean[0]) for value, mean in found] == [("b", 1), ("a", 1), ("", 0)]


def test_dates_are_told_as_dates():
    dates = np.array([[0.0], [86_400.0]])
    found = dependence(lambda rows: rows["dates"], {"dates": dates}, Column("d", "dates", 0))
    assert [value for value, _ in found] == ["1970-01-01T00:00:00+00:00", "1970-01-02T00:00:00+00:00"]


def test_a_window_is_moved_as_a_whole():
    past = np.array([[[1.0], [3.0]], [[10.0], [np.nan]]])
    seen = []

    def answers(rows):
        seen.append(rows["past_numbers"].copy())
        return rows["past_numbers"][:, 0]

    found = dependence(answers, {"past_numbers": past}, Column("p", "past_numbers", 0))
    assert [value for value, _ in found] == [2.0, 10.0]
    np.testing.assert_array_equal(seen[1], [[[9.0], [11.0]], [[10.0], [np.nan]]])
    assert dependence(answers, {"past_categories": past.astype(object)}, Column("q", "past_categories", 0)) == []
