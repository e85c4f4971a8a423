"""benchmarks/replay.py, and a small one: training grows with each month, and the gate has rows that nobody has seen."""

import json
from itertools import pairwise

import pytest

from benchmarks import replay
from benchmarks.replay import Replay
from tests.support.clone import answer


def test_a_replay_goes_on_with_the_months_that_it_began_with():
    few, again = replay.sold(8), replay.sold(8)
    assert list(few) == [f"2024-{month:02d}" for month in range(1, 9)]
    for month in few:
        assert few[month].equals(again[month])
    rows = few["2024-02"]
    assert len(rows) == 29 * len(replay.SHOPS)
    assert not rows.duplicated(["day", "shop"]).any()


def test_a_busy_day_is_followed_by_a_busy_one_in_the_first_half_and_by_a_quiet_one_in_the_second():
    months = replay.sold(replay.BEFORE + 24)
    for index, (month, rows) in enumerate(months.items()):
        above = rows["sold"] - replay.LEVEL
        known = rows["shop"] == rows["shop"].shift()
        momentum = float((above * above.shift())[known].mean() / (above**2).mean())
        assert (momentum > 0) == (index < replay.BEFORE + 12), month


@pytest.mark.long
@pytest.mark.usefixtures("hardware")  # the champions are loaded in this process
def test_training_grows_with_each_month_and_the_gate_compares_on_rows_that_nobody_has_seen(tmp_path):
    small = Replay(tmp_path, 2)
    small.begin()
    answer(small.root, "up", "--no-schedule", "--no-serve")
    try:
        assert not small.feed(0)  # the time is over: the next call goes on
        assert small.feed(3600)
        months, told = small.known, small.told()
        lines = answer(small.root, "history", "orders")["lines"]
    finally:
        answer(small.root, "down")
    assert all(before.rows["train"] + 100 < after.rows["train"] for before, after in pairwise(months))
    assert {month.rows["test"] for month in months} == {90 * len(replay.SHOPS)}
    assert months[-1].champion
    left_out = [line["evidence"].get("left_out", {}) for line in lines]
    assert all(count == 0 for found in left_out for count in found.values())
    assert [row["name"] for row in told] == [month.name for month in months[1:]]
    assert all(
        replay.NOISE / 2 < row[which] < 2 * replay.NOISE for row in told for which in ("in_charge", "first_half")
    )
    pin, cleaned = (json.loads((small.root / "data/orders" / name).read_text()) for name in ("pin.json", "clean.json"))
    assert pin["edges"]["test_from"] < cleaned["edges"]["test_from"]
