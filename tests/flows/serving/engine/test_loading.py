"""A version is loaded only if each of its files is the recorded one, and if it answers its own examples."""

import json
import shutil

import numpy as np
import pytest

from flows.serving.engine import live_file, loading
from flows.serving.engine.loading import Loader
from flows.serving.engine.onnx import Sessions
from pipelines.errors import IntegrityError, RatchetError
from tests.support.served import versions


def load(state, model: str = "pets"):
    return Loader(Sessions()).load(live_file.read(state / "serving" / model))


@pytest.mark.parametrize("model", versions.MODELS)
def test_a_version_of_every_kind_is_loaded(tmp_path, model):
    versions.promote(tmp_path, model, 3)
    version = load(tmp_path, model).version
    assert (version.model, version.number, version.runtime) == (model, 3, "onnx")
    assert version.columns["kind"] == versions.MODELS[model].columns["kind"]


@pytest.mark.parametrize(
    "name", ["model/predictor.py", "reading/values.py", "serving/model.onnx", "columns.json", "examples.json"]
)
@pytest.mark.parametrize("what", ["changed", "missing"])
def test_a_file_that_is_not_the_recorded_one_is_refused_by_its_name(tmp_path, name, what):
    path = versions.promote(tmp_path) / name
    if what == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes() + b" ")
    told = "is missing, but named in" if what == "missing" else "is not the recorded one"
    with pytest.raises(IntegrityError, match=f"{name} {told}"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["reading/more.py", "serving/__pycache__/values.pyc", "note"])
def test_a_file_that_nobody_recorded_is_refused(tmp_path, name):
    path = versions.promote(tmp_path) / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    with pytest.raises(IntegrityError, match=f"{name} is not named in files.json"):
        load(tmp_path)


def test_a_link_is_refused(tmp_path):
    folder = versions.promote(tmp_path)
    shutil.move(folder / "model", tmp_path / "elsewhere")
    (folder / "model").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(IntegrityError, match="model is no regular file"):
        load(tmp_path)


def test_another_list_of_files_is_refused(tmp_path):
    folder = versions.promote(tmp_path)
    (folder / "note").write_text("")
    versions.seal(folder)
    with pytest.raises(IntegrityError, match=r"files.json is not the recorded one"):
        load(tmp_path)


def test_a_graph_that_serving_json_does_not_name_is_refused(tmp_path):
    folder = versions.make(tmp_path, "pets", 1)
    (folder / "serving" / "model.onnx").write_bytes(versions.PETS.graph(0.5))
    versions.seal(folder)
    versions.point(tmp_path, "pets", 1, folder)
    with pytest.raises(IntegrityError, match=r"model.onnx is not the file that serving.json names"):
        load(tmp_path)
    versions.point(tmp_path, "pets", 1, folder, serving_hash="0" * 64)
    with pytest.raises(IntegrityError, match=r"serving.json is not the recorded one"):
        load(tmp_path)


def rewritten(state, examples: list) -> None:
    """A version of `weights` with other examples, live."""
    folder = versions.make(state, "weights", 1)
    (folder / "examples.json").write_text(json.dumps({"format": 1, "rows": examples}))
    versions.seal(folder)
    versions.point(state, "weights", 1, folder)


def test_a_model_that_does_not_answer_its_examples_is_refused(tmp_path):
    rewritten(tmp_path, [{"age": "old", "colour": None}])
    with pytest.raises(IntegrityError, match="does not answer its own examples: Row 1, column 'age'"):
        load(tmp_path, "weights")


def test_a_version_without_examples_is_loaded(tmp_path):
    rewritten(tmp_path, [])
    assert load(tmp_path, "weights").version.number == 1


def test_an_answer_that_is_no_number_is_refused(tmp_path):
    folder = versions.make(tmp_path, "weights", 1)
    graph = folder / "serving" / "model.onnx"
    graph.write_bytes(versions.WEIGHTS.graph(float("nan")))
    about = json.loads((folder / "serving" / "serving.json").read_text())
    about["files"]["model.onnx"] = versions.digest(graph)
    (folder / "serving" / "serving.json").write_text(json.dumps(about))
    versions.seal(folder)
    versions.point(tmp_path, "weights", 1, folder)
    with pytest.raises(IntegrityError, match=r"The answer to row 1 of examples.json is not a finite number"):
        load(tmp_path, "weights")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format": 2}, "has the format 2"),
        ({"model": "cats"}, "for the model 'cats'"),
        ({"folder": "../pets2/versions/1"}, "names a folder outside of versions/"),
        ({"folder": "/tmp"}, "names a folder outside of versions/"),
        ({"version": "three"}, "cannot be read: ValueError"),
        ({"runtime": "torch"}, "The runtime 'torch' is not known"),
    ],
)
def test_a_live_json_that_says_something_else_is_refused(tmp_path, change, told):
    versions.promote(tmp_path)
    path = tmp_path / "serving" / "pets" / "live.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(RatchetError, match=told):
        load(tmp_path)


def test_versions_with_the_same_graph_share_it(tmp_path):
    sessions = Sessions()
    folders = [versions.make(tmp_path, "weights", 1), versions.make(tmp_path, "pets", 1)]
    copy = shutil.copytree(folders[0], tmp_path / "copy")
    engines = [
        sessions.engine(folder / "serving", versions.digest(folder / "serving" / "serving.json"))
        for folder in (*folders, copy)
    ]
    assert engines[0] is engines[2]
    assert engines[0] is not engines[1]


def test_a_warm_engine_says_what_a_call_takes(tmp_path):
    folder = versions.make(tmp_path, "weights", 1)
    reader = loading.RowReader(folder)
    engine = Sessions().engine(folder / "serving", versions.digest(folder / "serving" / "serving.json"))
    pace = loading.warmed(engine, reader, versions.WEIGHTS.examples)
    assert 0 < pace.seconds(1) <= pace.seconds(64) < 1
    assert np.isfinite(pace.seconds(64))
