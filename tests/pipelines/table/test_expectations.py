"""Expectations: verdicts do not depend on the size of the batches, and agree with Great Expectations' own."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pipelines.config.rules import Rule, Rules
from pipelines.errors import DataError, SettingsError
from pipelines.table import expectations
from pipelines.table.expectations import Suite


def rule(name: str, level: str = "stop", /, **arguments) -> Rule:
    return Rule.model_validate({"rule": f"expect_{name}", "level": level, **arguments})


FRAME = pd.DataFrame(
    {
        "row_id": [f"{number:032x}" for number in range(100)],
        "x": [np.nan if number % 10 == 3 else float(number) for number in range(100)],
        "y": [float(number % 7) for number in range(100)],
        "label": [number % 3 for number in range(100)],
        "word": pd.array([None if number % 20 == 5 else "abc"[number % 3] for number in range(100)], "str"),
    }
)
RULES = [
    rule("table_row_count_to_be_between", min_value=100, max_value=100),
    rule("table_row_count_to_equal", value=99),
    rule("column_min_to_be_between", column="x", min_value=0, max_value=0),
    rule("column_max_to_be_between", column="x", max_value=99, strict_max=True),
    rule("column_sum_to_be_between", column="y", min_value=295, max_value=297),
    rule("column_mean_to_be_between", column="x", min_value=49.6, max_value=49.7),
    rule("column_mean_to_be_between", column="x", min_value=1, max_value=2, row_condition="y == 3"),
    rule("column_values_to_be_between", column="x", min_value=7),
    rule("column_values_to_be_between", column="x", min_value=7, mostly=0.93),
    rule("column_values_to_not_be_null", column="x", mostly=0.9),
    rule("column_values_to_not_be_null", column="x", mostly=0.91),
    rule("column_values_to_be_null", column="word", mostly=0.05),
    rule("column_values_to_be_in_set", column="label", value_set=[0, 1]),
    rule("column_values_to_match_regex", column="word", regex="^[ab]$", mostly=0.6),
    rule("column_values_to_be_of_type", column="label", type_="int64"),
    rule("column_values_to_be_between", column="y", min_value=1, row_condition="x > 50"),
    rule("column_pair_values_a_to_be_greater_than_b", column_A="x", column_B="y", mostly=0.8),
    rule("multicolumn_sum_to_equal", column_list=["y", "label"], sum_total=3),
    rule("column_values_to_be_unique", column="y"),
    rule("column_values_to_be_unique", column="row_id"),
    rule("compound_columns_to_be_unique", column_list=["y", "label"]),
    rule("column_median_to_be_between", column="y", min_value=3, max_value=3),
    rule("column_stdev_to_be_between", column="x", min_value=28, max_value=30),
    rule("column_unique_value_count_to_be_between", column="label", max_value=3),
    rule("column_value_z_scores_to_be_less_than", column="x", threshold=1.2, double_sided=True),
    rule("column_distinct_values_to_be_in_set", column="word", value_set=["a", "b"]),
    rule("column_distinct_values_to_equal_set", column="label", value_set=[0, 1, 2]),
    rule("column_to_exist", column="x"),
    rule("column_to_exist", column="row_id", column_index=3),
    rule("table_columns_to_match_set", column_set=list(FRAME)),
]


def report(frame: pd.DataFrame, rules: list[Rule], size: int = 1000, **options) -> list[dict]:
    suite = Suite(Rules(rules=rules, **options), len(frame))
    for start in range(0, len(frame), size):
        suite.feed(frame[start : start + size])
    return suite.report()


@pytest.fixture(scope="module")
def one_batch():
    return report(FRAME, RULES)


@pytest.mark.parametrize("size", [7, 33])
def test_small_batches_give_the_report_of_one_batch(one_batch, size):
    for entry, expected in zip(report(FRAME, RULES, size), one_batch, strict=True):
        observed, wanted = entry.pop("observed"), dict(expected)
        assert observed == pytest.approx(wanted.pop("observed"))
        assert entry == wanted


def test_verdicts_are_those_of_great_expectations(one_batch):
    import great_expectations as gx

    batch = expectations._definition().get_batch(batch_parameters={"dataframe": FRAME})
    built = [expectations._build(found, index) for index, found in enumerate(RULES)]
    theirs = {}
    for result in batch.validate(gx.ExpectationSuite(name="all", expectations=built)).results:
        theirs[result.expectation_config.meta["index"]] = result.success
    assert [entry["success"] for entry in one_batch] == [theirs[index] for index in range(len(RULES))]
    assert {True, False} == set(theirs.values())


@pytest.mark.parametrize("failing", [0, 7, 34, 56, 93, 100])
def test_the_share_that_mostly_asks_for_is_exact(failing):
    frame = FRAME.assign(y=[0.0] * failing + [1.0] * (100 - failing))
    holds = rule("column_values_to_be_between", column="y", min_value=1, mostly=(100 - failing) / 100)
    (entry,) = report(frame, [holds], size=9)
    assert (entry["success"], entry["failing"], entry["rows"]) == (True, failing, 100)


def test_rows_that_break_a_rule_are_named_up_to_the_number_of_examples():
    named = rule("column_values_to_be_between", column="x", max_value=90)
    (entry,) = report(FRAME, [named], size=30, examples=4)
    assert entry["failing"] == 8
    assert entry["examples"] == [{"row_id": FRAME["row_id"][i], "value": float(i)} for i in (91, 92, 94, 95)]
    assert report(FRAME, [named], examples=0)[0]["examples"] == []
    assert "column 'x': expect_column_values_to_be_between" in expectations.told(entry)
    assert "8 of 90 rows break it, such as 91.0, 92.0, 94.0" in expectations.told(entry)


@pytest.mark.parametrize("size", [7, 1000])
def test_rows_of_a_quarantine_rule_are_set_aside_and_those_of_others_are_not(size):
    aside: list[tuple[str, str]] = []
    rules = [
        rule("column_values_to_be_between", "quarantine", column="x", max_value=90),
        rule("column_values_to_be_between", "warn", column="x", min_value=50),
        rule("column_values_to_be_unique", "quarantine", column="y"),
    ]
    suite = Suite(
        Rules(rules=rules), 100, lambda broken, name: aside.extend((entry["row_id"], name) for entry in broken)
    )
    for start in range(0, 98, size):
        suite.feed(FRAME.assign(y=[1.0, *FRAME.index[1:-1].tolist(), 1.0])[start : start + size])
    suite.report()
    between = [row_id for row_id, name in aside if name == "expect_column_values_to_be_between"]
    unique = [row_id for row_id, name in aside if name == "expect_column_values_to_be_unique"]
    assert between == FRAME["row_id"][FRAME["x"] > 90].tolist()[: len(between)]
    assert unique == FRAME["row_id"][[0, 1]].tolist() + ([FRAME["row_id"][99]] if size == 1000 else [])


def test_an_empty_table_fails_what_asks_for_rows_and_for_values():
    some_rows = rule("table_row_count_to_be_between", min_value=1)
    some_values = rule("column_max_to_be_between", column="x", max_value=9)
    found = report(FRAME[:0], [some_rows, some_values])
    assert [(entry["success"], entry["observed"]) for entry in found] == [(False, 0), (False, None)]


def test_a_batch_without_values_does_not_disturb_the_mean():
    frame = FRAME.assign(x=[np.nan] * 50 + [2.0] * 50)
    bounds = {"column": "x", "min_value": 2, "max_value": 2}
    rules = [rule(f"column_{name}_to_be_between", **bounds) for name in ("mean", "min", "max")]
    assert [entry["observed"] for entry in report(frame, rules, size=20)] == [2.0] * 3


def test_a_rule_that_needs_the_whole_table_is_refused_above_a_size():
    whole = Rules(rules=[rule("column_values_to_be_unique", column="x")])
    with pytest.raises(DataError, match=r"expect_column_values_to_be_unique needs the whole table .* 1,000,001 rows"):
        Suite(whole, 1_000_001)
    Suite(Rules(rules=[rule("column_mean_to_be_between", column="x", min_value=1)]), 10**9)


def test_a_rule_that_cannot_be_built_or_checked_is_told_in_one_line():
    bad_bounds = rule("column_values_to_be_between", column="x", min_value=[1])
    with pytest.raises(SettingsError, match=r"column 'x': expect_.*_to_be_between .* is not valid") as caught:
        report(FRAME, [bad_bounds])
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match=r"column 'word': .* could not be checked: .* Correct the rule") as caught2:
        report(FRAME, [rule("column_values_to_be_between", column="word", min_value=1)])
    assert "\n" not in str(caught2.value)


def test_images_are_seen_through_their_pixels():
    batch = pa.record_batch([["a", "b"], [bytes([0, 9, 3, 0]), bytes([5] * 4)]], ["row_id", "image"])
    (frame,) = expectations.frames([batch], "image")
    assert frame.drop(columns="row_id").to_dict("list") == {
        "pixel_min": [0, 5],
        "pixel_max": [9, 5],
        "pixel_mean": [3.0, 5.0],
    }
