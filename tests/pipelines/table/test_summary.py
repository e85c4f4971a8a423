"""Summaries: a distribution as a few hundred points never shows a distance that the values do not have."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from pipelines.errors import IntegrityError
from pipelines.table.summary import columns, numbers
from pipelines.table.summary.columns import NUMBERS, WORDS, Column
from pipelines.table.summary.gather import HELD, Gathered

FEW = st.lists(st.integers(-50, 50), min_size=1, max_size=200)


def kolmogorov_smirnov(one, other):
    """The largest distance of two distribution functions, by its definition."""
    places = np.unique([*one, *other])
    return max(abs(np.mean(np.array(one) <= place) - np.mean(np.array(other) <= place)) for place in places)


@given(FEW, FEW)
def test_of_few_different_values_the_distance_is_exact(one, other):
    found = numbers.distance([numbers.of(np.array(one))], [numbers.of(np.array(other))])
    assert found == pytest.approx(kolmogorov_smirnov(one, other), abs=1e-12)


@pytest.mark.parametrize("shift", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("sizes", [(500, 20_000), (3_000, 3_000)])
def test_of_many_values_it_is_never_larger_and_hardly_smaller(shift, sizes):
    random = np.random.default_rng(1)
    one, other = random.normal(size=sizes[0]), random.normal(shift, 1, sizes[1])
    found = numbers.distance([numbers.of(one)], [numbers.of(other)])
    true = ks_2samp(one, other, method="asymp").statistic
    assert true - 3 / numbers.POINTS < found <= true + 1e-12


@given(FEW, FEW, FEW)
def test_parts_add_up(one, two, other):
    parts = [numbers.of(np.array(part)) for part in (one, two)]
    against = [numbers.of(np.array(other))]
    whole = [numbers.of(np.array([*one, *two]))]
    assert numbers.distance(parts, against) == pytest.approx(numbers.distance(whole, against), abs=1e-12)
    assert numbers.count(parts) == len(one) + len(two)


def test_quantiles_are_values_at_these_shares():
    values = np.random.default_rng(2).normal(size=50_000)
    found = numbers.quantiles([numbers.of(values[:20_000]), numbers.of(values[20_000:])], [0.05, 0.5, 0.95])
    np.testing.assert_allclose(found, np.quantile(values, [0.05, 0.5, 0.95]), atol=0.02)


def test_a_constant_column_is_one_point():
    found = numbers.of(np.full(1000, 3.0))
    assert found.constant
    assert found.exact
    assert found.largest_share == 1
    assert not numbers.of(np.arange(5_000)).constant


def test_a_file_has_what_was_written_and_nothing_that_is_partial(tmp_path):
    gathered = Gathered("2026-11-29", "age", NUMBERS)
    gathered.add_numbers(np.array([3.0, np.nan, 4.0]), unreadable=1)
    words = Gathered("2026-11-29", "colour", WORDS, named=["black", "white"])
    words.add_words({"black": 2, "green": 3}, missing=1, unknown=3)
    found = [*gathered.columns(), *words.columns()]
    columns.write(tmp_path / "day.parquet", found, {"parts": "0-1:5"})
    assert columns.read(tmp_path / "day.parquet") == found
    assert columns.about(tmp_path / "day.parquet")["parts"] == "0-1:5"
    assert [path.name for path in tmp_path.iterdir()] == ["day.parquet"]
    age, colour = found
    assert (age.rows, age.missing, age.known, age.unreadable, age.total) == (3, 1, 2, 1, 7.0)
    assert (colour.rows, colour.unknown, dict(zip(colour.words, colour.counts, strict=True))) == (
        6,
        3,
        {"black": 2, "white": 0},
    )


def test_a_damaged_file_says_so(tmp_path):
    (tmp_path / "day.parquet").write_bytes(b"PAR1")
    assert columns.about(tmp_path / "day.parquet") == {}
    with pytest.raises(IntegrityError, match="cannot be read"):
        columns.read(tmp_path / "day.parquet")


def test_of_more_rows_than_fit_there_are_several_lines():
    gathered = Gathered("", "age", NUMBERS)
    for start in range(0, 2 * HELD, HELD // 2):
        gathered.add_numbers(np.arange(start, start + HELD // 2, dtype=float))
    lines = list(gathered.columns())
    assert [line.rows for line in lines] == [HELD, HELD]
    parts = [line.numbers for line in lines]
    assert numbers.quantiles(parts, [0.5])[0] == pytest.approx(HELD, rel=0.01)
    assert isinstance(lines[0], Column)
