"""Every kind of rule, before and after cleaning, by a real run of the stage: what breaks it is told, in plain words."""

import json

import pandas as pd
import pytest

from pipelines.config import settings
from pipelines.config.data import Data
from pipelines.errors import DataError, ExpectationError
from pipelines.table import profile
from tests.support.world import PETS, pets

COLUMNS = ["row_id", "weight", "age", "colour", "animal"]
KINDS = {  # of each kind a rule that pets(300) keeps, what makes it break it, and what is then told
    "a missing column": (
        "table_columns_to_match_set",
        {"column_set": COLUMNS},
        {"column_set": [*COLUMNS, "owner"]},
        r"found \[",
    ),
    "an extra column": ("table_column_count_to_equal", {"value": 5}, {"value": 4}, "found 5"),
    "type": ("column_values_to_be_of_type", {"type_": "float64"}, {"type_": "int64"}, "found float64"),
    "range": ("column_values_to_be_between", {"max_value": 40}, {"max_value": 16}, r"of \d+ rows break it, such as"),
    "smallest": ("column_min_to_be_between", {"min_value": 0}, {"min_value": 5}, r"found 0\."),
    "set": ("column_values_to_be_in_set", {"value_set": ["cat", "dog"]}, {"value_set": ["cat"]}, "such as 'dog'"),
    "null share": ("column_values_to_not_be_null", {"mostly": 0.8}, {"mostly": 0.99}, "rows break it"),
    "uniqueness": ("column_values_to_be_unique", {"column": "weight"}, {"column": "age"}, "rows break it, such as"),
    "row count": ("table_row_count_to_be_between", {"max_value": 300}, {"max_value": 20}, r"found \d+"),
}
ABOUT = {"set": "animal", "null share": "age"}  # the column of a rule, if it is not the weight


def rule(kind: str, holds: bool, **more) -> dict:
    name, keeps, breaks, _ = KINDS[kind]
    about = {} if name.startswith("table") else {"column": ABOUT.get(kind, "weight")}
    return {"rule": f"expect_{name}", **about, **(keeps if holds else breaks), **more}


def run(world, section: str, **settings) -> dict:
    world.declare(**{section: settings})
    world.pin(pets(300))
    folder = world.run("ingest", "validate", *(("clean", "check") if section == "check" else ()))
    return json.loads((folder / ("check.json" if section == "check" else "validation.json")).read_text())


@pytest.mark.parametrize("section", ["validate", "check"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_rule_holds_stops_or_warns_before_and_after_cleaning(world, capsys, kind, section):
    report = run(world, section, rules=[rule(kind, holds=True)])
    assert report["rules"][-1]["success"] is True
    assert "words" not in report["rules"][-1]
    assert "note:" not in capsys.readouterr().out
    with pytest.raises(ExpectationError, match=KINDS[kind][3]):
        run(world, section, rules=[rule(kind, holds=False)])
    failed = world.root / "data/pets/failed" / ("check.json" if section == "check" else "validation.json")
    assert json.loads(failed.read_text())["rules"][-1]["words"]
    report = run(world, section, rules=[rule(kind, holds=False, level="warn")])
    assert report["rules"][-1]["success"] is False
    assert "note: warning: " in capsys.readouterr().out  # it stops nothing, and is seen
    assert not failed.exists()


@pytest.mark.parametrize("columns", [["weight", "colour", "animal"], ["weight", "age", "colour", "animal", "owner"]])
def test_a_table_with_a_column_less_or_more_than_declared_is_refused_when_it_is_read(world, columns):
    world.pin(pets().assign(owner="x")[columns])
    with pytest.raises(DataError, match=r"have no column 'age'|undeclared columns: 'owner'"):
        world.run("ingest")


def pin_with_reference(world, before: pd.DataFrame, now: pd.DataFrame) -> None:
    """Pin a table together with the profile of another one, as a run does when the data move."""
    world.pin(before)
    world.run("ingest")
    known = profile.profile(world.root / "data/pets/raw.parquet", settings.load("pets", "data", Data))
    world.pin(now)
    path = world.root / "data/pets/pin.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"reference": known}))


def test_a_column_that_moved_from_the_last_good_version_stops_or_warns(world, capsys):
    moved = pets(300, seed=1).assign(weight=lambda frame: frame["weight"] * 2, colour="green")
    world.declare(validate={"drift": {"at_most": 0.3}})
    pin_with_reference(world, pets(300), moved)
    with pytest.raises(ExpectationError, match=r"'colour': drift .*found 1\.0; column 'weight': drift .*found 0\.\d+"):
        world.run("ingest", "validate")
    report = json.loads((world.root / "data/pets/failed/validation.json").read_text())
    drift = {e["arguments"]["column"]: e["success"] for e in report["rules"] if e["rule"] == "drift"}
    assert drift == {"age": True, "animal": True, "colour": False, "weight": False}
    world.declare(validate={"drift": {"at_most": 0.3, "level": "warn"}})
    world.run("validate")
    assert "note: warning: column 'weight': drift" in capsys.readouterr().out


def test_with_nothing_to_compare_with_drift_is_left_out_visibly(world, capsys):
    world.declare(validate={"drift": {"at_most": 0.01}})
    world.pin(pets())
    report = json.loads((world.run("ingest", "validate") / "validation.json").read_text())
    assert "first data" in report["rules"][-1]["skipped"]
    assert "note: drift: not looked at, these are the first data" in capsys.readouterr().out


def test_values_of_sensitive_columns_are_in_no_report_and_no_message(world):
    rules = [rule("range", holds=False), rule("set", holds=False) | {"column": "colour"}]
    rules.append({"rule": "expect_column_max_to_be_between", "column": "weight", "max_value": 3})
    world.declare(data_=PETS["data"] | {"sensitive": ["weight", "colour"]}, validate={"rules": rules})
    world.pin(pets(300))
    with pytest.raises(ExpectationError, match="rows break it") as caught:
        world.run("ingest", "validate")
    told = str(caught.value) + "".join(path.read_text() for path in (world.root / "data/pets/failed").iterdir())
    assert [word for word in ("black", "brown", "white", str(pets(300)["weight"].max())) if word in told] == []
    world.declare(
        data_=PETS["data"] | {"sensitive": ["weight"]},
        validate={"rules": [rule("range", holds=False, level="quarantine")], "quarantine_limit": 1.0},
    )
    aside = pd.read_parquet(world.run("validate") / "quarantine.parquet")
    assert set(aside["value"]) == {"(sensitive)"}
