"""Time edges: windows that move on with the rows, never back, and never by the clock."""

import re
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipelines.errors import DataError
from pipelines.table import time_edges
from pipelines.table.time_edges import FEWEST_TEST_ROWS, Edges, Moving

DAY = 86_400_000_000
SHARES = Moving("at", 0.1, 0.2)
SPANS = Moving("at", "30d", "90d")
WHERE = "models/m.yaml"

days = st.builds(  # some days with several rows, and others with none
    lambda seed, rows, most: np.random.default_rng(seed).integers(0, most, rows) * DAY,
    st.integers(0, 10**6),
    st.integers(60, 300),
    st.integers(30, 500),
)
windows = st.one_of(st.floats(0.01, 0.4), st.integers(1, 60).map("{}d".format), st.integers(1, 900).map("{}h".format))
moving = st.builds(Moving, st.just("at"), windows, windows)


def parted(times: np.ndarray, edges: Edges) -> tuple[int, int, int]:
    place = np.searchsorted([edges.validation_from, edges.test_from], times, side="right")
    train, validation, test = (int(count) for count in np.bincount(place, minlength=3))
    return train, validation, test


def daily(count: int, first: int = 0) -> np.ndarray:
    return np.arange(first, first + count, dtype=np.int64) * DAY


@given(days, moving, st.randoms())
def test_edges_are_instants_of_rows_that_part_three_splits_whatever_the_order(times, declared, random):
    edges = time_edges.of(times, declared)
    assume(edges is not None)
    assert edges.validation_from < edges.test_from
    assert {edges.validation_from, edges.test_from} <= set(times.tolist())
    assert min(parted(times, edges)) > 0
    assert time_edges.of(np.array(random.sample(times.tolist(), len(times))), declared) == edges


@given(st.lists(days, min_size=2, max_size=5), moving)
def test_no_edge_moves_back_whatever_version_of_the_data_comes_next(versions, declared):
    former = None
    for times in versions:
        try:
            edges = time_edges.settle(times, declared, former, WHERE)
        except DataError:
            continue  # such a version is refused, so what was before it stays
        if former:
            assert edges.validation_from >= former.validation_from
            assert edges.test_from >= former.test_from
        assert edges.validation_from < edges.test_from
        former = edges


@given(st.integers(40, 300), st.floats(0.05, 0.4), st.floats(0.05, 0.4))
def test_shares_are_shares_of_the_rows_where_every_row_has_an_instant_of_its_own(count, validation, test):
    edges = time_edges.of(daily(count), Moving("at", validation, test))
    assert edges is not None
    found = parted(daily(count), edges)
    assert found[1] == pytest.approx(validation * count, abs=1)
    assert found[2] == pytest.approx(test * count, abs=1)


@pytest.mark.parametrize(
    ("span", "each", "expected"), [("90d", 24, 90), ("2w", 24, 14), ("36h", 1, 36), ("48h", 24, 2), ("90min", 0.5, 3)]
)
def test_a_span_goes_back_from_the_newest_row(span, each, expected):
    times = (np.arange(1000) * each * DAY / 24).astype(np.int64)
    edges = time_edges.of(times, Moving("at", span, span))
    assert edges is not None
    assert parted(times, edges)[1:] == (expected, expected)


@given(days, moving, st.integers(1, 100))
def test_later_rows_move_no_edge_back(times, declared, later):
    before = time_edges.of(times, declared)
    assume(before is not None)
    after = time_edges.of(np.concatenate([times, times.max() + daily(later, 1)]), declared)
    assert after is not None
    assert after.test_from >= before.test_from
    if isinstance(declared.validation, str):  # of a share of more rows more may lie before the same first test row
        assert after.validation_from >= before.validation_from


def test_rows_of_one_instant_are_not_parted_and_a_split_without_rows_is_refused():
    months = np.repeat(daily(4), 100)
    edges = time_edges.of(months, SHARES)
    assert edges is not None
    assert parted(months, edges) == (200, 100, 100)
    with pytest.raises(DataError, match=r"leave no row to train on: the rows have 2 instants, from 1970-01-01T00:00"):
        time_edges.settle(np.repeat(daily(2), 100), SHARES, None, WHERE)
    with pytest.raises(DataError, match="the rows have 0 instants, and rows of one instant are not parted"):
        time_edges.settle(daily(0), SHARES, None, WHERE)


@pytest.mark.parametrize("declared", [SPANS, Moving("at", 0.1, "90d")])
def test_one_date_of_2099_does_not_empty_the_test_window(declared):
    wrong = time_edges.microseconds(datetime(2099, 1, 1, tzinfo=UTC))
    message = (
        r"The test split has 1 row, and the gate needs 10 .* test: 90d\. The newest rows are of "
        r"2099-01-01T00:00:00\+00:00; the row before them is 46,618 days older\..*validate.rules: {rule: .*column: at, "
    )
    with pytest.raises(DataError, match=message) as found:
        time_edges.settle(np.append(daily(500), wrong), declared, None, WHERE)
    with pytest.raises(DataError) as hidden:
        time_edges.settle(np.append(daily(500), wrong), declared, None, WHERE, True)
    assert "2099" in str(found.value)
    assert "2099" not in str(hidden.value)
    shares = time_edges.settle(np.append(daily(1000), wrong), SHARES, None, WHERE)
    assert parted(np.append(daily(1000), wrong), shares)[2] == 201


def test_fewer_rows_than_before_are_refused_where_the_former_edge_leaves_too_few():
    former = time_edges.settle(daily(1000), SPANS, None, WHERE)
    held = time_edges.settle(daily(950), SPANS, former, WHERE)
    assert held == former
    assert parted(daily(950), held)[2] == 40
    with pytest.raises(DataError, match=r"has 5 rows.*begins at 1972-06-29.*no edge moves back.*--data HASH"):
        time_edges.settle(daily(915), SPANS, former, WHERE)
    assert time_edges.settle(daily(915), Moving("at", "30d", "91d"), None, WHERE).test_from < former.test_from


@given(days, moving, moving)
def test_what_the_pin_carries_holds_for_the_same_declaration_alone(tmp_path_factory, times, declared, other):
    edges = time_edges.of(times, declared)
    assume(edges is not None and declared != other)
    pin = tmp_path_factory.getbasetemp() / "pin.json"
    pin.write_text(re.sub("'", '"', str({"edges": edges.content(declared)})))
    assert time_edges.carried(pin, declared) == edges
    assert time_edges.carried(pin, other) is None
    pin.write_text("{}")
    assert time_edges.carried(pin, declared) is None


@given(moving, days, days)
def test_of_two_contents_the_later_edges_hold(declared, one, other):
    first, second = (time_edges.of(times, declared) for times in (one, other))
    assume(first is not None and second is not None)
    both = time_edges.later(first.content(declared), second.content(declared))
    assert time_edges.of_content(both, declared) == first.not_before(second) == second.not_before(first)
    assert time_edges.later(None, both) == time_edges.later(both, None) == both


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)))
def test_an_instant_is_written_and_read_to_the_microsecond(at):
    at = at.replace(tzinfo=UTC)
    assert datetime.fromisoformat(time_edges.text(time_edges.microseconds(at))) == at


@pytest.mark.parametrize("wrong", [0, 1, 1.5, -0.1, True, "90", "d", "0d", "-3d", "90 d", "1.5h", "90D", "3mo", [0.1]])
def test_what_is_no_window_is_refused_with_examples(wrong):
    with pytest.raises(ValueError, match=r"neither a share of the rows, such as 0\.2, nor a span of time, such as 90d"):
        time_edges.check_window(wrong)


def test_the_fewest_test_rows_are_allowed():
    enough = Moving("at", 0.1, f"{FEWEST_TEST_ROWS}d")
    assert parted(daily(100), time_edges.settle(daily(100), enough, None, WHERE))[2] == FEWEST_TEST_ROWS
    assert timedelta(days=1) // timedelta(microseconds=1) == DAY
