"""A column more gives every row another identity: rows are matched over the columns that both versions know."""

import hashlib

import pandas as pd
import pytest

from flows.project.environment import Project
from flows.records import ledger
from pipelines import clean
from tests.support import golden
from tests.support.clone import answer, edit


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


def test_without_the_rows_of_then_nothing_is_decided_and_the_way_out_is_named(shop):
    for split in clean.SPLITS:
        path = shop / "data" / "shop" / f"{split}.parquet"
        digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        (shop / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]).unlink()
        path.unlink()
    found = answer(shop, "run", "shop")
    assert found["decision"] == "undecided"
    assert "DVC's cache no longer has its" in found["reason"]
    assert "ratchet promote" in found["reason"]
