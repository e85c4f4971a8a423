"""benchmarks/replay.py, and a small one: training grows with each arrival, and the champion follows a new pattern."""

import copy
import json
from itertools import pairwise

import pytest

from benchmarks import replay
from benchmarks.replay import DECLARED, Replay
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
def test_training_grows_and_the_champion_follows_a_pattern_that_changes(tmp_path):
    declared = copy.deepcopy(DECLARED)
    declared["clean"]["split"] |= {"validation": "7d", "test": "20d"}
    small = Replay(tmp_path, 6, declared)
    small.begin()
    answer(small.root, "up", "--no-schedule")
    try:
        assert not small.feed(0)  # the time is over: the next call goes on
        assert small.feed(3600)
        first, *later = small.known
        told = small.told()
    finally:
        answer(small.root, "down")
    trained = [month.rows["train"] for month in (first, *later)]
    assert all(before + 100 < after for before, after in pairwise(trained))
    assert {month.rows["test"] for month in later} == {20 * len(replay.SHOPS)}
    assert later[-1].champion not in (None, later[2].champion)
    assert told[-1]["in_charge"] < told[-1]["first_half"]
    edges = [
        json.loads((small.root / "data" / "orders" / name).read_text())["edges"] for name in ("pin.json", "clean.json")
    ]
    assert edges[0]["test_from"] < edges[1]["test_from"]
