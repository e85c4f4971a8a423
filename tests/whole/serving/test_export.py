"""`ratchet export`, from a registered version to a folder that answers alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import golden
from tests.support.clone import answer, called


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    golden.three(folder)
    return folder


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nobody", "out"], "nobody"),
        (
            ["digits", "out", "--format", "coreml"],
            "There is no format 'coreml'. --format takes one of keras, litert",
        ),
        (
            ["digits", "out", "--format", "keras", "--int8"],
            "so --int8 cannot be had with it. Leave --int8 out",
        ),
        (["digits", "full"], "is not empty. Name one that is new or empty"),
        (["digits", "out", "--version", "7"], "digits has no version 7."),
        (["digits", "no/such/out"], "Make it first."),
    ],
)
def test_a_request_that_cannot_be_met_is_refused_in_words_and_nothing_is_written(project, arguments, told, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    model, place, *options = arguments
    done = called(project, "export", model, str(tmp_path / place), *options)
    assert done.returncode == 2
    assert told in done.stderr
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["full", "mine"]


@pytest.mark.long
@pytest.mark.parametrize("options", [["--format", "litert", "--int8"], ["--format", "onnx"], ["--format", "keras"]])
@pytest.mark.parametrize("model", ["digits", "breast_cancer", "diabetes"])
def test_the_folder_answers_alone_and_the_version_lists_it(project, model, options, tmp_path):
    from flows.project.environment import Project
    from flows.tracking import mlflow_runs

    found = answer(project, "export", model, str(tmp_path / "out"), *options)
    assert (found["model"], found["version"], found["export"]) == (model, 1, options[1])
    checked = found["checked"]
    assert checked["largest_difference"] <= checked["allowed"]
    assert checked["labels_changed"] in (None, *range(checked["labels_allowed"] + 1))
    row = json.loads((tmp_path / "out" / "example.json").read_text())
    command = [sys.executable, "-I", "reader.py", "example.json"]
    done = subprocess.run(command, cwd=tmp_path / "out", capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == len(row) == 1
    assert "prediction" in json.loads(done.stdout)
    store = mlflow_runs.client(Project(project, project / ".ratchet", "", ""))
    listed = json.loads(store.get_model_version(model, "1").tags["ratchet.exports"])
    title = f"{options[1]} int8" if "--int8" in options else options[1]
    assert listed[title]["sha256"] == found["sha256"]
    assert listed[title]["bytes"] == found["model_bytes"]
