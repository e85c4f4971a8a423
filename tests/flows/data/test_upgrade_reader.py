"""A model is brought to a newer reader: its YAML, its rows, and the gate that matches the rows of both."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from flows.cli.commands.new import upgrade_text
from flows.data import upgrade_reader
from flows.promotion.rivals import across_readers
from flows.tracking.evidence_files import Kept
from pipelines import model_file
from pipelines.config import settings
from pipelines.errors import SettingsError
from pipelines.table import row_groups, rows
from tests.support.world import World

DATA = {
    "kind": "table",
    "task": "classification",
    "target": "bought",
    "columns": {"age": "number", "member": "category", "code": "category", "name": "carried"},
    "sensitive": ["name"],
}


def customers(rows: int = 120) -> pd.DataFrame:
    """As pandas writes a table with booleans, and with whole numbers of which some are missing."""
    random = np.random.default_rng(2)
    return pd.DataFrame(
        {
            "age": random.integers(18, 90, rows) + np.arange(rows) / 1000,
            "member": random.random(rows) < 0.5,
            "code": np.where(np.arange(rows) % 3 == 0, np.nan, random.integers(1, 4, rows)),
            "name": np.where(np.arange(rows) % 2, "TRUE", "x"),
            "bought": random.random(rows) < 0.5,
        }
    )


@pytest.fixture
def world(tmp_path, monkeypatch) -> World:
    monkeypatch.chdir(tmp_path)
    found = World(tmp_path)
    found.declare("shop", data_=DATA, ingest_={"source": "data/incoming/shop/"})
    found.pin(customers(), model="shop")
    return found


def test_the_yaml_has_the_newest_reader_and_its_changes_are_told(world):
    found = upgrade_reader.upgrade("shop", dry_run=True)
    assert "reader" not in settings.read("shop")["ingest"]
    assert (found["written"], found["rows"], found["identities"]) == (False, 120, 120)
    assert found["cells"] == {"member": 120, "code": 80, "name": 60, "bought": 120}
    assert found["examples"]["code"] in (["1.0", "1"], ["2.0", "2"], ["3.0", "3"])
    assert "name" not in found["examples"]
    written = upgrade_reader.upgrade("shop", dry_run=False)
    assert written == found | {"written": True}
    assert settings.read("shop")["ingest"] == {"reader": 2, "source": "data/incoming/shop/"}
    assert "120 of 120 get another identity" in upgrade_text(written)
    assert upgrade_text(upgrade_reader.upgrade("shop", dry_run=False)) == "shop has reader 2, the newest, already."


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("ingest: {source: x}  # here\n", "ingest: {reader: 2, source: x}  # here\n"),
        ("ingest:\n  # why\n  source: x\n", "ingest:\n  # why\n  reader: 2\n  source: x\n"),
        ("ingest:  # these\n\n    source: x\n", "ingest:  # these\n\n    reader: 2\n    source: x\n"),
        ("ingest: {reader: 1, source: x}\n", "ingest: {reader: 2, source: x}\n"),
        ("ingest:\n  source: x\n  reader: 1  # old\n", "ingest:\n  source: x\n  reader: 2  # old\n"),
        ("reader: 7\ningest:\n  source: x\n", "reader: 7\ningest:\n  reader: 2\n  source: x\n"),
    ],
)
def test_nothing_else_in_the_yaml_changes(tmp_path, monkeypatch, before, after):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "models" / "shop.yaml"
    path.parent.mkdir()
    path.write_text(f"format: 1\n{before}# the end\n")
    assert upgrade_reader._with_reader("shop") == f"format: 1\n{after}# the end\n"


def test_a_yaml_that_cannot_be_edited_is_left_to_a_person(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "shop.yaml").write_text('format: 1\n"ingest":\n  source: x\n')
    with pytest.raises(SettingsError, match="Write `reader: 2` under `ingest:`"):
        upgrade_reader._with_reader("shop")


def split(world: World, reader: int) -> dict[str, pd.DataFrame]:
    world.declare("shop", data_=DATA, ingest_={"source": "data/incoming/shop/", "reader": reader})
    folder = world.run("ingest", "validate", "clean", model="shop")
    return {name: pq.read_table(folder / f"{name}.parquet").to_pandas() for name in ("train", "validation", "test")}


def test_rows_that_the_rival_was_fitted_on_are_known_by_their_new_identities(world):
    old = split(world, 1)
    fitted = pd.concat([table.assign(split=name) for name, table in old.items()]).set_index("row_id")
    now, test = split(world, 2), world.root / "data" / "shop" / "test.parquet"
    assert not set(now["test"]["row_id"]) & set(fitted.index)
    version = SimpleNamespace(version="1", tags={})
    found = across_readers.known(model_file.check("shop"), version, test, world.root)
    kept = found.kept(Kept(fitted["split"], pd.DataFrame()))
    by_age = fitted.set_index("age")["split"]  # no two customers are equally old
    wanted = by_age.loc[now["test"]["age"]].tolist()
    assert kept.rows.loc[now["test"]["row_id"]].tolist() == wanted
    assert kept.fitted(now["test"]["row_id"]).tolist() == [name != "test" for name in wanted]
    theirs = pq.read_table(found.test).to_pandas()
    assert theirs["row_id"].tolist() == now["test"]["row_id"].tolist()
    read = pd.concat(old.values()).set_index("age").loc[now["test"]["age"]]
    for name in ("member", "code", "name", "bought"):
        assert (
            theirs[name].where(theirs[name].notna(), None).tolist()
            == read[name].where(read[name].notna(), None).tolist()
        )


def test_with_one_reader_nothing_is_matched(world):
    now = SimpleNamespace(version="1", tags={"ratchet.reader": "2"})
    split(world, 2)
    assert across_readers.known(model_file.check("shop"), now, world.root / "none", world.root) is None


def test_rows_that_only_the_rival_told_apart_count_as_fitted_if_one_of_them_was():
    pairs = pd.DataFrame({"row_id": ["a", "a", "b", "c"], "theirs": ["1", "2", "3", "4"]})
    fitted = pd.Series({"1": "test", "2": "train", "3": "test"})
    found = across_readers.Known(None, pairs).kept(Kept(fitted, pd.DataFrame()))  # type: ignore[arg-type]
    assert found.rows.to_dict() == {"a": "train", "b": "test"}


def test_a_rival_s_classes_get_the_words_of_the_new_reader(world):
    split(world, 2)
    answers = pd.DataFrame(
        {
            "row_id": ["a", "b"],
            "actual": ["True", "False"],
            "prediction": ["TRUE", "False"],
            "probability_True": [0.25, 0.25],
            "probability_TRUE": [0.5, 0.0],
            "probability_False": [0.25, 0.75],
        }
    )
    found = across_readers.translated(answers, model_file.check("shop"))
    assert found[["actual", "prediction"]].to_numpy().tolist() == [["true", "true"], ["false", "false"]]
    assert found["probability_true"].tolist() == [0.75, 0.25]
    assert found["probability_false"].tolist() == [0.25, 0.75]


def test_only_tables_of_a_later_reader_say_so(world):
    for reader, about in ((1, None), (2, {b"reader": b"2"})):
        split(world, reader)
        for name in ("raw", "train", "validation", "test"):
            assert row_groups.metadata(world.root / "data" / "shop" / f"{name}.parquet") == about
    schema = rows.raw_schema(model_file.check("shop").data)
    assert row_groups.with_metadata(schema, None) is schema  # empty metadata would change the bytes of every table
