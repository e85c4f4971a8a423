"""Quantiles: the same edges whatever the pieces, bins that are evenly filled, and shares that any number has."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.config.data import Data
from pipelines.model import features, quantiles, statistics
from pipelines.model.networks import Network
from tests.pipelines.model.test_networks import pieces

pytestmark = pytest.mark.usefixtures("hardware")

DATA = Data(kind="table", task="regression", target="y", columns={"a": "number", "b": "number"})
SKEWED = np.random.default_rng(0).lognormal(0, 3, 10_000)


def shares(column: np.ndarray, edges: list[float]) -> np.ndarray:
    """[rows, bins] of numbers without gaps."""
    return np.asarray(quantiles.encoded(np.asarray(column, np.float64)[:, None], [edges]))


@pytest.mark.parametrize("step", [1, 7, 100, 1000])
def test_a_sample_does_not_depend_on_the_parts_in_which_rows_come(step):
    values = np.random.default_rng(1).normal(size=(1000, 2))
    whole = quantiles.sample([values], rows=100)
    parts = quantiles.sample((values[start : start + step] for start in range(0, 1000, step)), rows=100)
    np.testing.assert_array_equal(parts, whole)


def test_a_sample_holds_each_row_once_in_its_order_and_rows_from_everywhere():
    values = np.arange(100_000.0)[:, None]
    found = quantiles.sample(np.array_split(values, 9), rows=2000)[:, 0]
    assert len(found) == 2000
    assert (np.diff(found) > 0).all()
    counts, _ = np.histogram(found, 10, (0, 100_000))
    assert counts.min() > 150  # of 200 expected, 13 their standard deviation
    np.testing.assert_array_equal(quantiles.sample(np.array_split(values, 9), rows=100_000), values)


def test_a_sample_never_holds_more_than_it_may_and_one_part():
    seen = []

    def parts():
        for _ in range(50):
            part = np.zeros((40, 1))
            seen.append(part)
            yield part

    assert quantiles.sample(parts(), rows=100).shape == (100, 1)
    assert len(seen) == 50


def test_bins_of_a_skewed_number_hold_as_many_rows_each():
    found = quantiles.edges(SKEWED, 20)
    counts, _ = np.histogram(SKEWED, found)
    assert len(found) == 21
    assert counts.min() > 495
    assert counts.max() < 505


@given(
    st.lists(st.floats(-1e12, 1e12).map(lambda value: round(value, 3)) | st.just(np.nan), min_size=1, max_size=60),
    st.integers(1, 20),
)
def test_edges_rise_and_are_values_of_the_column_from_the_smallest_to_the_largest(values, bins):
    column = np.array(values)
    found, present = quantiles.edges(column, bins), column[~np.isnan(column)]
    assert 2 <= len(found) <= bins + 1
    assert (np.diff(found) > 0).all()
    if len(np.unique(present)) > 1:
        assert (found[0], found[-1]) == (present.min(), present.max())
        assert set(found) <= set(present.tolist())


def test_a_column_of_few_values_has_each_of_them_as_an_edge():
    assert quantiles.edges(np.array([3.0, 1, 2, 2, np.nan, 1, 1]), 16) == [1, 2, 3]


def test_a_value_that_most_rows_share_leaves_the_bins_to_the_others():
    column = np.concatenate([np.zeros(9000), np.arange(1, 1001)])
    found = quantiles.edges(column, 11)
    assert len(found) >= 10
    assert sum(edge > 0 for edge in found) >= 9


@pytest.mark.parametrize("value", [np.nan, 0.0, -7.5, 1e12, 1e300])
def test_a_constant_column_becomes_zero_and_not_nan(value):
    found = quantiles.edges(np.full(10, value), 8)
    assert shares(np.full(3, np.nan_to_num(value)), found).tolist() == [[0]] * 3


def test_a_number_is_its_share_of_every_bin_and_none_outgrows_it():
    found = shares(np.array([-1e300, 0, 1, 15, 20, 1e300]), [0, 10, 20])
    np.testing.assert_allclose(found, [[0, 0], [0, 0], [0.1, 0], [1, 0.5], [1, 1], [1, 1]], rtol=1e-6)


def test_shares_are_those_of_numpys_piecewise_linear_function():
    edges = quantiles.edges(SKEWED, 32)
    expected = np.interp(SKEWED, edges, np.arange(len(edges)))
    np.testing.assert_allclose(shares(SKEWED, edges).sum(axis=1), expected, rtol=1e-5, atol=1e-5)


def test_a_large_offset_costs_no_precision():
    column = 1.7e9 + np.arange(10.0)
    found = shares(column, quantiles.edges(column, 3))
    np.testing.assert_allclose(found.sum(axis=1) / 3, np.arange(10) / 9, atol=0.2)
    assert len(np.unique(found.sum(axis=1))) == 10


def table(rows: int = 300) -> dict[str, np.ndarray]:
    random = np.random.default_rng(2)
    numbers = np.column_stack([random.lognormal(0, 4, rows), random.integers(0, 3, rows)])
    numbers[random.random((rows, 2)) < 0.1] = np.nan
    return {"numbers": numbers}


@pytest.fixture(scope="module")
def graph(hardware):
    config = Network(numbers="quantiles", bins=8)
    fitted = statistics.measure(DATA, pieces(table(), np.arange(300.0), 70), config)
    return features.features(DATA, fitted)


def test_the_graph_has_the_bins_of_every_number_and_then_whether_it_is_missing(graph):
    arrays = table()
    found = np.asarray(graph(arrays))
    assert found.shape == (300, 8 + 2 + 2)
    assert (found.min(), found.max()) == (0, 1)
    np.testing.assert_array_equal(found[:, 10:], np.isnan(arrays["numbers"]))


def test_a_row_alone_has_the_shares_that_it_has_among_others(graph):
    arrays = table()
    found = np.asarray(graph(arrays))
    for row in (0, 17, 299):
        np.testing.assert_array_equal(graph({"numbers": arrays["numbers"][row : row + 1]})[0], found[row])


def test_the_graph_is_read_from_its_own_description(graph):
    import keras

    again = keras.models.model_from_json(graph.to_json())
    np.testing.assert_array_equal(again(table()), graph(table()))


def test_what_is_measured_does_not_depend_on_the_pieces():
    config = Network(numbers="quantiles", bins=8)
    found = [statistics.measure(DATA, pieces(table(), np.arange(300.0), step), config).edges for step in (7, 300)]
    assert found[0] == found[1]
    assert statistics.measure(DATA, pieces(table(), np.arange(300.0))).edges == []
