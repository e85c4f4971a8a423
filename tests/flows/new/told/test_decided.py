"""What `ratchet new` decided: in the YAML, in the table that people read, and in --json."""

import json

import numpy as np
import pandas as pd
import pytest

from flows.new import draft
from flows.new.new import new
from flows.new.told import table
from flows.new.wanted import Wanted
from pipelines.errors import DataError
from tests.flows.new.test_new import file, inside, made, orders, project  # noqa: F401 (fixtures)
from tests.support.clone import called

RANDOM = np.random.default_rng(3)


def told(found: dict) -> list[str]:
    lines = table.text(found["decided"]).splitlines()
    assert all(len(line) <= table.WIDTH for line in lines)
    return lines


def test_the_table_has_every_decision_in_80_columns_and_the_yaml_says_the_same(inside, tmp_path):  # noqa: F811
    rows = orders().assign(gone=lambda t: np.where((t["ordered"] == "yes") & (t.index % 3 > 0), "2024-05-01", ""))
    found = new(inside, Wanted("told", file(tmp_path, rows), "ordered", [], [], dry_run=True))
    text = " ".join(" ".join(told(found)).split())
    for said in (
        "problem classification: ordered holds 2 different words",
        "split by hash",
        "metric roc_auc, at least",
    ):
        assert said in text
    assert "a quick linear fit: 0." in text
    decided = json.loads(json.dumps(found["decided"], allow_nan=False))
    roles = {column["name"]: column["role"] for column in decided["columns"]}
    assert roles == dict.fromkeys(("age", "spent"), "number") | {"city": "category"} | dict.fromkeys(
        ("key", "v", "copy", "gone"), "left out"
    )
    assert all(column["why"] in found["yaml"] for column in decided["columns"])
    metric = decided["metric"]
    assert metric["constant"] < metric["floor"] < metric["linear"]


@pytest.mark.long
def test_many_columns_are_folded_and_long_names_and_words_cut_no_line(inside, tmp_path):  # noqa: F811
    wide = {f"column {i} of a name that is rather long": RANDOM.normal(size=600).round(3) for i in range(40)}
    rows = pd.concat([orders(), pd.DataFrame(wide).assign(日本語の列=RANDOM.choice(["はい", "いいえ"], 600))], axis=1)
    lines = told(new(inside, Wanted("wide", file(tmp_path, rows), "ordered", [], [], dry_run=True)))
    assert len(lines) < 30
    assert any("42 of role number" in line and "and 3" not in line for line in lines)


def test_what_a_person_should_look_at_stands_in_the_table_and_above_the_yaml(inside, tmp_path):  # noqa: F811
    rows = orders().drop(columns="copy").assign(town=lambda t: t["city"].str.upper())
    rows.loc[:3, "ordered"] = "perhaps"
    found = new(inside, Wanted("look", file(tmp_path, rows), "ordered", [], [], dry_run=True))
    assert found["decided"]["look"] == [
        "town says the same as city in every row: one of them is enough",
        "4 rows of 'perhaps' are set aside: a class needs 10 rows",
    ]
    assert "# Look at this: town says the same as city" in found["yaml"]


def test_the_command_prints_the_table_and_a_dry_run_prints_it_as_comments(project, tmp_path):  # noqa: F811
    path = file(tmp_path, orders())
    arguments = ("new", "printed", "--data", str(path), "--target", "ordered", "--dry-run")
    plain = called(project.root, *arguments)
    assert plain.returncode == 0
    assert "\n#   problem   classification" in plain.stdout
    assert json.loads(called(project.root, *arguments, "--json").stdout)["decided"]["metric"]["metric"] == "roc_auc"


def test_grades_become_numbers_with_a_metric_that_the_constant_does_not_win(inside, tmp_path):  # noqa: F811
    x = RANDOM.normal(size=900).round(3)
    rows = pd.DataFrame({"x": x, "stars": np.clip(np.round(3 + x + RANDOM.normal(size=900)), 1, 5).astype(int)})
    found = made(inside, "stars", file(tmp_path, rows), "stars")
    assert (found.data.task, found.promote.metric) == ("regression", "mean_absolute_error")
    assert found.promote.at_most < (rows["stars"] - rows["stars"].median()).abs().mean()


def test_a_target_of_few_large_values_is_trained_by_absolute_errors(inside, tmp_path):  # noqa: F811
    x = RANDOM.normal(size=900).round(3)
    rows = pd.DataFrame({"x": x, "spent": np.exp(x + 1.5 * RANDOM.normal(size=900)).round(2)})
    found = made(inside, "skewed", file(tmp_path, rows), "spent")
    assert (found.train.loss, found.promote.metric) == ("mean_absolute_error", "mean_absolute_error")


def test_equal_rows_without_an_identifier_are_kept_and_lie_in_one_split(inside, tmp_path):  # noqa: F811
    people = orders(900)[["city", "ordered"]].assign(cls=RANDOM.integers(1, 60, 900))
    found = new(inside, Wanted("people", file(tmp_path, people), "ordered", [], [], dry_run=True))
    assert "duplicates: keep # " in found["yaml"]
    assert sum(found["decided"]["rows"]["splits"].values()) == 900
    assert found["decided"]["rows"]["removed"] == {}


@pytest.mark.parametrize(("few", "said"), [(6, "6 rows of class '1' beside 294 rows of '0', and 10 of a class")])
def test_too_few_rows_of_a_class_are_named_with_what_is_missing(inside, tmp_path, few, said):  # noqa: F811
    rows = pd.DataFrame({"x": RANDOM.normal(size=300).round(3), "fraud": [1] * few + [0] * (300 - few)})
    with pytest.raises(DataError, match=said):
        made(inside, "frauds", file(tmp_path, rows), "fraud")


CELSIUS = (11 + 5 * RANDOM.normal(size=2000)).round(1)
CELSIUS = CELSIUS[CELSIUS >= 0]
RANGES = {  # numbers that were never negative, and whether they may become so
    "temperatures": (CELSIUS, True),
    "whole temperatures": (CELSIUS.round(), True),
    "ages": (RANDOM.integers(18, 90, 2000), False),
    "counts": (RANDOM.poisson(2, 2000), False),
    "prices": (RANDOM.gamma(2, 10, 2000), False),
    "flags": (RANDOM.integers(0, 2, 2000), False),
    "weights": (np.clip(RANDOM.normal(75, 12, 2000), 45, 130), False),
}


@pytest.mark.parametrize("name", RANGES)
def test_a_number_has_room_below_zero_unless_its_range_ends_there(name):
    values, negative = RANGES[name]
    different, times = np.unique(values, return_counts=True)
    from flows.new import column_types

    low, high = float(different[0]), float(different[-1])
    least, most = draft._room(low, high, column_types.ends(different, times))
    assert (least < 0) == negative
    assert least <= low <= high < most
