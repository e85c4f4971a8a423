"""What is written for rows that are series is a declaration that works, and says why."""

import re

import numpy as np
import pandas as pd
import pytest

from flows.new import recipe
from flows.new.new import new
from flows.new.wanted import Wanted
from flows.project import environment
from pipelines import model_file
from pipelines.errors import DataError
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


def test_a_numbered_panel_by_the_month_has_its_words_its_season_and_a_floor_that_no_forecast_without_a_model_passes(
    project, tmp_path
):
    at = pd.date_range("2010-01-01", periods=90, freq="MS")
    parts = [
        pd.DataFrame(
            {
                "shop": shop,
                "year": at.year,
                "m": at.strftime("%b"),
                "sold": shop * (20 + at.month) + RANDOM.normal(size=90),
            }
        )
        for shop in (1, 2, 3)
    ]
    made = new(project, Wanted("shop", file(tmp_path, pd.concat(parts)), "sold", [], []))
    declared = model_file.check("shop")
    data, ingest = declared.data, declared.raw["ingest"]
    assert (data.step, data.series, data.columns["shop"]) == ("month", ["shop"], "category")
    assert (data.seasons, data.baseline) == ([12], "season")
    assert (ingest["instants"], ingest["dates"]) == ({"time": ["year", "m"]}, {"time": "%Y %b"})
    errors = [
        float(found)
        for found in re.findall(r"errs by ([\d.]+)", made["yaml"].partition("baseline: ")[2].partition("\n")[0])
    ]
    assert len(errors) == 4
    assert min(errors) <= declared.promote.at_most <= min(errors) * 1.01


def test_rows_of_a_series_are_a_table_if_that_is_asked_for(project, tmp_path):
    new(project, Wanted("shop", file(tmp_path, sales()), "sold", [], [], kind="table"))
    assert model_file.check("shop").data.kind == "table"
    with pytest.raises(DataError, match="no regular grid"):
        new(project, Wanted("other", file(tmp_path, sales().drop(columns="at")), "sold", [], [], kind="sequence"))
