"""Explain: rows from a file get contributions that add up to their answers, and what cannot be explained is refused."""

import contextlib
import functools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from flows.cli.commands.explain import explain_text
from flows.deployment.serving_files import with_every_column
from flows.explain import asked, worker
from flows.explain.asked import Wanted
from flows.explain.worker import Request
from flows.predict.answering import answers
from flows.project.environment import Project
from pipelines import model_file
from pipelines.errors import DataError, RequestError
from pipelines.model.predictor import model_hash
from tests.pipelines.test_evaluate import predictions
from tests.support.world import World

SETTINGS = {"method": "", "orders": 20, "seed": 0, "change": False}
LOADED = functools.cache(answers.loaded)


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch):
    """As in the tests of predictions."""
    monkeypatch.setattr(answers, "loaded", LOADED)


@pytest.fixture(scope="module")
def made(made, tmp_path_factory) -> World:
    """A copy, as Python leaves byte code beside a model's own code."""
    return made.copy(tmp_path_factory.mktemp("explain"))


def request(world: World, model: str, folder: Path, rows: int = 5, **settings) -> Request:
    """What the process is asked for: the first test rows, compared with the first training rows."""
    with contextlib.chdir(world.root):
        declared = model_file.check(model)
    data, files = world.root / "data" / model, world.root / "data" / model / "model"
    about = json.loads((files / "model.json").read_text())
    source, background = folder / "rows.parquet", folder / "background.parquet"
    pq.write_table(pq.read_table(data / "test.parquet").slice(0, rows), source)
    compared = pq.read_table(data / "train.parquet").slice(0, 30)
    pq.write_table(compared if about["kind"] == "image" else with_every_column(compared, about), background)
    return Request(
        model,
        1,
        model_hash(files),
        folder=str(files),
        serving="",
        background=str(background),
        data=declared.raw["data"],
        ingest=declared.raw["ingest"],
        source=str(source),
        output=str(folder / "out.parquet"),
        pictures=str(folder / "out-pictures"),
        settings=SETTINGS | settings,
    )


def explained(asked: Request) -> tuple[dict, pd.DataFrame]:
    """What the process says, and the table that it writes."""
    return worker.explain(asked), pq.read_table(asked.output).to_pandas()


def shares(found: pd.DataFrame) -> pd.DataFrame:
    return found.filter(like="contribution_")


@pytest.mark.parametrize("model", ["pets", "weights"])
@pytest.mark.parametrize("method", ["shapley", "gradients"])
def test_contributions_add_up_to_the_answer_of_the_predicted_class_or_number(made, tmp_path, model, method):
    told, found = explained(request(made, model, tmp_path, method=method))
    expected = predictions(made, model).iloc[:5]
    assert found["prediction"].tolist() == pytest.approx(expected["prediction"].tolist(), abs=1e-4)
    near = 1e-6 * max(1.0, found["answer"].abs().max()) if method == "shapley" else 0.02 * found["answer"].abs().max()
    np.testing.assert_allclose(found["base"] + shares(found).sum(axis=1), found["answer"], atol=near)
    assert told["largest_error"] == found["error"].max() <= near
    if model == "pets":
        chances = expected.filter(like="probability_").max(axis=1)
        np.testing.assert_allclose(found["answer"], chances, atol=1e-5)


def test_a_sensitive_column_is_not_explained_and_the_others_still_add_up(made, tmp_path):
    one = request(made, "pets", tmp_path, method="shapley", change=True)
    told, found = explained(replace(one, sensitive=["colour"]))
    assert "contribution_colour" not in found
    assert "contribution_weight" in found
    assert "colour" not in json.dumps(told) + " ".join(found["change"])
    np.testing.assert_allclose(found["base"] + shares(found).sum(axis=1), found["answer"], atol=1e-6)
    with pytest.raises(RequestError, match="--method shapley"):
        worker.explain(replace(one, sensitive=["colour"], settings=SETTINGS | {"method": "gradients"}))


def test_missing_values_and_unknown_words_are_explained_and_told(made, tmp_path):
    one = request(made, "pets", tmp_path)
    rows = pd.read_parquet(one.source).drop(columns=["row_id", "animal"])
    rows.loc[0, "colour"], rows.loc[1, "weight"] = "mauve", None
    rows.to_csv(tmp_path / "rows.csv", index=False)
    told, found = explained(replace(one, source=str(tmp_path / "rows.csv")))
    assert told["unknown"] == {"colour": 1}
    np.testing.assert_allclose(found["base"] + shares(found).sum(axis=1), found["answer"], atol=1e-6)


def test_the_smallest_change_is_in_words(made, tmp_path):
    _, found = explained(request(made, "pets", tmp_path, 20, change=True))
    turned = found[found["change"].str.contains(" instead of ")]
    assert len(turned)
    for prediction, change in zip(turned["prediction"], turned["change"], strict=True):
        assert change.rpartition(": ")[2] not in ("", prediction)


def test_pictures_have_a_png_each_and_by_shapley_values_their_patches(made, tmp_path):
    one = request(made, "tiles", tmp_path, 2)
    _, found = explained(one)
    assert [(Path(one.pictures) / name).read_bytes()[:4] for name in found["picture"]] == [b"\x89PNG"] * 2
    _, found = explained(replace(one, settings=SETTINGS | {"method": "shapley"}))
    assert len(shares(found).columns) > 1
    np.testing.assert_allclose(found["base"] + shares(found).sum(axis=1), found["answer"], atol=1e-6)
    with pytest.raises(RequestError, match="no columns that could be changed"):
        worker.explain(replace(one, settings=SETTINGS | {"change": True}))


def test_a_row_that_cannot_be_read_is_refused_as_by_predict(made, tmp_path):
    (tmp_path / "rows.csv").write_text("weight,age\n1,2\n")
    with pytest.raises(DataError, match="no column 'colour', which the model needs"):
        worker.explain(replace(request(made, "pets", tmp_path), source=str(tmp_path / "rows.csv")))


def test_the_answer_in_words_names_the_columns_that_matter_most_and_fits_a_terminal(made, tmp_path):
    told, found = explained(request(made, "pets", tmp_path))
    about = {"model": "pets", "version": 1, "problem": "", "output": "out.csv", "pictures": "", "seconds": 1.0}
    lines = explain_text(told | about | {"background": "rows of the training split"}).splitlines()
    first = next(line for line in lines if line.startswith("  row 1 "))
    top = shares(found).iloc[0].abs().idxmax().removeprefix("contribution_")
    assert f": {top} " in first
    assert max(map(len, lines)) <= 80


def test_pictures_of_somebody_else_are_not_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    project = Project(tmp_path, tmp_path, "", "")
    (tmp_path / "rows.csv").write_text("a\n1\n")
    wanted = Wanted("pets", tmp_path / "rows.csv", tmp_path / "out.csv")
    (tmp_path / "out-pictures").mkdir()
    with pytest.raises(RequestError, match="add --force"):
        asked.check(project, wanted)
    asked.check(project, replace(wanted, force=True))
    (tmp_path / "out-pictures" / "letter.txt").write_text("dear")
    with pytest.raises(RequestError, match="take it away"):
        asked.check(project, replace(wanted, force=True))
