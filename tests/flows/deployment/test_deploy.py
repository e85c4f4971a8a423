"""What is live: after every move of a champion, after a crash, with spoilt files, with several processes at once."""

import hashlib
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from flows.cli.commands.champion import do_promote, do_rollback
from flows.deployment import deploy, freshness, live_file, serving_files, version_folder
from flows.inspect import doctor_live, plan
from flows.records import ledger
from flows.registry import model_registry
from flows.tracking import mlflow_runs
from pipelines.errors import IntegrityError
from tests.support import registered
from tests.support.registered import MODEL, accept, alias, standing

SECRET = "Ingeborg Bachmann"
GOLDEN = pd.DataFrame({"row_id": ["a", "b"], "x": [3.0, None], "name": [SECRET, "Max Frisch"], "city": ["Rome", None]})
YAML = """
format: 1
data: {kind: table, task: regression, target: progression, columns: {x: number, name: category, city: category}%s}
serve: {sample: %s}
"""


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A project with three registered versions, which were published without columns.json."""
    found = registered.project(tmp_path_factory.mktemp("live"))
    for words in ("one", "two", "three"):
        folder = tmp_path_factory.mktemp("model")
        registered.register(found, folder, words, kept=GOLDEN, categories=("name", "city"))
    return found


@pytest.fixture
def project(three, monkeypatch):
    """The same without a ledger, a champion and a state; the working directory."""
    monkeypatch.chdir(three.root)
    registered.forget(three)
    shutil.rmtree(three.state / "serving", ignore_errors=True)
    declare(three)
    return three


def declare(project, sensitive: str = "", sample: float = 1.0) -> None:
    (project.root / "models" / f"{MODEL}.yaml").write_text(YAML % (sensitive and f", sensitive: [{sensitive}]", sample))


def state(project):
    found = live_file.read(project, MODEL)
    assert found is not None
    return found


def folder(project) -> Path:
    return live_file.place(project, MODEL) / state(project).folder


def content(project, name: str):
    return json.loads((folder(project) / name).read_text())


def promote(project, version: int) -> None:
    do_promote(project, MODEL, version, "a test", False)


def registered_files(project, version: int) -> Path:
    store = mlflow_runs.client(project)
    logged = store.get_logged_model(model_registry.logged_model(store.get_model_version(MODEL, str(version))))
    return Path(logged.artifact_location.removeprefix("file://"))


def whole(project) -> None:
    """Every file of the live folder is listed with its hash, and live.json has the hash of the list; all is private."""
    place, paths = folder(project), [path for path in folder(project).rglob("*") if path.is_file()]
    hashes = {path.relative_to(place).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    assert hashes.pop("files.json") == state(project).files_hash
    assert hashes == content(project, "files.json")["files"]
    private = [place, *place.rglob("*"), live_file.place(project, MODEL) / "live.json"]
    assert {path.stat().st_mode & 0o077 for path in private} == {0}


def test_each_move_of_the_champion_is_live_with_the_files_of_its_version(project):
    moves = [
        lambda: do_promote(project, MODEL, 1, "a test", False),
        lambda: do_promote(project, MODEL, 2, "a test", False),
        lambda: do_rollback(project, MODEL, "", False),
        lambda: adopted(project, 3),
    ]
    for move, champion in zip(moves, (1, 2, 1, 3), strict=True):
        answer, line = move(), ledger.of(project).lines(MODEL)[-1]
        found = state(project)
        assert (found.version, found.line, found.since, found.problem) == (champion, line.sequence, line.at, "")
        live = {"version": champion, "variant": "", "runtime": "keras", "why": serving_files.NOT_MADE, "problem": ""}
        assert answer["live"] == live
        assert found.model_hash == hashlib.sha256((folder(project) / "model/manifest.json").read_bytes()).hexdigest()
        assert freshness.fresh(project, MODEL)
        whole(project)


def adopted(project, version: int):
    mlflow_runs.client(project).set_registered_model_alias(MODEL, model_registry.CHAMPION, str(version))
    return do_promote(project, MODEL, None, "a test", True)


def test_a_model_without_a_champion_is_no_problem(project):
    assert deploy.ensure(project, [MODEL], print)[MODEL] == ""
    assert (state(project).version, state(project).folder) == (None, "")
    assert freshness.fresh(project, MODEL)
    assert [fine for _, fine, *_ in doctor_live.look(project)] == [True]


def test_a_move_that_a_crash_kept_from_the_file_is_made_up_for(project):
    promote(project, 1)
    accept(project, 2)  # the line alone: neither the alias nor the file has followed
    assert not freshness.fresh(project, MODEL)
    assert "a run makes it so" in plan.live(project, MODEL)
    assert deploy.now(project, MODEL)["version"] == 2
    assert plan.live(project, MODEL) == ""
    assert state(project).line == standing(project).moved.sequence
    whole(project)


@pytest.mark.parametrize("step", [(os, "replace"), (version_folder, "_fill"), (version_folder, "sweep")])
def test_a_kill_at_any_step_leaves_something_whole_live_and_the_next_one_completes_it(project, monkeypatch, step):
    promote(project, 1)
    accept(project, 2)
    with monkeypatch.context() as patch:
        patch.setattr(*step, killed)
        with pytest.raises(SystemExit):
            deploy.now(project, MODEL)
    assert state(project).version in (1, 2)
    whole(project)
    assert deploy.now(project, MODEL)["version"] == 2
    whole(project)
    place = live_file.place(project, MODEL)
    assert {path.name for path in place.iterdir()} == {"live.json", "versions"}
    assert {f"versions/{path.name}" for path in (place / "versions").iterdir()} == {
        state(project).folder,
        state(project).previous,
    }


def killed(*_):
    raise SystemExit


def test_a_version_that_was_changed_is_refused_and_the_old_one_stays_live(project, tmp_path):
    promote(project, 1)
    before = state(project)
    number = registered.register(project, tmp_path, f"spoilt {os.getpid()}", kept=GOLDEN, categories=("name", "city"))
    accept(project, number)
    (registered_files(project, number) / "artifacts/model/model.weights.h5").write_text("other weights")
    assert "has changed since it was registered" in deploy.now(project, MODEL)["problem"]
    found = state(project)
    assert (found.version, found.folder, found.line) == (1, before.folder, before.line)
    assert f"Version {number}" in found.problem
    whole(project)
    promote(project, 2)
    assert (state(project).version, state(project).problem) == (2, "")


def test_a_file_in_the_state_folder_that_was_changed_is_written_again(project):
    promote(project, 1)
    before, path = state(project), folder(project) / "model" / "predictor.py"
    path.write_text("print('other code')")
    assert not freshness.complete(project, before)
    deploy.now(project, MODEL)
    assert state(project).files_hash == before.files_hash
    whole(project)


def test_doctor_names_what_is_not_as_it_should_be_and_repairs_it(project):
    promote(project, 1)
    assert [fine for _, fine, *_ in doctor_live.look(project)] == [True]
    (folder(project) / "columns.json").write_text("{}")
    assert "were changed" in next(doctor_live.look(project))[2]
    doctor_live.repair(project)
    accept(project, 2)
    assert "another champion" in next(doctor_live.look(project))[2]
    doctor_live.repair(project)
    assert [fine for _, fine, *_ in doctor_live.look(project)] == [True]
    assert state(project).version == 2


def test_an_alias_that_was_moved_by_hand_is_not_served_and_shows(project):
    promote(project, 1)
    mlflow_runs.client(project).set_registered_model_alias(MODEL, model_registry.CHAMPION, "3")
    assert alias(project) == 3
    assert deploy.now(project, MODEL)["version"] == 1
    assert "changed outside Ratchet" in state(project).problem


def test_no_value_of_a_sensitive_column_is_in_the_folder(project):
    promote(project, 1)
    assert SECRET in (folder(project) / "examples.json").read_text()
    assert SECRET in (folder(project) / "columns.json").read_text()
    declare(project, sensitive="name")
    assert not freshness.fresh(project, MODEL)
    deploy.now(project, MODEL)
    assert state(project).sensitive == ["name"]
    for path in folder(project).rglob("*"):
        assert path.is_dir() or SECRET.encode() not in path.read_bytes(), path
    about = content(project, "columns.json")
    columns = {column["name"]: column for column in about["columns"]}
    assert (columns["name"]["sensitive"], columns["name"]["words"], columns["city"]["words"]) == (True, [], ["Rome"])
    assert about["example"] == {"x": 3, "name": None, "city": "Rome"}
    assert content(project, "examples.json")["rows"] == [about["example"], {"x": None, "name": None, "city": None}]


def test_a_setting_of_serve_is_taken_over_without_a_new_version(project):
    promote(project, 1)
    before = state(project)
    declare(project, sample=0.25)
    assert not freshness.fresh(project, MODEL)
    deploy.now(project, MODEL)
    assert state(project).serve["sample"] == 0.25
    assert (state(project).folder, state(project).since) == (before.folder, before.since)
    (project.root / "models" / f"{MODEL}.yaml").write_text("format: 1\nserve: [")
    deploy.now(project, MODEL)
    assert state(project).serve["sample"] == 0.25


def test_the_columns_that_name_an_event_are_logged(project):
    promote(project, 1)
    assert state(project).serve["kept"] == []
    yaml = project.root / "models" / f"{MODEL}.yaml"
    extra = yaml.read_text().replace("city: category", "city: category, shop: carried, other: carried")
    yaml.write_text(extra + "labels: {key: [shop]}\n")
    deploy.now(project, MODEL)
    assert state(project).serve["kept"] == ["shop"]
    yaml.write_text(extra + "labels: {key: [shop], learn: true}\n")  # a row of the source has them all
    deploy.now(project, MODEL)
    assert state(project).serve["kept"] == ["shop", "other"]
    yaml.write_text(extra.replace("serve: {", "serve: {canary: {key: [other]}, "))  # the callers of a canary
    deploy.now(project, MODEL)
    assert state(project).serve["kept"] == ["other"]
    declare(project)


def test_twenty_promotions_leave_two_folders(project):
    for turn in range(20):
        accept(project, turn % 3 + 1)
        deploy.now(project, MODEL)
    assert len(list((live_file.place(project, MODEL) / "versions").iterdir())) == 2
    assert state(project).line == 20
    whole(project)


def test_several_at_once_end_with_the_newest_line(project):
    accept(project, 1)

    def work(turn: int) -> None:
        if turn == 2:
            accept(project, 3)
        deploy.now(project, MODEL)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(6)))
    assert (state(project).version, state(project).line) == (3, 2)
    whole(project)


# ------------------------------------------------------------------ serving files


def made(folder: Path, model_hash: str) -> Path:
    """Serving files as the stage `export` writes them; the ONNX file is none, and nothing here runs it."""
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"a graph")
    files = {"model.onnx": hashlib.sha256(b"a graph").hexdigest()}
    about = {"format": 1, "runtime": "onnx", "why": "", "model_hash": model_hash, "files": files}
    (folder / "serving.json").write_text(json.dumps(about))
    return folder


@pytest.fixture
def exported(project, tmp_path):
    """A version with serving files, which is champion."""
    number = registered.register(project, tmp_path, f"exported {tmp_path}", kept=GOLDEN, categories=("name", "city"))
    store = mlflow_runs.client(project)
    version = store.get_model_version(MODEL, str(number))
    source = made(tmp_path / "serving", version.tags["ratchet.model_hash"])
    serving_files.publish(store, version, source, serving_files.WITH_RUN)
    promote(project, number)
    return number


def kept(project, number: int) -> Path:
    run = mlflow_runs.client(project).get_run(mlflow_runs.client(project).get_model_version(MODEL, str(number)).run_id)
    return Path(run.info.artifact_uri.removeprefix("file://")) / "serving"


def test_the_serving_files_of_a_version_are_live_with_it(project, exported):
    found = state(project)
    digest = hashlib.sha256((folder(project) / "serving" / "serving.json").read_bytes()).hexdigest()
    assert (found.runtime, found.why, found.serving_hash) == ("onnx", "", digest)
    version = mlflow_runs.client(project).get_model_version(MODEL, str(exported))
    assert (version.tags["ratchet.serving_hash"], version.tags["ratchet.serving"]) == (digest, "onnx")
    run = mlflow_runs.client(project).get_run(version.run_id)
    assert (run.data.tags["ratchet.serving_hash"], run.data.tags["ratchet.serving"]) == (digest, "onnx")
    whole(project)


def test_nothing_but_the_named_serving_files_becomes_live(project, exported):
    (kept(project, exported) / "other.py").write_text("print('not recorded')")
    shutil.rmtree(folder(project))
    deploy.now(project, MODEL)
    assert {path.name for path in (folder(project) / "serving").iterdir()} == {"serving.json", "model.onnx"}
    whole(project)


def test_the_first_serving_files_of_a_version_stay(project, exported, tmp_path):
    store, before = mlflow_runs.client(project), state(project)
    version = store.get_model_version(MODEL, str(exported))
    other = made(tmp_path / "other", version.tags["ratchet.model_hash"])
    (other / "serving.json").write_text((other / "serving.json").read_text() + " ")
    serving_files.publish(store, version, other, serving_files.LATER)
    deploy.now(project, MODEL)
    assert state(project) == before


def test_serving_files_that_were_changed_are_not_used_and_can_be_published_again(project, exported, tmp_path):
    (kept(project, exported) / "model.onnx").write_bytes(b"another graph")
    shutil.rmtree(folder(project))
    deploy.now(project, MODEL)
    assert (state(project).runtime, state(project).serving_hash) == ("keras", None)
    assert "lost or changed: The serving files" in state(project).why
    assert not (folder(project) / "serving").exists()
    store = mlflow_runs.client(project)
    version = store.get_model_version(MODEL, str(exported))
    again = made(tmp_path / "again", version.tags["ratchet.model_hash"])
    serving_files.publish(store, version, again, serving_files.LATER)
    deploy.now(project, MODEL)
    assert state(project).runtime == "onnx"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_hash": "0" * 64}, "made of the model 000000000000"),
        ({"files": {"../../etc/passwd": "0" * 64}}, "not the file that serving.json names"),
        ({"files": {"model.onnx": "0" * 64}}, "not the file that serving.json names"),
    ],
)
def test_serving_files_of_something_else_are_refused(tmp_path, change, words):
    source = made(tmp_path / "serving", "a hash")
    about = json.loads((source / "serving.json").read_text())
    (source / "serving.json").write_text(json.dumps(about | change))
    with pytest.raises(IntegrityError, match=words):
        serving_files.check(source, "a hash")
