"""Rows on a regular grid of time are found, by values alone, and what is written for them works."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from flows.new import column_types, recipe, time_series
from flows.new.new import Wanted, new
from flows.project import environment
from pipelines import model_file
from pipelines.errors import DataError
from pipelines.table.rows import MISSING
from tests.flows.new.test_new import file
from tests.support.world import ROOT

HOURS = pd.date_range("2024-01-01", periods=1500, freq="h")
RANDOM = np.random.default_rng(0)


def sales(at: pd.DatetimeIndex = HOURS) -> pd.DataFrame:
    """A daily wave with noise that stays for a while."""
    noise = pd.Series(RANDOM.normal(0, 1, len(at))).ewm(span=5).mean()
    value = 10 + 5 * np.sin(at.hour / 24 * 2 * np.pi) + noise
    return pd.DataFrame({"at": at.strftime("%Y-%m-%d %H:%M"), "warm": RANDOM.normal(size=len(at)), "sold": value})


def parts(at: pd.DatetimeIndex = HOURS) -> pd.DataFrame:
    made = {"y": at.year, "m": at.month, "d": at.day, "h": at.hour}
    return pd.DataFrame(made | {"warm": sales(at)["warm"], "sold": sales(at)["sold"]})


def found(frame: pd.DataFrame, horizon: int = 1) -> time_series.Grid | None:
    table = pa.table({name: frame[name].astype(str) for name in frame})
    columns = column_types.columns(table.drop_columns(["sold"]), MISSING)
    return time_series.found(table, columns, "sold", horizon)


def test_a_column_of_instants_a_step_apart_is_a_grid_in_whatever_order_the_rows_are():
    for frame in (sales(), sales().sample(frac=1, random_state=0)):
        grid = found(frame)
        assert grid is not None
        assert (grid.time, grid.parts, grid.step, grid.series) == ("at", [], 3600.0, "")


def test_an_instant_in_parts_is_found_whatever_its_columns_are_called():
    for names in (None, {"y": "d", "m": "warm2", "d": "x", "h": "year"}):
        frame = parts().rename(columns=names or {})
        grid = found(frame)
        assert grid is not None
        assert (grid.time, grid.step) == ("time", 3600.0)
        assert grid.parts == [(names or {}).get(part, part) for part in ("y", "m", "d", "h")]


def test_each_word_of_a_column_may_have_a_series_of_its_own():
    frame = pd.concat([sales().assign(shop=shop) for shop in ("Oslo", "Bodø")])
    grid = found(frame)
    assert grid is not None
    assert grid.series == "shop"


@pytest.mark.parametrize(
    "frame",
    [
        sales().drop(columns="at"),
        sales(pd.DatetimeIndex(HOURS[0] + pd.to_timedelta(np.sort(RANDOM.integers(0, 10**6, 1500)), unit="min"))),
        sales().assign(at="2024-01-01"),
        sales().head(60),
    ],
    ids=["no time", "no step", "one instant", "few rows"],
)
def test_other_rows_are_no_series(frame):
    assert found(frame) is None


def test_a_few_gaps_do_not_matter():
    grid = found(sales().drop(index=range(100, 150)))
    assert grid is not None
    assert grid.step == 3600.0


def test_the_last_known_value_errs_the_more_the_further_ahead():
    near, far = found(sales(), 1), found(sales(), 12)
    assert near is not None
    assert far is not None
    assert 0 < near.naive < far.naive


@pytest.fixture
def project(tmp_path, monkeypatch):
    root = tmp_path / "project"
    (root / "models").mkdir(parents=True)
    (root / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    monkeypatch.chdir(root)
    return environment.Project(root, root / ".ratchet", "", "")


@pytest.mark.parametrize("made", [sales, parts, lambda: sales().drop(columns="warm")], ids=["text", "parts", "alone"])
def test_what_is_written_is_a_declaration_of_a_sequence(project, tmp_path, made):
    new(project, Wanted("shop", file(tmp_path, made()), "sold", [], [], horizon=3))
    declared = model_file.check("shop")
    data, split = declared.data, declared.raw["clean"]["split"]
    assert (data.kind, data.step, data.horizon) == ("sequence", 3600, 3)
    assert set(data.columns) <= {"at", "time", "warm"}
    assert split["by"] == "time"
    assert (split["validation"], split["test"]) == (recipe.VALIDATION, recipe.TEST)
    assert declared.promote.at_most > 0


def test_rows_of_a_series_are_a_table_if_that_is_asked_for(project, tmp_path):
    new(project, Wanted("shop", file(tmp_path, sales()), "sold", [], [], kind="table"))
    assert model_file.check("shop").data.kind == "table"
    with pytest.raises(DataError, match="no regular grid"):
        new(project, Wanted("other", file(tmp_path, sales().drop(columns="at")), "sold", [], [], kind="sequence"))
