"""A column more gives every row another identity: rows are matched over the columns that both versions know."""

import hashlib
import json

import pandas as pd
import pyarrow.parquet as pq
import pytest
from mlflow.entities.model_registry import ModelVersion
from ruamel.yaml import YAML

from flows.project.environment import Project
from flows.promotion import trial
from flows.promotion.rivals import matching, opponents
from flows.promotion.rivals.matching import Recorded
from flows.records import ledger
from pipelines import model_file
from pipelines.config.data import Data
from pipelines.errors import DataError, IntegrityError
from pipelines.readers.private import Private
from pipelines.table import splits
from tests.support import golden
from tests.support.clone import answer, clone, edit, git
from tests.support.sequences import SECTIONS, SHOPS, prepared, shops
from tests.support.world import PETS


@pytest.fixture
def shop(tmp_path):
    """A champion, and after it the same rows with a column more."""
    golden.shop(tmp_path)
    table = pd.read_csv(golden.incoming(tmp_path))
    table["colour"] = ["red", "blue"] * 150
    table.to_csv(golden.incoming(tmp_path), index=False)
    edit(tmp_path / "models" / "shop.yaml", "city: category}", "city: category, colour: category}")
    return tmp_path


def last(folder):
    project = Project(folder, folder / ".ratchet", "", "")
    return ledger.of(project).lines("shop")[-1]


def fitted(folder) -> set[tuple]:
    """The rows that are trained or tuned on, by what both versions know of them."""
    tables = [pd.read_parquet(folder / "data" / "shop" / f"{name}.parquet") for name in ("train", "validation")]
    return set(known(pd.concat(tables)))


def known(table: pd.DataFrame) -> list[tuple]:
    return [tuple(map(str, row)) for row in table[["age", "city", "bought"]].itertuples(index=False)]


def test_rows_that_the_champion_was_trained_on_are_left_out_by_what_both_know_of_them(shop):
    before = fitted(shop)
    answer(shop, "run", "shop")
    test = pd.read_parquet(shop / "data" / "shop" / "test.parquet")
    expected = sum(row in before for row in known(test))
    facts = last(shop).facts
    assert facts["left_out"] == {"champion": expected}
    assert 0 < expected < len(test)
    (look,) = (look for look in facts["looks"] if look["what"] == "champion")
    assert look["rows"] == len(test) - expected


@pytest.mark.long
def test_without_the_rows_of_then_nothing_is_decided_and_the_way_out_is_named(shop):
    for split in splits.SPLITS:
        path = shop / "data" / "shop" / f"{split}.parquet"
        digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        (shop / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]).unlink()
        path.unlink()
    found = answer(shop, "run", "shop")
    assert found["decision"] == "undecided"
    assert "DVC's cache no longer has its" in found["reason"]
    assert "ratchet promote" in found["reason"]


@pytest.mark.long
def test_a_column_that_is_hidden_since_leaves_no_rows_in_common_and_the_gate_says_so(tmp_path):
    golden.shop(tmp_path)
    edit(tmp_path / "models" / "shop.yaml", "sales.csv}", "sales.csv, reader: 2, private: {age: {bin: 10}}}")
    found = answer(tmp_path, "run", "shop")
    assert found["decision"] == "undecided"
    assert "read the column age in another form" in found["reason"]
    assert "no rows in common" in found["reason"]
    assert "ratchet promote" in found["reason"]
    number = str(found["version"])
    assert answer(tmp_path, "promote", "shop", number, "--reason", "ages are hidden")["champion"] == int(number)
    edit(tmp_path / "models" / "shop.yaml", "epochs: 3", "epochs: 4")
    assert "in common" not in answer(tmp_path, "run", "shop")["reason"]


@pytest.mark.parametrize(
    ("then", "now", "changed"),
    [
        ({}, {"age": {"bin": 10}}, ["age"]),
        ({"age": {"bin": 10}}, {"age": {"bin": 10}}, []),
        ({"age": {"bin": 10}}, {"age": {"bin": 5}}, ["age"]),
        ({"city": "hash"}, {}, ["city"]),
        ({}, {"name": "drop"}, []),
    ],
)
def test_columns_that_are_hidden_in_another_way_are_told(tmp_path, monkeypatch, then, now, changed):
    (tmp_path / "models").mkdir()
    (tmp_path / "dvc.yaml").write_text("[digits, breast_cancer, diabetes]")
    golden.declare_shop(tmp_path)
    monkeypatch.chdir(tmp_path)
    told = f"sales.csv, reader: 2, private: {json.dumps(now)}}}"
    edit(tmp_path / "models" / "shop.yaml", "sales.csv}", told)
    version = ModelVersion("shop", "1", 0)
    declared = model_file.check("shop")
    recorded = Recorded(dict(declared.raw["data"]), {}, matching.hidden(Private(private=then)))
    if not changed:
        assert matching.kept(None, declared, version, recorded, None, None) is None
        return
    with pytest.raises(IntegrityError, match=f"the column {changed[0]} in another form"):
        matching.kept(None, declared, version, recorded, None, None)


SIMPLE = {"kind": "sequence", "task": "regression", "target": "sold", "time": "at", "step": 3600, "window": 6}
AT = {"at": "date", "shop": "category", "warm": "number"}


@pytest.mark.parametrize(
    ("there", "here", "common"),
    [
        (
            {"columns": AT, "series": ["shop"]},
            {"columns": AT | {"sky": "category"}, "series": ["shop"]},
            ["at", "shop"],
        ),
        ({"columns": AT}, {"columns": AT, "series": ["shop"]}, ["at"]),  # one of them does not tell the series apart
        ({"columns": AT, "series": ["shop"]}, {"columns": AT}, ["at"]),
        ({"columns": AT, "time": "then"}, {"columns": AT}, None),
        ({"columns": AT, "kind": "table"}, {"columns": AT}, None),
        ({"columns": AT, "target": "rain"}, {"columns": AT}, None),
    ],
)
def test_windows_are_matched_by_time_and_series(there, here, common):
    recorded, declared = Recorded(SIMPLE | there, {}), Data.model_validate(SIMPLE | here)
    assert matching._common(recorded, declared) == common


def test_a_window_is_known_by_the_row_that_it_predicts_whatever_else_is_in_it(world):
    plain = prepared(world, shops()) / "test.parquet"
    names = ["at", "shop"]
    before = {one for one, _ in matching._identities(plain, names)}
    data = SHOPS | {"window": 9, "horizon": 2, "columns": SHOPS["columns"] | {"tide": "number"}}
    table = shops().assign(tide=0.5)
    other = prepared(world, table, data_=data) / "test.parquet"
    assert {one for one, _ in matching._identities(other, names)} == before
    assert len(before) == pq.read_metadata(other).num_rows


@pytest.mark.parametrize(("window", "horizon"), [(4, 1), (9, 3)])
def test_a_rival_gets_the_windows_that_it_was_trained_on(world, tmp_path, window, horizon):
    there = SHOPS | {"window": window, "horizon": horizon}
    expected = pq.read_table(prepared(world, shops(), data_=there) / "test.parquet")
    here = SHOPS | {"columns": SHOPS["columns"] | {"tide": "number"}}
    folder = prepared(world, shops().assign(tide=0.5), data_=here)
    data = Data.model_validate(there)
    found = pq.read_table(trial._other_windows("shops", folder / "test.parquet", data, tmp_path / "rows.parquet"))
    assert found.drop_columns("row_id") == expected.drop_columns("row_id")
    assert found["row_id"] == pq.read_table(folder / "test.parquet")["row_id"]
    more = Data.model_validate(there | {"columns": SHOPS["columns"] | {"wet": "number"}})
    with pytest.raises(DataError, match=r"lack the columns \['wet'\]"):
        trial._other_windows("shops", folder / "test.parquet", more, tmp_path / "rows.parquet")


@pytest.mark.long
def test_a_series_with_another_window_and_a_column_more_is_compared_with_its_champion_on_newer_rows(tmp_path):
    """The split moves with the data, so that training grows and the champion has never seen the test rows."""
    folder = clone(tmp_path / "project")
    edit(folder / "dvc.yaml", "[digits, breast_cancer, diabetes]", "[digits, breast_cancer, diabetes, shops]")
    split = {"by": "time", "column": "at", "validation": 0.1, "test": 0.2}
    training = SECTIONS["train_"] | {"epochs": 20, "learning_rate": 0.01, "loss": "mean_absolute_error"}
    content = PETS | {name.removesuffix("_"): section for name, section in SECTIONS.items()}
    content |= {"train": training, "clean": {"split": split}}
    content["promote"] = content["promote"] | {"margin": 2.0}
    yaml, source = folder / "models" / "shops.yaml", folder / "data" / "incoming" / "shops" / "rows.csv"
    YAML().dump(content, yaml)
    (folder / "models" / "shops.py").write_text('"""No code of its own."""\n')
    source.parent.mkdir(parents=True)
    shops(360)[lambda rows: rows["at"] < "2026-01-11"].to_csv(source, index=False)
    assert answer(folder, "run", "shops")["decision"] == "accepted"
    before = counted(folder)
    YAML().dump(content | {"data": SHOPS | {"window": 8, "columns": SHOPS["columns"] | {"tide": "number"}}}, yaml)
    source.unlink()
    source.with_name("more.csv").write_text(shops(360).assign(tide=0.5).to_csv(index=False))
    source.with_name("rows.csv.withdrawn").touch()
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "another window")
    assert answer(folder, "run", "shops")["decision"] in ("accepted", "rejected")
    after, facts = counted(folder), ledger.of(Project(folder, folder / ".ratchet", "", "")).lines("shops")[-1].facts
    assert after["train"] > before["train"]
    assert facts["left_out"] == {"champion": 0}
    (look,) = (look for look in facts["looks"] if look["what"] == "champion")
    assert look["rows"] == after["test"]


def counted(folder) -> dict[str, int]:
    return {name: pq.read_metadata(folder / "data" / "shops" / f"{name}.parquet").num_rows for name in splits.SPLITS}


@pytest.mark.parametrize(
    ("change", "others"),
    [
        ({}, False),
        ({"columns": AT | {"sky": "category"}}, False),  # a model takes the columns that it knows
        ({"window": 7}, True),
        ({"horizon": 2}, True),
        ({"seasons": [24]}, True),
        ({"series": ["shop"]}, True),
    ],
)
def test_a_rival_needs_windows_of_its_own_where_they_are_made_otherwise(change, others):
    section = SIMPLE | {"columns": AT} | change
    declared = model_file.Declaration("shops", {}, {"data": Data.model_validate(SIMPLE | {"columns": AT})})
    assert opponents._windows(Recorded(section, {}), declared) == (section if others else {})
    assert opponents._windows(None, declared) == {}
