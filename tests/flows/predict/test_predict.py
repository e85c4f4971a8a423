"""Predict: rows from a file get the answers that evaluation would give them, in a file that is whole or not there."""

import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.cli.commands.predict import predict_text
from flows.predict import file_paths, predict, worker
from flows.predict.answering import answers, pieces
from flows.predict.file_paths import Wanted
from flows.predict.worker import Request
from flows.project import whole_files
from flows.project.environment import Project
from flows.promotion import champion_alias
from flows.records import ledger
from flows.records.ledger import Line
from flows.registry import model_registry
from flows.tracking import mlflow_runs
from pipelines import model_file
from pipelines.errors import DataError, IntegrityError, RatchetError, RequestError
from pipelines.model.predictor import model_hash
from pipelines.readers.formats import text
from tests.pipelines.test_evaluate import MODELS, predictions
from tests.project.test_documents import REFERENCE, codes, section
from tests.support import golden
from tests.support.clone import ROOT, answer, clone, edit, environment, git, ratchet
from tests.support.sequences import SECTIONS, SHOPS, prepared, shops
from tests.support.world import PATIENCE, STAGES, World, pets

FEATURES = ["weight", "age", "colour"]


@pytest.fixture(scope="module")
def made(made, tmp_path_factory) -> World:
    """A copy, as Python leaves byte code beside a model's own code."""
    return made.copy(tmp_path_factory.mktemp("predict"))


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch):
    """A model is loaded from the same files again and again here, which takes longer than to predict."""
    monkeypatch.setattr(answers, "loaded", LOADED)


LOADED = functools.cache(answers.loaded)


def asked(world: World, model: str, source: Path, output: Path) -> Request:
    """What the process is asked for with a model that the stages have made."""
    with contextlib.chdir(world.root):
        declared = model_file.check(model)
    folder = world.root / "data" / model / "model"
    sections = {name: declared.raw[name] for name in ("data", "ingest")}
    paths = {"folder": str(folder), "source": str(source), "output": str(output)}
    return Request(model, 1, model_hash(folder), **sections, **paths, device="auto")


def answered(world: World, model: str, source: Path | pd.DataFrame, output: Path, name: str = "new.csv") -> Any:
    """The answers to the rows of a file, as its process writes them; in this one, which has loaded TensorFlow."""
    if isinstance(source, pd.DataFrame):
        frame, source = source, output.parent / name
        frame.to_parquet(source, index=False) if source.suffix == ".parquet" else frame.to_csv(source, index=False)
    worker.predict(asked(world, model, source, output))
    return pd.read_csv(output) if output.suffix == ".csv" else pq.read_table(output).to_pandas()


# ------------------------------------------------------------------ the answers


@pytest.mark.parametrize("model", MODELS)
def test_test_rows_get_the_answers_of_evaluate_bit_for_bit_and_their_identities(made, tmp_path, model):
    found = answered(made, model, made.root / "data" / model / "test.parquet", tmp_path / "x.parquet")
    expected = predictions(made, model).drop(columns="actual")
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


@pytest.mark.parametrize("model", ["pets", "weights"])
def test_csv_and_parquet_with_a_target_or_without_get_the_same_answers(made, tmp_path, model):
    raw = pq.read_table(made.root / "data" / model / "test.parquet").to_pandas().drop(columns="row_id")
    expected = predictions(made, model).drop(columns="actual")
    target = {"pets": "animal", "weights": "weight"}[model]
    for name in ("new.csv", "new.parquet"):
        found = answered(made, model, raw, tmp_path / "x.parquet", name)
        pd.testing.assert_frame_equal(found, expected, check_exact=True)
        found = answered(made, model, raw.drop(columns=target), tmp_path / "x.parquet", name)
        pd.testing.assert_frame_equal(found.drop(columns="row_id"), expected.drop(columns="row_id"), check_exact=True)
        assert not set(found["row_id"]) & set(expected["row_id"])


@pytest.mark.parametrize("model", MODELS)
def test_an_answer_in_csv_is_the_one_in_parquet_to_its_last_bit(made, tmp_path, model):
    test = made.root / "data" / model / "test.parquet"
    whole, text = (answered(made, model, test, tmp_path / name) for name in ("x.parquet", "x.csv"))
    for name in whole:
        expected = whole[name].astype(str) if whole[name].dtype == object else whole[name]
        pd.testing.assert_series_equal(text[name].astype(expected.dtype), expected, check_exact=True)


def test_neither_blocks_of_text_nor_row_groups_decide_about_an_answer(made, tmp_path, monkeypatch):
    raw = pets(3000, seed=5)
    expected = answered(made, "pets", raw, tmp_path / "x.parquet")
    monkeypatch.setattr(text, "BLOCK_BYTES", 1000)
    pd.testing.assert_frame_equal(answered(made, "pets", raw, tmp_path / "y.parquet"), expected, check_exact=True)
    raw.to_parquet(tmp_path / "cut.parquet", index=False, row_group_size=77)
    found = answered(made, "pets", tmp_path / "cut.parquet", tmp_path / "z.parquet")
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "weight": st.none() | st.floats(-1e6, 1e6),
            "age": st.none() | st.integers(-(2**53), 2**53),
            "colour": st.none() | st.sampled_from(["black", "brown", "pink", "ä,ö\n\"'"]),
        }
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, random=st.randoms(use_true_random=False))
def test_each_row_has_one_answer_whatever_its_file_and_the_rows_around_it(made, tmp_path_factory, rows, random):
    folder = tmp_path_factory.mktemp("rows")
    places = [*range(len(rows)), *random.choices(range(len(rows)), k=5)]  # some are there twice
    random.shuffle(places)
    frame = pd.DataFrame([rows[place] for place in places]).astype({"weight": float, "age": float})
    found = answered(made, "pets", frame, folder / "x.parquet", "new.parquet")
    assert len(found) == len(frame)
    pd.testing.assert_frame_equal(answered(made, "pets", frame, folder / "y.parquet"), found, check_exact=True)
    again = answered(made, "pets", frame[::-1], folder / "z.parquet")[::-1].reset_index(drop=True)
    assert again["row_id"].tolist() == found["row_id"].tolist()
    np.testing.assert_allclose(again["probability_dog"], found["probability_dog"], atol=1e-5)
    for _, same in found.groupby("row_id"):
        assert np.ptp(same["probability_dog"]) < 1e-5


def test_columns_that_are_kept_stand_beside_the_answers(made, tmp_path):
    frame = pets().assign(name=[f"pet {number}" for number in range(200)])
    expected = answered(made, "pets", frame, tmp_path / "x.csv")
    for suffix in ("csv", "parquet"):
        request = asked(made, "pets", tmp_path / "new.csv", tmp_path / f"y.{suffix}")
        told = worker.predict(replace(request, keep=["name,weight"]))
        found = pd.read_csv(request.output) if suffix == "csv" else pd.read_parquet(request.output)
        assert (told["kept"], list(found)) == (["name", "weight"], [*expected.columns, "name", "weight"])
        assert found["name"].tolist() == frame["name"].tolist()
        pd.testing.assert_frame_equal(found[["row_id", "prediction"]], expected[["row_id", "prediction"]])


def test_it_says_what_it_has_left_aside_and_what_it_has_computed_on(made, tmp_path):
    source = tmp_path / "new.csv"
    pets().assign(name="Rex").to_csv(source, index=False)
    found = worker.predict(asked(made, "pets", source, tmp_path / "x.csv"))
    assert (found["rows"], found["ignored"], found["added"], found["left_out"]) == (200, ["name"], 0, {})
    assert found["columns"] == ["row_id", "prediction", "probability_cat", "probability_dog"]
    assert found["device"] == "cpu"
    assert found["hardware"].startswith("CPU, as there is no usable GPU; float32")


def test_a_parquet_file_names_the_model(made, tmp_path):
    answered(made, "pets", pets()[FEATURES], tmp_path / "x.parquet")
    digest = model_hash(made.root / "data" / "pets" / "model").encode()
    told_ = pq.read_schema(tmp_path / "x.parquet").metadata
    assert told_ == {b"model": b"pets", b"version": b"1", b"model_hash": digest, b"device": b"cpu"}


def test_a_row_far_beyond_all_others_is_named_and_not_answered_with_nan(made, tmp_path):
    raw = pets()[FEATURES]
    raw.loc[150, "weight"] = 1e300
    with pytest.raises(DataError, match=r"The answer to row 151 \(row_id [0-9a-f]{32}\) is no finite number"):
        answered(made, "pets", raw, tmp_path / "x.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.csv"]


def test_a_model_that_is_not_the_registered_one_is_not_loaded(made, tmp_path):
    folder = shutil.copytree(made.root / "data" / "pets" / "model", tmp_path / "model")
    (folder / "predictor.py").write_text("raise SystemExit('this was run')")
    request = asked(made, "pets", made.root / "data/pets/test.parquet", tmp_path / "x.csv")
    with pytest.raises(
        IntegrityError, match=r"Version 1 of pets is not loaded: .*predictor\.py is not what the manifest"
    ):
        worker.predict(Request(**vars(request) | {"folder": str(folder)}))


# ------------------------------------------------------------------ sequences


@pytest.fixture(scope="module")
def sold(tmp_path_factory, hardware) -> World:
    """A forecast two hours ahead, all stages run. What it has learned does not matter."""
    world = World(tmp_path_factory.mktemp("sold"))
    with contextlib.chdir(world.root):
        train = SECTIONS["train_"] | {"epochs": 1, "xla": "off"}
        prepared(world, shops(), *STAGES, data_=SHOPS | {"horizon": 2}, train_=train)
    return world


def by_place(frame: pd.DataFrame) -> pd.Series:
    return frame.set_index(["shop", "at"])["prediction"]


def test_a_history_gets_the_forecasts_of_evaluate(sold, tmp_path):
    found = answered(sold, "shops", shops(), tmp_path / "x.parquet")
    expected = predictions(sold, "shops").set_index("row_id")["prediction"]
    there = found.set_index("row_id")["prediction"]
    np.testing.assert_allclose(there[expected.index], expected, rtol=1e-5)
    assert list(found) == ["row_id", "shop", "at", "prediction"]
    assert found["at"].is_monotonic_increasing
    assert not found.duplicated(["shop", "at"]).any()


def test_a_forecast_keeps_the_columns_of_its_row_and_has_none_for_a_row_of_the_future(sold, tmp_path):
    table = shops().assign(till=lambda rows: rows["shop"] + rows["at"])
    table.to_csv(tmp_path / "new.csv", index=False)
    request = asked(sold, "shops", tmp_path / "new.csv", tmp_path / "x.parquet")
    added = worker.predict(replace(request, keep=["till"]))["added"]
    found = pq.read_table(tmp_path / "x.parquet").to_pandas()
    there = found[found["till"].notna()]
    assert len(found) - len(there) == added > 0
    known = dict(zip(table["till"], table["at"], strict=True))
    assert all(pd.Timestamp(known[row.till]) == pd.Timestamp(row.at) for row in there.itertuples())


def test_each_series_is_forecast_beyond_its_last_known_target_as_when_those_rows_are_there(sold, tmp_path):
    table = shops()
    short = table[table["at"] < "2026-01-08T12"].copy()
    short.loc[(short["shop"] == "b") & (short["at"] >= "2026-01-08T10"), "sold"] = None
    whole, found = (by_place(answered(sold, "shops", rows, tmp_path / "x.parquet")) for rows in (table, short))
    last = {shop: rows["at"].max() for shop, rows in short.dropna(subset="sold").groupby("shop")}
    after = lambda at, hours: (pd.Timestamp(at) + pd.Timedelta(hours=hours)).isoformat()  # noqa: E731
    coming = {(shop, after(at, hours)) for shop, at in last.items() for hours in (1, 2)}
    assert coming <= set(found.index)
    there = {(row.shop, row.at) for row in short.itertuples()}
    assert set(found.index) <= there | coming
    np.testing.assert_allclose(found[list(coming)], whole[list(coming)], rtol=1e-5)


def test_rows_of_the_future_may_be_there_without_a_target(sold, tmp_path):
    table = shops()
    short = table[table["at"] < "2026-01-08T12"]
    coming = table[table["at"].between("2026-01-08T12", "2026-01-08T13:59")].assign(sold=None, warm=None, sky=None)
    request = asked(sold, "shops", tmp_path / "new.csv", tmp_path / "x.csv")
    pd.concat([short, coming]).to_csv(tmp_path / "new.csv", index=False)
    assert worker.predict(request)["added"] == 0
    expected = answered(sold, "shops", short, tmp_path / "y.csv")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "x.csv"), expected)


def test_what_a_forecast_needs_is_the_past_of_the_target(sold, tmp_path):
    with pytest.raises(DataError, match="no column 'sold', which the model needs"):
        answered(sold, "shops", shops().drop(columns="sold"), tmp_path / "x.csv")
    with pytest.raises(DataError, match=r"Row 1, column 'sold': 'many' is not a number"):
        answered(sold, "shops", shops().assign(sold="many"), tmp_path / "x.csv")
    late = shops().replace({"at": {"2026-01-02T05:00:00+00:00": "2026-01-02T05:30:00+00:00"}})
    with pytest.raises(DataError, match=r"is off the grid"):
        answered(sold, "shops", late, tmp_path / "x.csv")


# ------------------------------------------------------------------ with the registry


@pytest.fixture(scope="module")
def project(made, tmp_path_factory) -> Project:
    """A real store in which each model is a version, with the YAML it was trained with; all but `tiles` champions."""
    root = tmp_path_factory.mktemp("project")
    for name in ("models", "data"):
        shutil.copytree(made.root / name, root / name)
    found = Project(root=root, state=root / ".ratchet", tracking="", prefect="")
    (found.state / "locks").mkdir(parents=True)
    golden.store(found)
    store, book = mlflow_runs.client(found), ledger.of(found)
    for model in MODELS:
        place = mlflow_runs.experiment(found, store, model)
        run = mlflow_runs.take_up(store, place, "inputs", "a run", found.clone).info.run_id
        shutil.copyfile(root / "models" / f"{model}.yaml", root / "model.yaml")
        store.log_artifact(run, str(root / "model.yaml"), "definition")
        folder = root / "data" / model / "model"
        tags = {"ratchet.model_hash": model_hash(folder)}
        model_registry.register(store, model, folder, lambda target: None, run, place, None, tags)
        if model != "tiles":
            written = book.append(None, Line(model, 0, "promoted", 1, None, 1, 1, "a test"))
            champion_alias.follow(store, book, written)
    return found


@pytest.fixture
def ask(project, tmp_path, monkeypatch):
    """`ratchet predict` of test rows in this project; the version's process is this one, unless it is asked for."""
    monkeypatch.chdir(project.root)

    def run(model: str = "pets", output: Path = tmp_path / "x.csv", apart: bool = False, **more: Any) -> dict[str, Any]:
        source = more.pop("source", project.data(model) / "test.parquet")
        if not apart:
            here = lambda request, *_: worker.predict(request)  # noqa: E731
            monkeypatch.setattr(worker, "run", here)
        return predict.predict(project, Wanted(model, source, output, **more), lambda text: None)

    return run


def test_the_champion_predicts_in_a_process_of_its_own_and_everything_is_told(project, made, ask, tmp_path):
    found = ask(output=tmp_path / "x.parquet", apart=True)
    (row,) = (
        line for line in section(REFERENCE["answers"], "Commands").splitlines() if line.startswith("| `ratchet predict")
    )
    assert set(found) <= codes(row)
    assert (found["format"], found["model"], found["version"], found["champion"]) == (1, "pets", 1, True)
    assert found["model_hash"] == model_hash(project.data("pets") / "model")
    assert (found["rows"], found["problem"]) == (len(predictions(made, "pets")), "")
    expected = predictions(made, "pets").drop(columns="actual")
    pd.testing.assert_frame_equal(pq.read_table(tmp_path / "x.parquet").to_pandas(), expected, check_exact=True)
    assert [path.name for path in tmp_path.iterdir()] == ["x.parquet"]
    lines = predict_text(found).splitlines()
    assert lines[0] == f"pets version 1: {found['rows']:,} rows predicted."
    assert lines[1].endswith("x.parquet: row_id, prediction, probability_cat, probability_dog")
    assert lines[2].endswith("columns that the model does not know: 'row_id'; `--keep` writes them beside the answers")


def test_an_unknown_word_is_refused_where_that_is_asked_for(ask, tmp_path):
    source = tmp_path / "new.csv"
    source.write_text("weight,age,colour\n1,2,black\n1,2,pink\n")
    assert ask(source=source)["unknown"] == {"colour": 1}
    with pytest.raises(DataError, match="Row 2, column 'colour': 'pink' is no word that the model was trained on"):
        ask(output=tmp_path / "y.csv", source=source, strict=True)
    assert not (tmp_path / "y.csv").exists()


def test_what_the_process_meets_is_told_as_it_is(ask, tmp_path):
    source = tmp_path / "new.csv"
    source.write_text("weight,age,colour\n1,2,red\n1,old,red\n")
    with pytest.raises(
        RatchetError, match=r"^new\.csv: Row 2, column 'age': 'old' is not a number.*version 1 was"
    ) as one:
        ask(source=source, apart=True)
    assert one.value.status == 1
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv"]


def test_several_processes_answer_as_one_does(made, tmp_path, monkeypatch):
    frame = pets(3000, seed=7).assign(name=[f"pet {number}" for number in range(3000)])
    frame.loc[::9, "colour"] = "pink"
    frame.to_csv(tmp_path / "new.csv", index=False)
    request = replace(asked(made, "pets", tmp_path / "new.csv", tmp_path / "x.parquet"), keep=["name"])
    expected = worker.predict(request)
    monkeypatch.setattr(pieces, "ROWS", 512)
    found = worker.predict(replace(request, output=str(tmp_path / "y.parquet"), workers=2))
    assert found == expected
    assert (found["rows"], list(found["unknown"])) == (3000, ["colour"])
    one, other = (pq.read_table(tmp_path / name) for name in ("x.parquet", "y.parquet"))
    assert one.equals(other, check_metadata=True)
    assert one["name"].to_pylist() == frame["name"].tolist()


def test_an_error_of_one_of_several_processes_is_told_as_it_is(made, tmp_path, monkeypatch):
    frame = pets(3000, seed=7).astype({"age": object})
    frame.loc[2000, "age"] = "old"
    frame.to_csv(tmp_path / "new.csv", index=False)
    monkeypatch.setattr(pieces, "ROWS", 512)
    request = replace(asked(made, "pets", tmp_path / "new.csv", tmp_path / "x.csv"), workers=2)
    with pytest.raises(DataError, match=r"^new\.csv: Row 2001, column 'age': 'old' is not a number"):
        worker.predict(request)


def test_a_process_that_dies_is_told(made, tmp_path):
    request = asked(made, "pets", made.root / "data/pets/test.parquet", tmp_path / "gone" / "x.csv")
    with pytest.raises(
        RatchetError, match=r"could not be predicted in a process of their own: FileNotFoundError: .*gone"
    ):
        worker.run(request, tmp_path, dict(os.environ), print)


def test_any_version_can_be_asked_and_without_a_champion_one_has_to_be(ask, tmp_path):
    assert ask("tiles", version=1)["champion"] is False
    with pytest.raises(RequestError, match=r"tiles has no champion to ask\. `ratchet run tiles` makes one"):
        ask("tiles", tmp_path / "y.csv")
    with pytest.raises(RequestError, match=r"pets has no version 7\. `ratchet history pets` shows"):
        ask("pets", tmp_path / "y.csv", version=7)
    with pytest.raises(RequestError, match=r"There is no model 'pest'.*Did you mean 'pets'"):
        ask("pest", tmp_path / "y.csv", source=tmp_path / "x.csv")


def test_rows_are_read_as_the_version_was_trained_whatever_the_yaml_says_today(project, ask, tmp_path):
    path = project.root / "models" / "pets.yaml"
    before = path.read_text()
    edit(path, "age: number", "age: category")
    edit(path, "colour: category", "house: category")
    try:
        ask(output=tmp_path / "new.csv")
    finally:
        path.write_text(before)
    ask(output=tmp_path / "old.csv")
    assert (tmp_path / "new.csv").read_bytes() == (tmp_path / "old.csv").read_bytes()


def test_an_alias_that_was_moved_behind_the_ledgers_back_is_told(project, ask):
    store = mlflow_runs.client(project)
    store.set_registered_model_alias("tiles", "champion", "1")
    try:
        found = ask("tiles")
    finally:
        store.delete_registered_model_alias("tiles", "champion")
    assert "The alias `champion` of tiles was changed outside Ratchet" in found["problem"]
    assert f"!! {found['problem']}." in predict_text(found)


@pytest.mark.parametrize("name", ["model.weights.h5", "predictor.py", "model.json", "manifest.json"])
def test_a_model_that_was_changed_in_the_store_is_not_loaded(project, ask, tmp_path, name):
    store = mlflow_runs.client(project)
    version = model_registry.version(store, "weights", 1)
    assert version is not None
    logged = store.get_logged_model(model_registry.logged_model(version)).artifact_location.removeprefix("file://")
    path = Path(logged) / "artifacts" / "model" / name
    before = path.read_bytes()
    path.write_bytes(before.replace(b"a", b"b", 1))
    try:
        with pytest.raises(IntegrityError, match="Version 1 of weights has changed since it was registered"):
            ask("weights")
    finally:
        path.write_bytes(before)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "age: number",
            "age: category",
            r"do not fit: numbers is \['weight', 'age'\] in the model and \['weight'\]",
        ),
        ("target: animal", "target: animals", "do not fit: target is animal in the model and animals in the YAML"),
        ("format: 1", "format: 9", "cannot be read: its format is 9"),
        ("kind: table", "kind: tableau", "cannot be read: .*data.kind"),
        ("data:", "dat:", "cannot be read: 'data'"),
    ],
)
def test_a_yaml_that_is_not_the_models_is_refused(project, ask, old, new, message):
    store = mlflow_runs.client(project)
    version = model_registry.version(store, "pets", 1)
    assert version is not None
    run = store.get_run(version.run_id).info.artifact_uri.removeprefix("file://")
    path = Path(run) / "definition" / "model.yaml"
    before = path.read_text()
    edit(path, old, new)
    try:
        with pytest.raises(IntegrityError, match=message):
            ask()
    finally:
        path.write_text(before)


# ------------------------------------------------------------------ places


@pytest.mark.parametrize(
    ("source", "output", "message"),
    [
        ("gone.csv", "x.csv", r"There is no file .*gone\.csv\."),
        ("new.csv", "x.json", r"'x\.json' is not a kind of file that is written\. Give OUTPUT the ending \.parquet or"),
        ("new.csv", "x", r"'x' is not a kind of file"),
        ("new.csv", "gone/x.csv", r"There is no folder .*gone to write x\.csv to"),
        ("new.csv", "old.csv", r"old\.csv is there already\. Name another file, or add --force"),
        ("new.csv", "folder.csv", r"folder\.csv is a folder, and is not overwritten"),
        ("new.csv", "new.csv", r"belongs to the rows that are to be predicted"),
        ("new.csv", "link.csv", r"belongs to the rows that are to be predicted"),
        (".", "x.csv", r"belongs to the rows that are to be predicted"),
        ("new.csv", "data/incoming/pets/x.csv", r"lies in data/, which belongs to the stages"),
    ],
)
def test_a_place_that_will_not_do_is_refused_before_anything_is_loaded(tmp_path, source, output, message):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "data/incoming/pets").mkdir(parents=True)
    for name in ("new.csv", "old.csv"):
        (tmp_path / name).write_text("x")
    (tmp_path / "link.csv").symlink_to("new.csv")
    with pytest.raises(RequestError, match=message):
        file_paths.check(Project(tmp_path, tmp_path, "", ""), Wanted("pets", tmp_path / source, tmp_path / output))


def test_a_file_that_is_there_is_replaced_only_when_that_is_said_and_only_by_a_whole_one(ask, tmp_path):
    old, bad = tmp_path / "x.csv", tmp_path / "bad.csv"
    old.write_text("old")
    bad.write_text("weight,age,colour\n" + "1,2,red\n" * 50 + "heavy,2,red\n")
    with pytest.raises(RequestError, match="is there already"):
        ask()
    with pytest.raises(DataError, match="Row 51"):
        ask(source=bad, force=True)
    assert old.read_text() == "old"
    assert ask(force=True)["rows"] == len(pd.read_csv(old))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.csv", "x.csv"]


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path):
    wanted = Wanted("pets", tmp_path / "new.csv", tmp_path / "x.csv")
    with whole_files.partial(wanted.output, file_paths.ELSEWHERE) as output:
        output.write_text("answers")
        wanted.output.write_text("somebody else's")
        with pytest.raises(RequestError, match="is there already"):
            file_paths.put(output, wanted)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["somebody else's"]


# ------------------------------------------------------------------ the whole way


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = clone(tmp_path_factory.mktemp("clone"))
    answer(folder, "run", "breast_cancer")
    return folder


@pytest.mark.long
@pytest.mark.random_order(disabled=True)
class TestTheWholeWay:
    """A clone in which breast_cancer has been run; in order."""

    def test_the_process_of_the_command_never_loads_tensorflow(self):
        code = "import sys, json, flows.predict.predict; print(json.dumps(list(sys.modules)))"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert set(json.loads(done.stdout)).isdisjoint({"tensorflow", "keras", "great_expectations", "prefect", "dvc"})

    def test_the_test_rows_as_a_person_would_send_them(self, run, tmp_path):
        before = git(run, "status", "--porcelain")
        expected = pd.read_parquet(run / "data" / "breast_cancer" / "predictions.parquet").drop(columns="actual")
        test = pd.read_parquet(run / "data" / "breast_cancer" / "test.parquet").drop(columns="row_id")
        test.to_csv(tmp_path / "new.csv.gz", index=False)
        done = ratchet(run, "predict", "breast_cancer", str(tmp_path / "new.csv.gz"), str(tmp_path / "x.parquet"))
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("breast_cancer version 1: 126 rows predicted.\n  written   ")
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "x.parquet"), expected, check_exact=True)
        assert git(run, "status", "--porcelain") == before

    def test_paths_are_those_of_where_it_is_called(self, run):
        (run / "notes").mkdir()
        pd.read_parquet(run / "data" / "breast_cancer" / "test.parquet").to_csv(run / "notes" / "new.csv", index=False)
        found = answer(
            run / "notes", "predict", "breast_cancer", "new.csv", "x.csv", "--version", "1", PYTHONPATH=str(run)
        )
        assert (found["rows"], found["output"]) == (126, str(run / "notes" / "x.csv"))
        assert found["ignored"] == ["row_id"]

    @pytest.mark.parametrize(
        ("arguments", "status", "said"),
        [
            (["breast_cancer", "notes/new.csv", "notes/x.csv"], 2, "is there already"),
            (["breast_cancer", "notes/new.csv", "y.csv", "--device", "gpu"], 2, "--device is gpu, and "),
            (["diabetes", "notes/new.csv", "y.csv"], 2, "diabetes has no champion"),
            (["breast_cancer", "README.md", "y.csv"], 1, "a .md file cannot be read"),
        ],
    )
    def test_a_wrong_request_is_one_paragraph(self, run, arguments, status, said):
        done = ratchet(run, "predict", *arguments)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (status, "", 1)
        assert said in done.stderr
        assert not (run / "y.csv").exists()

    @pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
    def test_a_run_that_is_stopped_leaves_nothing(self, run, tmp_path, how):
        rows = pd.read_parquet(run / "data" / "breast_cancer" / "test.parquet").drop(columns="row_id")
        pd.concat([rows] * 2000).to_parquet(tmp_path / "new.parquet", index=False)
        command = [sys.executable, "-m", "flows.cli", "predict", "breast_cancer"]
        command += [str(tmp_path / "new.parquet"), str(tmp_path / "x.csv")]
        process = subprocess.Popen(command, cwd=run, env=environment(), stderr=subprocess.PIPE, text=True)
        while not list(tmp_path.glob(".x.csv-*.partial/x.csv")):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(how)
        assert process.wait(PATIENCE) == 128 + how
        assert [path.name for path in tmp_path.iterdir()] == ["new.parquet"]
