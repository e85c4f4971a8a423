"""What is recorded: a version that lost rows is another set of files, known by the ledger before the registry."""

import json

import pandas as pd
import pytest

from flows.forget import marks
from flows.forget.places import registered as place
from flows.forget.removal import Removal
from flows.forget.source_rows import Held
from flows.forget.traces import Traces
from flows.promotion import champion_alias
from flows.records import ledger
from flows.registry import model_registry
from flows.tracking import mlflow_runs
from pipelines.errors import IntegrityError
from tests.support import registered
from tests.support.registered import MODEL, standing

ROWS = pd.DataFrame({"row_id": ["a" * 32, "b" * 32, "c" * 32], "split": ["train", "train", "test"]})
PREDICTIONS = pd.DataFrame({"row_id": ["c" * 32], "actual": [1.0], "prediction": [1.0]})
KEPT = pd.DataFrame({"row_id": ["c" * 32], "x": [48213.75]})
HELD, TRACES = Held({"a" * 32, "c" * 32}), Traces({"a" * 32, "c" * 32, "48213.75"})


@pytest.fixture
def found(tmp_path, monkeypatch):
    project = registered.project(tmp_path / "project")
    monkeypatch.chdir(project.root)
    return project


@pytest.fixture
def version(found, tmp_path):
    example = pd.DataFrame({"x": [48213.75, 2.0]})
    number = registered.register(found, tmp_path, "one", ROWS, PREDICTIONS, example, KEPT)
    line = registered.accept(found, number)
    champion_alias.follow(mlflow_runs.client(found), ledger.of(found), line)
    return number


def look(found, tmp_path):
    return place.versions(mlflow_runs.client(found), MODEL, HELD, TRACES, tmp_path / "made")


def fetched(found, number, tmp_path):
    store = mlflow_runs.client(found)
    version, known = model_registry.version(store, MODEL, number), standing(found).artifacts.get(number)
    into = tmp_path / f"fetched-{len(list(tmp_path.iterdir()))}"
    into.mkdir()
    return model_registry.fetch(store, version, into, known)


def test_a_version_loses_rows_and_is_known_by_its_new_hash(found, version, tmp_path):
    store, book = mlflow_runs.client(found), ledger.of(found)
    (lost,), away = look(found, tmp_path)
    assert (lost.rows, lost.learned, away, lost.left) == (2, 1, [], ())
    line = marks.write(store, book, MODEL, [Removal("sources", "people.csv", 2, lambda: None)], [lost])
    with pytest.raises(IntegrityError):  # between the ledger and the files: nobody loads it
        fetched(found, version, tmp_path)
    lost.replace()
    marks.follow(found, store, book, MODEL, set())
    folder = fetched(found, version, tmp_path)
    assert list(pd.read_parquet(folder / "evidence" / "rows.parquet")["row_id"]) == ["b" * 32]
    assert pd.read_parquet(folder / "evidence" / "golden.parquet").empty
    assert json.loads((folder / "input_example.json").read_text())["data"] == [[2.0]]
    assert standing(found).forgotten[version].hash == line.hash
    assert champion_alias.compare(store, book, MODEL)[1] == ""
    tags = model_registry.version(store, MODEL, version).tags
    assert tags["ratchet.forgotten"] == line.at
    assert not any(value in json.dumps(line.facts) + line.reason for value in ("a" * 10, "48213", "people.csv"))


def test_after_a_kill_between_files_and_registry_the_next_one_settles_it(found, version, tmp_path):
    store, book = mlflow_runs.client(found), ledger.of(found)
    (lost,), _ = look(found, tmp_path)
    line = marks.write(store, book, MODEL, [], [lost])
    lost.replace()
    with pytest.raises(IntegrityError):
        fetched(found, version, tmp_path)
    assert look(found, tmp_path / "again") == ([], [])  # nothing is left to be taken out
    marks.write(store, book, MODEL, [], [])
    marks.follow(found, store, book, MODEL, set())
    fetched(found, version, tmp_path)
    assert model_registry.version(store, MODEL, version).tags["ratchet.forgotten"] == line.at


def test_half_of_the_files_replaced_gives_the_same_hash(found, version, tmp_path):
    (whole,), _ = look(found, tmp_path)
    (lost,), _ = place.versions(mlflow_runs.client(found), MODEL, HELD, TRACES, tmp_path / "first")
    object.__setattr__(lost, "files", lost.files[:1])
    lost.replace()
    (rest,), _ = place.versions(mlflow_runs.client(found), MODEL, HELD, TRACES, tmp_path / "second")
    assert rest.hash == whole.hash


def test_a_version_without_the_rows_stays_as_it_is(found, version, tmp_path):
    held, traces = Held({"d" * 32}), Traces({"d" * 32})
    assert place.versions(mlflow_runs.client(found), MODEL, held, traces, tmp_path / "made") == ([], [])


def test_a_word_that_the_model_has_learned_is_said(found, tmp_path):
    registered.register(found, tmp_path, "words", ROWS, PREDICTIONS, None, KEPT, ("maria-of-oslo",))
    traces = Traces({*TRACES.values, "maria-of-oslo"})
    (lost,), _ = place.versions(mlflow_runs.client(found), MODEL, HELD, traces, tmp_path / "made")
    assert "artifacts/model/model.json" in lost.left


def test_a_pin_in_mlflow_loses_the_profile_and_stays_readable(found, version, tmp_path):
    store = mlflow_runs.client(found)
    run_id = str(model_registry.version(store, MODEL, version).run_id)
    for name, text in {
        "definition/pin.json": json.dumps({"format": 1, "files": [], "reference": {"words": ["a" * 32]}}),
        "reports/page.md": f"such as {'a' * 32}",
        "reports/metrics.json": "{}",
    }.items():
        path = tmp_path / "logged" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    store.log_artifacts(run_id, str(tmp_path / "logged"))
    for one in place.runs(found, store, MODEL, TRACES):
        one.do()
    from flows.registry import definition

    path = definition.fetch(store, store.get_run(run_id), "pin.json", tmp_path)
    assert json.loads(path.read_text()) == {"format": 1, "files": []}
    assert [entry.path for entry in store.list_artifacts(run_id, "reports")] == ["reports/metrics.json"]
