"""Validate: the raw table is what was promised, or the run stops and says which rows are not."""

import json

import pyarrow.parquet as pq
import pytest

from pipelines.errors import ExpectationError
from tests.support.world import pets

HEAVY = {"rule": "expect_column_values_to_be_between", "column": "weight", "max_value": 15}
NO_COLOUR = {"rule": "expect_column_values_to_not_be_null", "column": "colour"}
NO_TARGET = {"rule": "expect_column_values_to_not_be_null", "column": "animal"}


def quarantine(world) -> list[tuple[str, str]]:
    table = pq.read_table(world.root / "data/pets/quarantine.parquet")
    return list(zip(table["row_id"].to_pylist(), table["rule"].to_pylist(), strict=True))


def raw(world):
    return pq.read_table(world.root / "data/pets/raw.parquet").to_pandas()


def test_sound_data_pass_and_nothing_is_set_aside(world):
    world.declare(validate={"rules": [HEAVY | {"max_value": 50}]})
    world.pin(pets())
    folder = world.run("ingest", "validate")
    report = json.loads((folder / "validation.json").read_text())
    assert (report["format"], report["rows"], report["quarantined"]) == (1, 200, 0)
    assert [entry["success"] for entry in report["rules"]] == [True, True, True]
    assert quarantine(world) == []
    assert not (folder / "failed").exists()


def test_a_rule_that_fails_stops_the_run_and_keeps_the_rows(world):
    world.declare(validate={"rules": [HEAVY]})
    world.pin(pets())
    with pytest.raises(ExpectationError, match=r"column 'weight': .*\"max_value\": 15.* of 200 rows break it, such as"):
        world.run("ingest", "validate")
    folder = world.root / "data/pets"
    assert not (folder / "validation.json").exists()
    failed = json.loads((folder / "failed/validation.json").read_text())["rules"][-1]
    assert {example["row_id"] for example in failed["examples"]} <= set(raw(world).query("weight > 15")["row_id"])
    world.declare()
    world.run("validate")
    assert not (folder / "failed/validation.json").exists()  # it would outlive its cause


def test_a_rule_of_level_warn_is_only_reported(world):
    world.declare(validate={"rules": [HEAVY | {"level": "warn"}]})
    world.pin(pets())
    folder = world.run("ingest", "validate")
    assert json.loads((folder / "validation.json").read_text())["rules"][-1]["success"] is False
    assert quarantine(world) == []


def test_rows_that_break_a_quarantine_rule_are_set_aside_with_the_rule(world):
    rules = [HEAVY | {"level": "quarantine"}, NO_COLOUR | {"level": "quarantine"}]
    world.declare(validate={"rules": rules, "quarantine_limit": 0.5})
    world.pin(pets())
    folder = world.run("ingest", "validate")
    heavy, colourless = raw(world).query("weight > 15"), raw(world)[raw(world)["colour"].isna()]
    expected = {(row_id, HEAVY["rule"]) for row_id in heavy["row_id"]}
    assert set(quarantine(world)) == expected | {(row_id, NO_COLOUR["rule"]) for row_id in colourless["row_id"]}
    aside = pq.read_table(world.root / "data/pets/quarantine.parquet").to_pandas()
    values = aside[aside["rule"] == HEAVY["rule"]].set_index("row_id")["value"].astype(float)
    assert values.to_dict() == heavy.set_index("row_id")["weight"].to_dict()  # each with its reason
    assert aside[aside["rule"] == NO_COLOUR["rule"]]["value"].isna().all()
    rows = len({*heavy["row_id"], *colourless["row_id"]})
    assert json.loads((folder / "validation.json").read_text())["quarantined"] == rows  # a row is counted once


def test_too_many_rows_to_set_aside_stop_the_run(world):
    world.declare(validate={"rules": [HEAVY | {"level": "quarantine"}], "quarantine_limit": 0.01})
    world.pin(pets())
    with pytest.raises(ExpectationError, match=r"of 200 rows would be set aside .*quarantine_limit allows 1\.0%"):
        world.run("ingest", "validate")
    assert (world.root / "data/pets/failed/validation.json").exists()


def test_a_missing_target_stops_the_run_unless_the_declaration_says_otherwise(world):
    frame = pets()
    frame.loc[[3, 5], "animal"] = None
    world.pin(frame)
    with pytest.raises(ExpectationError, match=r"column 'animal': expect_.*_not_be_null: 2 of 200 rows break it"):
        world.run("ingest", "validate")
    world.declare(validate={"rules": [NO_TARGET | {"level": "quarantine"}]})
    world.run("validate")
    assert [rule for _, rule in quarantine(world)] == [NO_TARGET["rule"]] * 2
    world.declare(validate={"rules": [NO_TARGET | {"level": "warn"}]})
    report = json.loads((world.run("validate", "clean") / "clean.json").read_text())
    assert report["rows"]["removed"] == {"missing target": 2}


def test_examples_can_be_kept_out_of_reports_and_messages(world):
    world.declare(validate={"rules": [HEAVY], "examples": 0})
    world.pin(pets())
    with pytest.raises(ExpectationError, match="rows break it") as caught:
        world.run("ingest", "validate")
    assert "such as" not in str(caught.value)
    assert '"examples": []' in (world.root / "data/pets/failed/validation.json").read_text()


def test_two_runs_write_the_same_bytes(world):
    world.declare(validate={"rules": [HEAVY | {"level": "quarantine"}], "quarantine_limit": 0.5})
    world.pin(pets())
    world.run("ingest")
    written = []
    for _ in range(2):
        folder = world.run("validate")
        written.append(
            [(folder / name).read_bytes() for name in ("validation.json", "quarantine.parquet", "profile.json")]
        )
    assert written[0] == written[1]
