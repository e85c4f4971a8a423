"""A run that finds nothing changed starts no server; whatever has changed, or is not in order, is left to the flow."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from flows.project import environment
from flows.records import attempts
from flows.report.progress import Progress
from flows.run import context
from flows.run.context import RunContext
from flows.run.first_look import early, unchanged
from flows.run.trigger import RunRequest
from pipelines.config.stages import STAGES
from tests.support import golden
from tests.support.clone import called
from tests.support.golden import incoming

pytestmark = pytest.mark.random_order(disabled=True)  # on the same clone, one after the other


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A clone in which the model `shop` has run once: here, as its ticks say, and not where it was copied from."""
    found = tmp_path_factory.mktemp("shop")
    golden.shop(found)
    ticks = found / ".ratchet" / "ticks" / "shop.jsonl"
    lines = [json.loads(line) | {"tree": str(found)} for line in ticks.read_text().splitlines()]
    ticks.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return found


@pytest.fixture(scope="module")
def run(folder) -> Iterator[RunContext]:
    """The context of a run of it. Its process with MLflow serves all looks."""
    before = dict(os.environ)
    try:
        with chdir(folder):
            project = environment.prepare()
            with context.opened(project, context.checked(project, "shop"), RunRequest(), Progress()) as found:
                yield found
    finally:
        os.environ.clear()
        os.environ.update(before)


def looked(run: RunContext) -> dict[str, Any] | None:
    """What the look says. It records nothing by itself."""
    ticks = run.project.state / "ticks" / "shop.jsonl"
    kept = ticks.read_bytes()
    with chdir(run.project.root):
        declared = context.checked(run.project, "shop")
        again = RunContext(run.project, declared, run.request, run.shown, run.pool, run.mlflow, run.meter)
        with early.begun(again) as done:
            found = unchanged.look(again, done)
    assert ticks.read_bytes() == kept
    return found.answer if found else None


def test_the_command_says_and_records_what_a_flow_does_without_a_server(folder):
    project = environment.Project(folder, folder / ".ratchet", "", "")
    before, database = attempts.read(project, "shop"), project.prefect_home / "prefect.db"
    size, told = database.stat().st_mtime_ns, project.state / "logs" / "prefect-server.log"
    told.unlink(missing_ok=True)
    done = called(folder, "run", "shop")
    assert done.returncode == 0
    assert "shop: unchanged: version 1 is already the champion." in done.stdout
    assert "version   1, champion: version 1" in done.stdout
    assert not told.exists()
    assert database.stat().st_mtime_ns == size
    (*earlier, tick) = attempts.read(project, "shop")
    assert earlier == before
    assert (tick.outcome, tick.reason) == ("unchanged", "version 1 is already the champion")
    assert (tick.data, tick.rows, tick.definition) == (before[-1].data, before[-1].rows, before[-1].definition)


@contextmanager
def changed(path: Path, content: bytes) -> Iterator[None]:
    kept, mode = path.read_bytes(), path.stat().st_mode
    path.chmod(0o644)
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(kept)
        path.chmod(mode)


@contextmanager
def alias_moved(folder: Path) -> Iterator[None]:
    store = MlflowClient(uri := f"sqlite:///{folder}/mlflow/mlflow.db", uri)
    store.delete_registered_model_alias("shop", "champion")
    try:
        yield
    finally:
        store.set_registered_model_alias("shop", "champion", "1")


@contextmanager
def run_withdrawn(folder: Path) -> Iterator[None]:
    store = MlflowClient(uri := f"sqlite:///{folder}/mlflow/mlflow.db", uri)
    run_id = str(store.get_model_version("shop", "1").run_id)
    store.delete_run(run_id)
    try:
        yield
    finally:
        store.restore_run(run_id)


@contextmanager
def killed(folder: Path) -> Iterator[None]:
    """The line that a run leaves which was killed, in another tree of the clone."""
    ticks = folder / ".ratchet" / "ticks" / "shop.jsonl"
    last = json.loads(ticks.read_text().splitlines()[-1]) | {"outcome": "began", "tree": "/elsewhere"}
    with changed(ticks, ticks.read_bytes() + json.dumps(last).encode() + b"\n"):
        yield


def yaml(old: str, new: str) -> Callable[[Path], Any]:
    def change(folder: Path) -> Any:
        path = folder / "models" / "shop.yaml"
        assert old in path.read_text()
        return changed(path, path.read_text().replace(old, new).encode())

    return change


CHANGES: dict[str, Callable[[Path], Any]] = {
    "the gate": yaml("at_least: 0.5", "at_least: 0.51"),
    "a setting of the training": yaml("epochs: 3", "epochs: 4"),
    "an output of a stage": lambda folder: changed(folder / "data/shop/train.parquet", b"others"),
    "an output of a stage after the gate": lambda folder: changed(folder / "data/shop/serving/serving.json", b"{}"),
    "what is live": lambda folder: changed(folder / ".ratchet/serving/shop/live.json", b"{}"),
    "the alias, by MLflow's pages": alias_moved,
    "its run in MLflow": run_withdrawn,
    "a run that was killed": killed,
}


def test_a_look_that_finds_nothing_leaves_all_as_it_was(run):
    found = looked(run)
    assert found is not None
    assert (found["decision"], found["version"], found["champion"]) == ("unchanged", 1, 1)
    assert [stage["state"] for stage in found["stages"]] == ["Unchanged"] * len(STAGES)


@pytest.mark.parametrize("what", CHANGES)
def test_what_has_changed_is_left_to_the_flow(run, what):
    with CHANGES[what](run.project.root):
        assert looked(run) is None


def test_an_object_that_the_cache_lost_comes_back_from_the_workspace(run):
    cache = run.project.root / ".dvc" / "cache" / "files"
    metrics = json.loads((run.project.data("shop") / "metrics.json").read_text())
    texts = [path for path in cache.rglob("*") if path.is_file() and path.read_bytes()[:1] == b"{"]
    (one,) = [path for path in texts if json.loads(path.read_bytes()) == metrics]
    one.unlink()
    assert looked(run) is not None
    assert json.loads(one.read_bytes()) == metrics


def test_new_rows_are_pinned_by_the_look_and_left_to_the_flow(run):
    """The last one: the pin has moved."""
    source = incoming(run.project.root)
    source.write_text(source.read_text() + "33,Oslo,no\n")
    with chdir(run.project.root), early.begun(run) as done:
        assert done.refreshed[0] == "Ran"
        assert unchanged.look(run, done) is None
