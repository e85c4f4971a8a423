"""Prune: old versions go, with what only they need; whatever remains works; a kill anywhere is completed."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from flows.graph import provenance
from flows.project.environment import Project
from flows.promotion import champion_alias
from flows.promotion.decide import decide
from flows.promotion.waiting import Experiment
from flows.prune.prune import _plan, prune
from flows.records import ledger
from flows.records.earlier_runs import made
from flows.records.ledger import Ledger
from flows.records.outputs import Published
from flows.registry import model_registry
from pipelines import model_file
from pipelines.errors import RatchetError, RequestError
from tests.flows.prune.test_dvc_cache import objects, runs
from tests.support.clone import ROOT, answer, clone, edit, git, ratchet

pytestmark = pytest.mark.long
MODEL = "diabetes"
SETTINGS = Path("models") / f"{MODEL}.yaml"
KILLS = [  # where a prune dies, in the order in which it comes there
    ("flows.records.ledger:Ledger.append", "after"),
    ("flows.tracking.mlflow_runs:MlflowClient.delete_model_version", "after"),
    ("flows.prune.delete:_delete", "after"),
    ("flows.graph.provenance:forget", "after"),
    ("flows.records.earlier_runs:remove", "after"),
    ("flows.prune.dvc_cache:Unneeded.remove", "after"),
    ("flows.prune.prune:_tag", "after"),
    ("flows.prune.prune:_note", "before"),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    """A clone with four versions, from settings that were never committed. The third has the splits of the first, the
    fourth those of the second. The gate takes none: who is champion is decided by hand."""
    folder = clone(tmp_path_factory.mktemp("prune"))
    edit(folder / SETTINGS, "epochs: 25", "epochs: 2")
    edit(folder / SETTINGS, "at_most: 52, margin: 3", "at_most: 1, margin: 3")
    split, seed = 0, 7
    for new in ((1, 7), (2, 7), (1, 8), (2, 8)):
        settings(folder, (split, seed), new)
        split, seed = new
        answer(folder, "run", MODEL)
    found = Project(root=folder, state=folder / ".ratchet", tracking="", prefect="")
    recent(found)
    return found


def settings(folder: Path, before: tuple[int, int], after: tuple[int, int]) -> None:
    """Other seeds of the splits and of the training."""
    edit(folder / SETTINGS, f"by: hash, seed: {before[0]}", f"by: hash, seed: {after[0]}")
    edit(folder / SETTINGS, f"dropout: 0.5, seed: {before[1]}", f"dropout: 0.5, seed: {after[1]}")


@pytest.fixture
def store(project) -> MlflowClient:
    uri = f"sqlite:///{project.root}/mlflow/mlflow.db"
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    return MlflowClient(uri, uri)


def recent(project: Project) -> None:
    """The last ten lines of the ledger name versions 3 and 4."""
    for _ in range(5):
        for version in (3, 4):
            champion_alias.promote(project, MODEL, version, "to be recent")


def lines(project: Project) -> list[ledger.Line]:
    return ledger.of(project).lines(MODEL)


def versions(store: MlflowClient) -> set[int]:
    return {int(version.version) for version in store.search_model_versions(f"name = '{MODEL}'")}


def recorded(store: MlflowClient, run_id: str) -> set[str]:
    """DVC's hashes of what a run made."""
    return made(mlflow.artifacts.load_text(f"runs:/{run_id}/definition/dvc.lock"))


def members(project: Project, digests: set[str]) -> set[str]:
    """With the files of the folders among them that are in the cache: those of models that never ran here are not."""
    cache = project.root / ".dvc" / "cache" / "files" / "md5"
    lists = [cache / digest[:2] / digest[2:] for digest in digests if digest.endswith(".dir")]
    return digests | {entry["md5"] for path in lists if path.exists() for entry in json.loads(path.read_text())}


def contents(project: Project) -> dict[str, str]:
    """All that a prune could change, by its hash: files, git's refs, tables of the databases."""
    skipped = ("__pycache__", ".dvc/tmp", ".ratchet/dvc", "-shm", "-wal", ".db")
    paths = [path for path in project.root.rglob("*") if path.is_file()]
    kept = {str(path.relative_to(project.root)): path for path in paths}
    found = {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in kept.items()
        if not any(part in name for part in skipped) and not name.startswith(".git/")
    }
    for name in ("mlflow", "ledger"):
        with closing(sqlite3.connect(project.root / "mlflow" / f"{name}.db")) as database:
            found[name] = hashlib.sha256("\n".join(database.iterdump()).encode()).hexdigest()
    return found | {"refs": git(project.root, "for-each-ref")}


def occupied(project: Project) -> int:
    """Bytes of DVC's cache and of MLflow's files."""
    folders = (project.root / ".dvc" / "cache", project.mlflow_artifacts)
    return sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())


def whole(project: Project, store: MlflowClient, kept: set[int], tmp_path: Path) -> None:
    """Whatever remains is there: model, evidence, tree, data, and the champion where the ledger has it."""
    there = objects(project)
    for number in kept:
        version = store.get_model_version(MODEL, str(number))
        (tmp_path / str(number)).mkdir(exist_ok=True)
        model_registry.fetch(store, version, tmp_path / str(number))
        run = store.get_run(version.run_id)
        assert git(project.root, "rev-parse", run.data.tags["ratchet.ref"]) == run.data.tags["ratchet.commit"]
        assert members(project, recorded(store, version.run_id)) <= there
    assert all(made(path.read_text()) <= there for path in runs(project))
    assert champion_alias.compare(store, ledger.of(project), MODEL)[1] == ""
    assert int(store.get_model_version_by_alias(MODEL, "champion").version) == 4


@contextmanager
def changed(path: Path, statement: str, back: str) -> Iterator[None]:
    """A database that somebody has edited, and then again as it was."""
    for text in (statement, back):
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(text)
        if text == statement:
            yield


@pytest.mark.random_order(disabled=True)
class TestInOrder:
    """On the same clone, one after the other."""

    def test_dry_run_tells_and_changes_nothing(self, project):
        before = contents(project)
        found = answer(project.root, "prune", MODEL, "--dry-run")
        assert contents(project) == before
        (one,) = found.pop("models")
        assert found == {"format": 1, "dry_run": True}
        assert (one["model"], one["versions"], one["kept"], one["left"]) == (MODEL, [1, 2], [3, 4], [])
        assert one["bytes"] > 100_000

    def test_without_a_model_every_one_is_looked_at(self, project):
        done = ratchet(project.root, "prune", "--dry-run")
        assert done.returncode == 0, done.stderr
        told = done.stdout.splitlines()
        assert told[0] == "breast_cancer: nothing to prune; kept no version"
        assert told[1].startswith("diabetes: would prune versions 1, 2, ")
        assert told[1].endswith(" MB; kept versions 3, 4")
        assert told[-1] == "Of data only this clone's cache is pruned: DVC's remotes are left alone."

    def test_a_model_that_is_not_there_is_refused(self, project):
        done = ratchet(project.root, "prune", "diabete")
        assert done.returncode == 2
        assert "Did you mean 'diabetes'?" in done.stderr

    def test_an_alias_that_was_moved_from_outside_stops_it(self, project, store):
        store.set_registered_model_alias(MODEL, "champion", "3")
        before = contents(project)
        for arguments in ([MODEL, "--dry-run"], []):
            done = ratchet(project.root, "prune", *arguments)
            assert done.returncode == 1
            assert "was changed outside Ratchet" in done.stderr
            assert "Nothing was deleted. Accept the alias with `ratchet promote diabetes --adopt" in done.stderr
        assert contents(project) == before
        store.set_registered_model_alias(MODEL, "champion", "4")

    def test_a_broken_ledger_stops_it(self, project):
        path = project.root / "mlflow" / "ledger.db"
        edits = [f"UPDATE ratchet_ledger SET reason = '{text}' WHERE sequence = 6" for text in ("no", "to be recent")]
        with changed(path, *edits):
            before = contents(project)
            done = ratchet(project.root, "prune", MODEL)
            assert done.returncode == 1
            assert "line 6 was changed after it was written. Nothing was deleted. Restore it" in done.stderr
            assert contents(project) == before

    def test_a_version_whose_run_is_not_published_or_still_running_stays(self, project, store):
        run_id = store.get_model_version(MODEL, "2").run_id
        store.set_tag(run_id, "ratchet.published", "false")
        assert answer(project.root, "prune", MODEL, "--dry-run")["models"][0]["versions"] == [1]
        store.set_tag(run_id, "ratchet.published", "true")
        store.update_run(run_id, status="RUNNING")
        assert answer(project.root, "prune", MODEL, "--dry-run")["models"][0]["versions"] == [1]
        store.set_terminated(run_id, "FINISHED")

    def test_a_version_with_any_alias_stays(self, project, store):
        store.set_registered_model_alias(MODEL, "served", "1")
        assert answer(project.root, "prune", MODEL, "--dry-run")["models"][0]["kept"] == [1, 3, 4]
        store.delete_registered_model_alias(MODEL, "served")

    def test_without_the_record_of_a_version_that_stays_nothing_is_deleted(self, project, store):
        run = store.get_run(store.get_model_version(MODEL, "3").run_id)
        path = Path(run.info.artifact_uri.removeprefix("file://")) / "definition" / "dvc.lock"
        content = path.read_text()
        path.unlink()
        before = contents(project)
        done = ratchet(project.root, "prune", MODEL)
        assert done.returncode == 1
        assert "so nobody knows which data it needs. Nothing was deleted." in done.stderr
        assert contents(project) == before
        path.write_text(content)

    def test_what_a_version_that_stays_has_recorded_stays_though_its_tree_is_gone(self, project, store, monkeypatch):
        """Nothing but MLflow names the splits of the third version then, which are those of the first."""
        monkeypatch.chdir(project.root)
        ref = f"refs/ratchet/{MODEL}/3"
        commit = git(project.root, "rev-parse", ref)
        git(project.root, "update-ref", "-d", ref)
        going = _plan(project, store, ledger.of(project), MODEL).data.objects
        git(project.root, "update-ref", ref, commit)
        kept = recorded(store, store.get_model_version(MODEL, "3").run_id)
        assert going
        assert not {path.parent.name + path.name for path in going} & members(project, kept)

    def test_what_a_branch_still_names_stays_though_its_version_goes(self, project, store, monkeypatch):
        monkeypatch.chdir(project.root)
        own = recorded(store, store.get_model_version(MODEL, "1").run_id)
        git(project.root, "branch", "keep", f"refs/ratchet/{MODEL}/1")
        plan = _plan(project, store, ledger.of(project), MODEL)
        git(project.root, "branch", "-D", "keep")
        assert [one.version for one in plan.going] == [1, 2]
        assert not {path.parent.name + path.name for path in plan.data.objects} & members(project, own)

    def test_somebody_who_decides_meanwhile_is_heard(self, project, store, monkeypatch, tmp_path):
        """The first version is promoted in the moment before the prune writes its line; then the fourth again."""
        monkeypatch.chdir(project.root)
        append = Ledger.append

        def late(self: Ledger, last: Any, line: ledger.Line) -> ledger.Line:
            if line.action == "pruned":
                monkeypatch.setattr(Ledger, "append", append)
                for version in (1, 4):
                    champion_alias.promote(project, MODEL, version, "meanwhile")
            return append(self, last, line)

        monkeypatch.setattr(Ledger, "append", late)
        before = occupied(project)
        (one,) = prune(project, MODEL, False, print)["models"]
        assert one["bytes"] == lines(project)[-1].facts["bytes"] == before - occupied(project)
        assert (one["versions"], one["kept"]) == ([2], [1, 3, 4])
        assert lines(project)[-1].facts["versions"] == [2]
        assert versions(store) == {1, 3, 4}
        whole(project, store, {1, 3, 4}, tmp_path)

    def test_killed_anywhere_what_remains_is_whole_and_the_next_one_completes_it(
        self, project, store, tmp_path, monkeypatch
    ):
        recent(project)
        expected = answer(project.root, "prune", MODEL, "--dry-run")["models"][0]
        assert (expected["versions"], expected["kept"]) == ([1], [3, 4])
        run_id = store.get_model_version(MODEL, "1").run_id
        others = [store.get_model_version(MODEL, number).run_id for number in "34"]
        now = made((project.root / "dvc.lock").read_text())
        head = made(git(project.root, "show", "HEAD:dvc.lock"))
        needed = members(project, now).union(head, *(members(project, recorded(store, other)) for other in others))
        gone = members(project, recorded(store, run_id)) - needed
        before, earlier = objects(project), len(runs(project))
        logged = store.get_logged_model(model_registry.logged_model(store.get_model_version(MODEL, "1")))
        files = Path(logged.artifact_location.removeprefix("file://"))
        assert files.exists()
        assert gone <= before
        assert len(gone) > 6
        for number, (point, when) in enumerate(KILLS):
            mark = tmp_path / f"mark-{number}"
            done = ratchet(
                project.root, "prune", MODEL,
                PYTHONPATH=str(ROOT / "benchmarks" / "faults" / "injected"), FAULT_POINT=point,
                FAULT_WHEN=when, FAULT_CALLER="", FAULT_COUNT="1", FAULT_PROCESS="prune", FAULT_SPARE="0",
                FAULT_MARK=str(mark),
            )  # fmt: skip
            assert mark.exists(), point
            assert done.returncode == -9, point
            if number == 0:
                self._a_run_that_makes_it_again_is_told(project, run_id, monkeypatch)
            whole(project, store, {3, 4}, tmp_path)
            assert len([line for line in lines(project) if line.action == "pruned"]) == 2, point
        assert answer(project.root, "prune", MODEL, "--dry-run")["models"][0]["kept"] == [3, 4]
        answer(project.root, "prune", MODEL)
        assert objects(project) == before - gone
        assert len(runs(project)) < earlier
        assert not files.exists()
        assert versions(store) == {3, 4}
        whole(project, store, {3, 4}, tmp_path)

    def _a_run_that_makes_it_again_is_told(self, project, run_id, monkeypatch):
        """The version is in the registry as yet, but the ledger has given it up."""
        monkeypatch.chdir(project.root)
        published = Published(1, run_id, "", fresh=False)
        with pytest.raises(
            RatchetError, match=r"Version 1 of diabetes is being pruned.* Let `ratchet prune diabetes` finish"
        ):
            decide(project, model_file.check(MODEL), None, published, Experiment())

    def test_the_history_stays(self, project, store):
        experiment = store.get_experiment_by_name(MODEL).experiment_id
        found = store.search_runs([experiment])
        assert len(found) == 4
        pruned = [run for run in found if "ratchet.pruned" in run.data.tags]
        at = [line.at for line in lines(project) if line.action == "pruned"]
        assert sorted(run.data.tags["ratchet.pruned"] for run in pruned) == at
        for run in pruned:
            assert run.data.params["train.epochs"] == "2"
            assert run.data.metrics["test/mean_absolute_error"] > 0
            assert store.get_metric_history(run.info.run_id, "train/loss")
            assert store.list_artifacts(run.info.run_id, "definition")
        refs = set(provenance.trees(project, MODEL))
        assert refs == {f"refs/ratchet/{MODEL}/{number}" for number in (3, 4)}

    def test_the_line_says_what_went(self, project):
        line = next(line for line in reversed(lines(project)) if line.action == "pruned")
        assert (line.version, line.from_version, line.to_version) == (None, 4, 4)
        assert line.reason == "pruned version 1"
        assert line.facts["versions"] == [1]
        assert line.facts["bytes"] > 0
        assert "pruned version 1" in ratchet(project.root, "history", MODEL).stdout

    def test_again_there_is_nothing_to_prune(self, project):
        before = contents(project)
        for arguments in (["--dry-run"], []):
            (one,) = answer(project.root, "prune", MODEL, *arguments)["models"]
            assert (one["versions"], one["kept"], one["bytes"]) == ([], [3, 4], 0)
        assert contents(project) == before

    def test_another_clone_of_the_same_store_deletes_what_it_has_of_them(self, project, store):
        """Its state folder knows of no prune, and its cache still has a file of the first version."""
        experiment = store.get_experiment_by_name(MODEL).experiment_id
        (run,) = store.search_runs([experiment], "params.`clean.split.seed` = '1' and params.`train.seed` = '7'")
        digest = min(recorded(store, run.info.run_id) - objects(project))
        path = project.root / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * 77)
        note = project.state / f"pruned-{MODEL}.json"
        noted = note.read_text()
        note.unlink()
        count = len(lines(project))
        (one,) = answer(project.root, "prune", MODEL)["models"]
        assert (one["versions"], one["kept"], one["bytes"]) == ([], [3, 4], 77)
        assert not path.exists()
        assert note.read_text() == noted
        assert len(lines(project)) == count

    def test_a_pruned_version_cannot_be_promoted(self, project):
        with pytest.raises(RequestError, match=r"Version 1 of diabetes was pruned, so its files are deleted"):
            champion_alias.promote(project, MODEL, 1, "once more")

    def test_what_remains_is_verified(self, project):
        assert answer(project.root, "verify", MODEL, "--version", "3")["verdict"] == "identical"

    def test_the_same_model_comes_back_as_a_new_version_with_its_data(self, project, store, tmp_path):
        settings(project.root, (2, 8), (1, 7))
        found = answer(project.root, "run", MODEL)
        states = {stage["name"]: stage["state"] for stage in found["stages"]}
        assert (states["clean"], states["train"]) == ("Restored", "Ran")
        assert found["version"] == 5
        recent(project)
        whole(project, store, {3, 4, 5}, tmp_path)
        (one,) = answer(project.root, "prune", MODEL)["models"]
        assert (one["versions"], one["kept"]) == ([], [3, 4, 5])
        whole(project, store, {3, 4, 5}, tmp_path)
