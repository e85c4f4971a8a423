"""A champion of one reader, a candidate of the next: each is asked by its own, on rows that neither was fitted on."""

import numpy as np
import pandas as pd
import pytest

from flows.project.environment import Project
from flows.records import ledger
from tests.support import golden
from tests.support.clone import answer, clone, edit

ROWS = 1200


@pytest.fixture(scope="module")
def club(tmp_path_factory):
    """A champion of the first reader; a column and the target are booleans, as pandas writes them in CSV."""
    folder = tmp_path_factory.mktemp("club")
    golden.declare_shop(clone(folder))
    table, at = golden.sales(ROWS), np.arange(ROWS)
    bought = (table["bought"] == "yes").astype(str)
    table = table.assign(age=table["age"] + at / 10_000, city=(at % 2 == 0).astype(str), bought=bought)
    table.to_csv(golden.incoming(folder), index=False)
    edit(folder / "models" / "shop.yaml", "epochs: 3", "epochs: 10")
    golden.store(Project(folder, folder / ".ratchet", "", ""), "prefect")
    assert answer(folder, "run", "shop")["decision"] == "accepted"
    return folder


def rows(folder, *splits: str) -> list[tuple]:
    tables = [pd.read_parquet(folder / "data" / "shop" / f"{name}.parquet") for name in splits]
    return [
        (row.age, row.city.lower(), row.bought.lower()) for table in tables for row in table.fillna(-1).itertuples()
    ]


@pytest.mark.long
@pytest.mark.random_order(disabled=True)
class TestUpgrade:
    def test_the_gate_leaves_out_what_the_champion_was_fitted_on_and_asks_it_by_its_own_reader(self, club):
        before = set(rows(club, "train", "validation"))
        assert answer(club, "upgrade-reader", "shop")["identities"] == ROWS
        found = answer(club, "run", "shop")
        facts = ledger.of(Project(club, club / ".ratchet", "", "")).lines("shop")[-1].facts
        test = rows(club, "test")
        left_out = sum(row in before for row in test)
        assert facts["left_out"] == {"champion": left_out}
        assert 0 < left_out < len(test)
        (look,) = (look for look in facts["looks"] if look["what"] == "champion")
        assert look["rows"] == len(test) - left_out
        assert abs(look["gain"]) < 0.2, "the champion would be wrong about every row whose words it does not know"
        assert found["version"] == 2

    def test_each_version_reads_rows_by_its_own_reader(self, club, tmp_path):
        table = pd.read_csv(golden.incoming(club))
        table.to_parquet(tmp_path / "rows.parquet", index=False)
        table.to_csv(tmp_path / "rows.csv", index=False)
        unknown = {}
        for version in ("1", "2"):
            for name in ("rows.csv", "rows.parquet"):
                asked = ("shop", str(tmp_path / name), str(tmp_path / f"{version}-{name}"), "--version", version)
                unknown[version, name] = answer(club, "predict", *asked)["unknown"]
        assert unknown["1", "rows.csv"] == unknown["2", "rows.csv"] == unknown["2", "rows.parquet"] == {}
        assert unknown["1", "rows.parquet"] == {"city": ROWS}
        answers = [pd.read_csv(tmp_path / "2-rows.csv"), pd.read_parquet(tmp_path / "2-rows.parquet")]
        assert answers[0]["row_id"].tolist() == answers[1]["row_id"].tolist()
        found = [list(map(float, known["probability_true"])) for known in answers]
        assert found[0] == pytest.approx(found[1], abs=1e-5)
