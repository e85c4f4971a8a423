"""A version on trial: it is made ready beside the champion, and goes when the trial ends."""

import json
import shutil
from pathlib import Path

import pytest

from flows.deployment import deploy, freshness, live_file
from flows.records import ledger
from flows.records.ledger import Line
from flows.registry import model_registry
from flows.tracking import mlflow_runs
from tests.support import registered
from tests.support.registered import MODEL, accept, standing

YAML = """
format: 1
data: {kind: table, task: regression, target: progression, columns: {x: number}}
serve: {canary: {share: 0.2, key: [who]}}
"""


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A project with two registered versions."""
    return registered.versions(tmp_path_factory, "one", "two")


@pytest.fixture
def project(two, monkeypatch):
    """The same with version 1 live; the working directory."""
    monkeypatch.chdir(two.root)
    registered.forget(two)
    shutil.rmtree(two.state / "serving", ignore_errors=True)
    (two.root / "models" / f"{MODEL}.yaml").write_text(YAML)
    accept(two, 1)
    deploy.now(two, MODEL)
    return two


def write(project, action: str, role: str = "shadow") -> Line:
    now, facts = standing(project), json.dumps({"role": role})
    line = Line(MODEL, 0, action, 2, now.champion, now.champion, now.reference, "a test", facts)
    return ledger.of(project).append(now.last, line)


def live(project) -> live_file.Live:
    found = live_file.read(project, MODEL)
    assert found is not None
    return found


def test_a_version_on_trial_is_whole_beside_the_champion_until_the_trial_ends(project):
    line = write(project, "on trial")
    assert not freshness.fresh(project, MODEL)
    deploy.now(project, MODEL)
    found = live(project)
    assert (found.version, found.beside["version"], found.beside["role"]) == (1, 2, "shadow")
    assert (found.beside["line"], found.newest) == (line.sequence, ledger.of(project).moved()[MODEL])
    place = live_file.place(project, MODEL)
    assert freshness.whole(place, found.beside["folder"], found.beside["files_hash"])
    assert freshness.fresh(project, MODEL)
    assert live_file.versions(project, MODEL) == {1, 2}
    write(project, "trial ended")
    assert not freshness.fresh(project, MODEL)
    deploy.now(project, MODEL)
    assert live(project).beside is None
    assert not (place / found.beside["folder"]).exists()
    assert freshness.fresh(project, MODEL)


def test_a_canary_has_the_share_and_the_key_of_todays_yaml(project):
    write(project, "on trial", "canary")
    deploy.now(project, MODEL)
    assert (live(project).beside["share"], live(project).beside["key"]) == (0.2, ["who"])


def test_a_version_that_is_not_as_it_was_registered_is_told_and_the_champion_goes_on(project):
    store = mlflow_runs.client(project)
    logged = store.get_logged_model(model_registry.logged_model(store.get_model_version(MODEL, "2")))
    file = Path(logged.artifact_location.removeprefix("file://")) / "artifacts" / "model" / "model.weights.h5"
    whole = file.read_text()
    write(project, "on trial")
    try:
        file.write_text("changed")
        assert "Version 2 should answer beside it, and does not" in deploy.now(project, MODEL)["problem"]
        assert (live(project).version, live(project).beside) == (1, None)
        assert not freshness.fresh(project, MODEL)
    finally:
        file.write_text(whole)
    assert deploy.now(project, MODEL)["problem"] == ""
    assert live(project).beside["version"] == 2


def test_a_damaged_folder_of_a_trial_is_made_again(project):
    write(project, "on trial")
    deploy.now(project, MODEL)
    folder = live_file.place(project, MODEL) / live(project).beside["folder"]
    (folder / "columns.json").write_text("{}")
    deploy.now(project, MODEL)
    assert freshness.whole(
        live_file.place(project, MODEL), live(project).beside["folder"], live(project).beside["files_hash"]
    )
