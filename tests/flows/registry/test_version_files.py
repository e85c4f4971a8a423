"""A version that was changed in the artifact store is named and refused, before any of it is run."""

import json
import os
import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow.pyfunc
import pandas as pd
import pytest

from flows import load
from flows.compare import compare
from flows.inspect import doctor
from flows.predict import predict
from flows.predict.file_paths import Wanted
from flows.promotion import champion_alias
from flows.promotion.rivals import opponents
from flows.records import ledger
from flows.records.ledger import Line
from flows.registry import definition, integrity, model_registry, version_files
from flows.report import progress
from flows.tracking import evidence_files, mlflow_runs
from flows.verify import verify
from pipelines import model_file
from pipelines.errors import IntegrityError
from pipelines.model import predictor
from tests.support import registered as made_up
from tests.support.clone import environment, git
from tests.support.registered import MODEL
from tests.support.world import ROOT

RAN = "ran"  # the file that what must not run makes


@pytest.fixture(scope="module")
def store_of(tmp_path_factory):
    """A project with a champion that is on record in the ledger, and an older version."""
    folder = tmp_path_factory.mktemp("registered")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        found = made_up.project(folder)
        made_up.register(found, folder / "made", "old")
        number = made_up.register(found, folder / "made", "one", example=pd.DataFrame({"x": [1.0]}))
        store = mlflow_runs.client(found)
        version = model_registry.version(store, MODEL, number)
        for name, text in (("dvc.lock", "stages: {}\n"), ("environment.json", "{}\n"), ("model.yaml", "format: 1\n")):
            (folder / name).write_text(text)
            store.log_artifact(version.run_id, str(folder / name), definition.FOLDER)
        logged = [(definition.FOLDER, folder / name) for name in ("dvc.lock", "environment.json", "model.yaml")]
        for name, value in ({"ratchet.commit": "0" * 40} | definition.tag(logged)).items():
            store.set_tag(version.run_id, name, value)
        for one in (1, number):
            champion_alias.promote(found, MODEL, one, "a test")
    return found


@pytest.fixture
def project(store_of, monkeypatch):
    """The project; what a test changes in the artifact store or the ledger is put back."""
    monkeypatch.chdir(store_of.root)
    saved = store_of.root.parent / f"{store_of.root.name}-saved"
    ledger_file = store_of.root / "mlflow" / "ledger.db"
    content = ledger_file.read_bytes()
    shutil.copytree(store_of.mlflow_artifacts, saved)
    yield store_of
    shutil.rmtree(store_of.mlflow_artifacts)
    shutil.move(saved, store_of.mlflow_artifacts)
    ledger_file.write_bytes(content)
    (store_of.root / RAN).unlink(missing_ok=True)


@pytest.fixture
def artifact(project) -> Path:
    """Where the champion's files lie."""
    store = mlflow_runs.client(project)
    return model_registry.local(store, model_registry.champion(store, MODEL))


def payload() -> str:
    return f"open({str(Path.cwd() / RAN)!r}, 'w').close()\n"


def before(path: Path) -> None:
    path.write_text(payload() + path.read_text())


def flip(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])


def rewritten(folder: Path) -> None:
    """predictor.py and its manifest, so that they fit each other."""
    before(folder / "artifacts" / "model" / "predictor.py")
    predictor.write_manifest(folder / "artifacts" / "model")


def another_loader(folder: Path) -> None:
    (folder / "code").mkdir()
    (folder / "code" / "another.py").write_text(payload())
    text = (folder / "MLmodel").read_text().replace("mlflow.pyfunc.loaders.code_model", "another")
    (folder / "MLmodel").write_text(text.replace("code: null", "code: code"))


def linked(path: Path) -> None:
    """The same content, through a link."""
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def planted(source: Path) -> Path:
    """Byte code of other code beside a source, with the time and size of that source."""
    content, status = source.read_text(), source.stat()
    source.write_text(payload() + content)
    py_compile.compile(str(source), doraise=True)
    (compiled,) = source.parent.glob("__pycache__/*.pyc")
    source.write_text(content)
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))
    mark = int(status.st_mtime).to_bytes(4, "little") + len(content).to_bytes(4, "little")
    compiled.write_bytes(compiled.read_bytes()[:8] + mark + compiled.read_bytes()[16:])
    return compiled


CHANGES = {
    "code": (lambda folder: before(folder / "served.py"), "served.py was changed"),
    "code and manifest": (rewritten, "artifacts/model/manifest.json was changed, artifacts/model/predictor.py was"),
    "weights": (lambda folder: flip(folder / "artifacts/model/model.weights.h5"), "model.weights.h5 was changed"),
    "a module": (lambda folder: (folder / "artifacts/model/numpy.py").write_text(payload()), "numpy.py was added"),
    "a legacy byte code": (lambda folder: (folder / "numpy.pyc").write_text(""), "numpy.pyc was added"),
    "loader": (another_loader, "MLmodel was changed, code/another.py was added"),
    "example": (lambda folder: flip(folder / "input_example.json"), "input_example.json was changed"),
    "packages": (lambda folder: before(folder / "requirements.txt"), "requirements.txt was changed"),
    "python": (lambda folder: before(folder / "python_env.yaml"), "python_env.yaml was changed"),
    "predictions": (lambda folder: flip(folder / "evidence/predictions.parquet"), "predictions.parquet was changed"),
    "missing": (lambda folder: (folder / "evidence/rows.parquet").unlink(), "evidence/rows.parquet is missing"),
    "renamed": (lambda folder: (folder / "conda.yaml").rename(folder / "Conda.yaml"), "Conda.yaml was added, conda.y"),
    "link": (lambda folder: linked(folder / "requirements.txt"), "requirements.txt is a link"),
    "pipe": (lambda folder: os.mkfifo(folder / "pipe"), "pipe is no file"),
    "nearly an added one": (lambda folder: (folder / "registered_model_meta.py").write_text(""), "meta.py was added"),
}


def test_what_is_registered_loads_and_answers(project, artifact):
    model = load.load_model(MODEL)
    assert model.predict(pd.DataFrame({"x": [3.0]}))["prediction"].tolist() == [6.0]
    assert model.metadata.signature is not None
    assert not list(artifact.rglob("__pycache__"))
    assert load.load_model(MODEL, version=1).predict(pd.DataFrame({"x": [1.0]})) is not None
    found = version_files.look(project, mlflow_runs.client(project), ledger.of(project), [MODEL])
    assert (found.versions, found.changed, found.moved, found.byte_code) == (2, [], [], [])


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_version_is_named_and_nothing_of_it_runs(project, artifact, change):
    tamper, told = CHANGES[change]
    tamper(artifact)
    with pytest.raises(IntegrityError, match="Version 2 of diabetes has changed since it was registered") as caught:
        load.load_model(MODEL)
    assert told in str(caught.value)
    (look,) = version_files.look(project, mlflow_runs.client(project), ledger.of(project), [MODEL]).changed
    assert told in look
    assert not (project.root / RAN).exists()


COMMANDS = {
    "predict": lambda project, where: predict.predict(
        project, Wanted(MODEL, project.root / "dvc.yaml", where / "x.csv"), print
    ),
    "compare": lambda project, where: compare.compare(project, MODEL, ("1", "2"), "", where),
    "verify": lambda project, where: verify.verify(project, MODEL, None, 0.01, False, progress.Progress()),
    "promote": lambda project, where: champion_alias.promote(project, MODEL, 2, "again"),
    "the gate": lambda project, where: evidence_files.read(
        mlflow_runs.client(project), model_registry.champion(mlflow_runs.client(project), MODEL), where
    ),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_it(project, artifact, command, tmp_path):
    before(artifact / "served.py")
    with pytest.raises(IntegrityError, match="Version 2 of diabetes has changed since it was registered: served"):
        COMMANDS[command](project, tmp_path)
    assert not (project.root / RAN).exists()


def test_no_rollback_leads_to_it(project, tmp_path):
    store = mlflow_runs.client(project)
    before(model_registry.local(store, model_registry.version(store, MODEL, 1)) / "served.py")
    with pytest.raises(IntegrityError, match="Version 1 of diabetes has changed since it was registered: served"):
        champion_alias.rollback(project, MODEL, "", hold=False)
    assert made_up.alias(project) == 2


def test_the_gate_compares_with_no_champion_that_was_changed(project, artifact, tmp_path):
    flip(artifact / "evidence" / "predictions.parquet")
    declared, store = model_file.check(MODEL), mlflow_runs.client(project)
    (rival,) = opponents.rivals(project, store, declared, made_up.standing(project), Path("none"), tmp_path)
    assert rival.predictions is None
    assert "evidence/predictions.parquet was changed" in rival.failure


@pytest.mark.parametrize("name", ["served.py", "artifacts/model/predictor.py"])
def test_byte_code_beside_a_model_is_not_run_and_doctor_names_and_removes_it(project, artifact, name):
    """Plain MLflow runs it: it has the time and size of the source that belongs to it."""
    compiled = planted(artifact / name)
    assert load.load_model(MODEL).predict(pd.DataFrame({"x": [3.0]}))["prediction"].tolist() == [6.0]
    assert not (project.root / RAN).exists()
    (check,) = [check for check in doctor._models(project) if not check.ok]
    assert (check.name, check.fix) == ("byte code", "ratchet doctor --fix removes it")
    assert compiled.parent.name in check.found
    version_files.clear_byte_code(project)
    assert [check.name for check in doctor._models(project)] == ["models"]


def test_plain_mlflow_runs_no_byte_code_of_the_predictor_and_leaves_none(project, artifact):
    """Our own script compiles the very bytes that it has hashed. MLflow checks nothing else."""
    planted(artifact / "artifacts" / "model" / "predictor.py")
    assert mlflow.pyfunc.load_model(str(artifact)).predict(pd.DataFrame({"x": [3.0]})) is not None
    assert not (project.root / RAN).exists()
    shutil.rmtree(artifact / "artifacts" / "model" / "__pycache__")
    code = f"import mlflow; mlflow.pyfunc.load_model({str(artifact)!r})"
    quiet = environment(PYTHONDONTWRITEBYTECODE="")
    subprocess.run([sys.executable, "-c", code], env=quiet, check=True, capture_output=True)
    assert [path.relative_to(artifact).as_posix() for path in integrity.byte_code(artifact)] == ["__pycache__"]


def test_a_ref_of_a_recorded_commit_that_was_moved_is_named_by_doctor(project):
    git(project.root, "init", "-q")
    (project.root / "file").touch()
    git(project.root, "add", "file")
    for text in ("first", "second"):
        git(project.root, "commit", "-q", "--allow-empty", "-m", text)
    first, second = git(project.root, "rev-parse", "HEAD~1"), git(project.root, "rev-parse", "HEAD")
    store, ref = mlflow_runs.client(project), f"refs/ratchet/{MODEL}/1"
    run = model_registry.champion(store, MODEL).run_id
    git(project.root, "update-ref", ref, first)
    store.set_tag(run, "ratchet.ref", ref)
    store.set_tag(run, "ratchet.commit", first)
    assert [check.ok for check in doctor._models(project)] == [True]
    git(project.root, "update-ref", ref, second)
    (check,) = [check for check in doctor._models(project) if not check.ok]
    assert (check.name, check.fix) == ("commits", f"git update-ref {ref} {first}")
    shutil.rmtree(project.root / ".git")


def test_registry_and_ledger_have_to_agree(project, artifact):
    """Whoever can write MLflow's database too has still not changed the ledger's."""
    before(artifact / "served.py")
    files, store = integrity.hashes(artifact), mlflow_runs.client(project)
    right = model_registry.champion(store, MODEL).tags["ratchet.artifact_hash"]
    store.set_model_version_tag(MODEL, "2", "ratchet.artifact_hash", integrity.whole(files))
    with pytest.raises(
        IntegrityError, match=r"the hash of its files is \w{12} in the registry, but \w{12} in the ledger"
    ):
        load.load_model(MODEL)
    store.delete_model_version_tag(MODEL, "2", "ratchet.artifact_hash")
    with pytest.raises(IntegrityError, match="the registry has no hash of its files"):
        load.load_model(MODEL)
    store.set_model_version_tag(MODEL, "2", "ratchet.artifact_hash", right)
    assert not (project.root / RAN).exists()


def test_what_is_loaded_is_what_was_checked(project, artifact, monkeypatch):
    """The folder of everybody is changed between check and load."""
    fetch = model_registry.fetch

    def then_changed(*arguments):
        found = fetch(*arguments)
        before(artifact / "served.py")
        return found

    monkeypatch.setattr(model_registry, "fetch", then_changed)
    load.load_model(MODEL)
    assert not (project.root / RAN).exists()


@pytest.mark.parametrize("name", ["environment.json", "dvc.lock", "model.yaml"])
def test_a_changed_definition_of_a_run_is_not_read(project, name, tmp_path):
    store = mlflow_runs.client(project)
    version = model_registry.champion(store, MODEL)
    (there,) = (project.root / "mlflow" / "artifacts").rglob(f"definition/{name}")
    there.write_text(there.read_text() + "\n")
    told = f"definition/{name} of the run {version.run_id} in MLflow was changed"
    if name == "model.yaml":
        with pytest.raises(IntegrityError, match=told):
            predict.declaration(store, version, tmp_path)
    else:
        with pytest.raises(IntegrityError, match=told):
            verify.verify(project, MODEL, None, 0.01, False, progress.Progress())


def test_the_loader_imports_neither_prefect_nor_dvc():
    code = "import sys, flows.load; print([name for name in ('prefect', 'dvc') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_line_that_was_sealed_anew_is_noticed(project):
    """With its own hash right again, the alias' record of it is not."""
    from sqlalchemy import create_engine, update

    book, store = ledger.of(project), mlflow_runs.client(project)
    lines = book.lines(MODEL)
    forged = Line(**(vars(lines[-1]) | {"reason": "somebody else's"})).sealed()
    with create_engine(book.url).begin() as connection:
        change = update(ledger.LINES).where(ledger.LINES.c.sequence == forged.sequence)
        connection.execute(change.values(reason=forged.reason, hash=forged.hash))
    assert ledger.broken(book.lines(MODEL)) == ""
    assert "is not the one that its alias followed" in champion_alias.compare(store, book, MODEL)[1]
    with pytest.raises(IntegrityError, match="is not the one that its alias followed"):
        champion_alias.promote(project, MODEL, 2, "again")
    assert json.loads(lines[-1].evidence)["artifact_hash"]
