"""Clean with a split by time that moves on with the data."""

import json
import re

import pandas as pd
import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

from pipelines.errors import DataError
from pipelines.table.splits import SPLITS
from tests.support.sequences import SHOPS, prepared, shops
from tests.support.world import PETS, pets

COLUMNS = {"weight": "number", "born": "date"}
DATA = PETS["data"] | {"columns": COLUMNS}
SHARES = {"by": "time", "column": "born", "validation": 0.1, "test": 0.2}
SPANS = {"by": "time", "column": "born", "validation": "10d", "test": "20d"}


def born(rows: int, first: str = "2026-01-01") -> pd.DataFrame:
    days = pd.date_range(first, periods=rows, freq="D").strftime("%Y-%m-%dT00:00:00Z")
    return pets(400)[["weight", "animal"]].head(rows).assign(born=days)


def cleaned(world, frame: pd.DataFrame, split: dict, edges: dict | None = None, **sections) -> dict:
    """clean.json of a version of the data. edges: those of the version before."""
    world.declare(data_=DATA, clean={"split": split}, **sections)
    world.pin(frame)
    path = world.root / "data/pets/pin.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | ({"edges": edges} if edges else {})))
    return json.loads((world.run("ingest", "validate", "clean") / "clean.json").read_text())


def counted(report: dict) -> list[int]:
    return [report["splits"][name]["rows"] for name in SPLITS]


def ids(world, split: str) -> set[str]:
    return set(pq.read_table(world.root / f"data/pets/{split}.parquet")["row_id"].to_pylist())


@pytest.mark.parametrize(
    ("split", "before", "after"), [(SHARES, [70, 10, 20], [91, 13, 26]), (SPANS, [70, 10, 20], [100, 10, 20])]
)
def test_rows_go_from_test_over_validation_to_train_and_never_back(world, split, before, after):
    first = cleaned(world, born(100), split)
    assert counted(first) == before
    assert {name: first["edges"][name] for name in ("column", "validation", "test")} | {"by": "time"} == split
    here = {name: ids(world, name) for name in SPLITS}
    second = cleaned(world, born(130), split, first["edges"])
    assert counted(second) == after
    later = {name: ids(world, name) for name in SPLITS}
    assert here["train"] < later["train"]
    assert not here["validation"] & later["test"]
    assert here["test"] & later["train"]


def test_the_former_edges_hold_where_the_newest_rows_are_gone_or_old_ones_arrive_late(world):
    first = cleaned(world, born(100), SHARES)["edges"]
    assert cleaned(world, born(92), SHARES, first)["edges"] == first
    assert cleaned(world, born(92), SHARES)["edges"] != first
    late = cleaned(world, pd.concat([born(100), born(80, "2025-01-01")]), SHARES, first)
    assert late["edges"] == first
    assert counted(late) == [150, 10, 20]
    with pytest.raises(DataError, match=r"The test split has 5 rows, .* begins at 2026-03-22T00:00:00\+00:00, as with"):
        cleaned(world, born(85), SHARES, first)
    assert cleaned(world, born(85), SHARES | {"test": 0.25}, first)["edges"]["test_from"] < first["test_from"]


def test_rows_that_are_removed_count_for_no_edge(world):
    frame = born(100)
    plain = cleaned(world, frame, SHARES)["edges"]
    more = born(40, "2026-04-11").assign(animal=None)
    removed = pd.concat([frame, frame.tail(30), more])
    lacks = {"rule": "expect_column_values_to_not_be_null", "column": "animal", "level": "quarantine"}
    rules = {"rules": [lacks], "quarantine_limit": 1.0}
    found = cleaned(world, removed, SHARES, validate=rules)
    assert found["edges"] == plain
    assert found["rows"]["removed"] == {"duplicate": 30, "quarantined": 40}


def test_a_date_of_2099_is_refused_with_a_rule_that_helps(world):
    frame = pd.concat([born(100), born(1, "2099-01-01")])
    with pytest.raises(
        DataError, match=r"has 1 row, .*are of 2099-01-01T00:00:00\+00:00; the row before them is 26,5"
    ) as refused:
        cleaned(world, frame, SPANS)
    assert not (world.root / "data/pets/clean.json").exists()
    told = re.search(r"{rule: .*: quarantine}", str(refused.value))[0]
    rules = {"rules": [YAML(typ="safe").load(told)]}
    assert counted(cleaned(world, frame, SPANS, validate=rules)) == [70, 10, 20]


def test_fixed_instants_write_no_edges(world):
    fixed = {"by": "time", "column": "born", "validation_from": "2026-03-01T00Z", "test_from": "2026-03-11T00Z"}
    edges = cleaned(world, born(100), SPANS)["edges"]
    assert "edges" not in cleaned(world, born(100), fixed, edges)


@pytest.mark.parametrize("horizon", [1, 5])
def test_windows_of_several_series_move_together(world, horizon):
    """A shop that ended early has no rows in the newest windows, and no window sees what comes after its edge."""
    table = shops(240)
    table = table[(table["shop"] == "a") | (table["at"] < "2026-01-08")]
    split = {"by": "time", "column": "at", "validation": "24h", "test": "2d"}
    data = {"horizon": horizon}
    folder = prepared(world, table, data_=SHOPS | data, clean_={"split": split})
    report = json.loads((folder / "clean.json").read_text())
    parts = {name: pq.read_table(folder / f"{name}.parquet").to_pandas() for name in SPLITS}
    newest = table.loc[table["sold"].notna(), "at"].max()
    since = pd.Timestamp(report["edges"]["test_from"])
    assert since > pd.Timestamp(newest) - pd.Timedelta("2D") >= pd.to_datetime(parts["validation"]["at"]).max()
    assert set(parts["test"]["shop"]) == {"a"}
    assert set(parts["train"]["shop"]) == {"a", "b"}
    assert parts["train"]["at"].max() < report["edges"]["validation_from"] <= parts["validation"]["at"].min()
    assert parts["validation"]["at"].max() < report["edges"]["test_from"] <= parts["test"]["at"].min()
