"""Explanations of a version: kept with its run, live with it, and left out where a column became sensitive."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.cli.commands.champion import do_promote
from flows.deployment import deploy, explanation_files, freshness, live_file
from flows.registry import model_registry
from flows.tracking import mlflow_runs
from pipelines.errors import IntegrityError
from pipelines.model.predictor import file_hash
from tests.support import registered
from tests.support.registered import MODEL

GOLDEN = pd.DataFrame({"row_id": ["a", "b"], "x": [3.0, None], "name": ["Ann", "Max"]})
YAML = """
format: 1
data: {kind: table, task: regression, target: progression, columns: {x: number, name: category}%s}
"""


def made(folder: Path, model_hash: str, **more) -> Path:
    """Explanations as the stage writes them, of little content."""
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"row_id": ["c"], "x": [1.0], "name": ["Eve"]}), folder / "background.parquet")
    (folder / "importance.png").write_bytes(b"a picture")
    files = {name: file_hash(folder / name) for name in ("background.parquet", "importance.png")}
    about = {"format": 1, "model_hash": model_hash, "off": False, "files": files} | more
    (folder / "explanations.json").write_text(json.dumps(about))
    return folder


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with one version, which is champion and live, and not explained."""
    found = registered.project(tmp_path / "project")
    monkeypatch.chdir(found.root)
    declare(found)
    registered.register(found, tmp_path / "model", "one", kept=GOLDEN, categories=("name",))
    do_promote(found, MODEL, 1, "a test", False)
    return found


def declare(project, sensitive: str = "") -> None:
    (project.root / "models" / f"{MODEL}.yaml").write_text(YAML % (sensitive and f", sensitive: [{sensitive}]"))


def version(project):
    return mlflow_runs.client(project).get_model_version(MODEL, "1")


def publish(project, folder: Path, **more) -> bool:
    source = made(folder, version(project).tags["ratchet.model_hash"], **more)
    return explanation_files.publish(mlflow_runs.client(project), version(project), source, explanation_files.WITH_RUN)


def live(project) -> Path:
    found = live_file.read(project, MODEL)
    assert freshness.complete(project, found)
    return live_file.place(project, MODEL) / found.folder / "explanations"


def kept(project) -> Path:
    store = mlflow_runs.client(project)
    run = store.get_run(store.get_model_version(MODEL, "1").run_id)
    return Path(model_registry.folder_of(run.info.artifact_uri)) / "explanations"


def test_they_are_kept_with_the_run_tagged_and_live_after_the_next_deployment(project, tmp_path):
    assert not live(project).exists()
    assert publish(project, tmp_path / "first")
    digest = file_hash(tmp_path / "first" / "explanations.json")
    assert version(project).tags["ratchet.explanations_hash"] == digest
    run = mlflow_runs.client(project).get_run(version(project).run_id)
    assert run.data.tags["ratchet.explanations_hash"] == digest
    assert run.data.tags["ratchet.explanations_made"] == "with the run"
    (kept(project) / "other.py").write_text("print('not recorded')")
    deploy.now(project, MODEL)
    assert {path.name for path in live(project).iterdir()} == {
        "explanations.json",
        "background.parquet",
        "importance.png",
    }
    before = live_file.read(project, MODEL)
    deploy.now(project, MODEL)
    assert live_file.read(project, MODEL) == before
    # the first ones stay
    assert not publish(project, tmp_path / "second", metric="another")
    assert version(project).tags["ratchet.explanations_hash"] == digest


def test_lost_ones_are_left_out_and_can_be_published_again(project, tmp_path):
    publish(project, tmp_path / "first")
    (kept(project) / "importance.png").write_bytes(b"another picture")
    deploy.now(project, MODEL)
    assert not live(project).exists()
    assert publish(project, tmp_path / "again")
    deploy.now(project, MODEL)
    assert (live(project) / "importance.png").read_bytes() == b"a picture"


def test_off_is_replaced_by_explanations_and_not_the_other_way(project, tmp_path):
    assert publish(project, tmp_path / "off", off=True)
    assert publish(project, tmp_path / "on")
    assert not publish(project, tmp_path / "off again", off=True)


def test_a_column_that_became_sensitive_since_takes_them_out_of_the_live_folder(project, tmp_path):
    publish(project, tmp_path / "first")
    declare(project, "name")
    deploy.now(project, MODEL)
    assert not live(project).exists()
    found = live_file.place(project, MODEL) / live_file.read(project, MODEL).folder
    assert not [path for path in found.rglob("*") if path.is_file() and b"Eve" in path.read_bytes()]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_hash": "0" * 64}, "made of the model 000000000000"),
        ({"files": {"../../etc/passwd": "0" * 64}}, "not the file that explanations.json names"),
        ({"files": {"importance.png": "0" * 64}}, "not the file that explanations.json names"),
        ({"files": None}, "cannot be used"),
    ],
)
def test_those_of_something_else_are_refused(tmp_path, change, words):
    source = made(tmp_path / "explanations", "a hash")
    about = json.loads((source / "explanations.json").read_text())
    (source / "explanations.json").write_text(json.dumps(about | change))
    with pytest.raises(IntegrityError, match=words):
        explanation_files.check(source, "a hash")
    shutil.rmtree(source)
    with pytest.raises(IntegrityError, match=r"`ratchet run` makes them again"):
        explanation_files.check(source, "a hash")
