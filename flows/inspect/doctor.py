"""Doctor: checks everything that a run depends on. Each problem comes with its repair."""

import os
import platform
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flows.inspect import doctor_gpus, doctor_live
from flows.project import databases, environment, folder_rights, locks, private_files
from flows.project.environment import Project
from flows.records import attempts
from flows.run import rhythm
from flows.schedule import control
from flows.servers import lifecycle, prefect_login
from pipelines import model_file
from pipelines.config import settings
from pipelines.errors import RatchetError
from pipelines.hardware import fingerprint

FREE_BYTES = 5 << 30  # doctor reports a disk with less free space
PACKAGES = ("prefect", "mlflow", "dvc", "great-expectations", "tensorflow", "keras", "pandas", "fastapi", "sqlalchemy")
LOCATIONS = {  # every column of MLflow's store that holds where artifacts lie
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
    "model_versions": "storage_location",
}


@dataclass(frozen=True)
class Check:
    name: str
    ok: bool
    found: str
    fix: str = ""


def doctor(project: Project, fix: bool) -> dict[str, Any]:
    """Every check; with `fix`, it first repairs what it can."""
    if fix:
        _move_locations(project)
        _clear_byte_code(project)
        doctor_live.repair(project)
    looks: list[Callable[[Project], Iterator[Check]]] = [
        _python, _packages, _gpus, _device, _disk, _git, _rights, _names, _dvc, _store, _ledger, _models,
        _live, _declarations, _refused, _servers, _login, _quiet,
    ]  # fmt: skip
    checks = [asdict(check) for look in looks for check in look(project)]
    return {"format": 1, "ok": all(check["ok"] for check in checks), "checks": checks}


def _python(project: Project) -> Iterator[Check]:
    fine = (3, 11) <= sys.version_info[:2] < (3, 14)
    yield Check("python", fine, platform.python_version(), "rm -r .venv && make run PYTHON=python3.12")
    yield Check("processor", True, f"{fingerprint.processor()}, {os.cpu_count()} cores")


def _packages(project: Project) -> Iterator[Check]:
    import mlflow

    found = {name: version(name) for name in PACKAGES}
    yield Check("packages", True, ", ".join(f"{name} {number}" for name, number in found.items()))
    limits = {"fastapi": (0, 151), "sqlalchemy": (2, 1)}
    broken = [name for name, below in limits.items() if _number(found[name]) >= below]
    if broken:
        wrong = f"{', '.join(broken)} too new for Prefect's scheduler"
        yield Check("versions", False, wrong, "rm -r .venv && make run")
    real = "site-packages" in str(mlflow.__file__)
    yield Check("import", real, str(mlflow.__file__), "remove __init__.py from the project's mlflow/ folder")


def _number(text: str) -> tuple[int, int]:
    major, minor = text.split(".")[:2]
    return int(major), int(minor)


def _gpus(project: Project) -> Iterator[Check]:
    """Before TensorFlow is imported: that changes the environment, and takes memory."""
    yield from (Check(*look) for look in doctor_gpus.look())


def _device(project: Project) -> Iterator[Check]:
    from pipelines.hardware import device, gpus

    choice, sight = device.prepare(device.Hardware.model_validate({}), seed=0), gpus.look()
    lost = choice.device == "cpu" and bool(gpus.usable(sight))
    yield Check("device", not lost, choice.told, gpus.why_none(sight)[1] if lost else "")


def _disk(project: Project) -> Iterator[Check]:
    free = shutil.disk_usage(project.root).free
    yield Check("disk", free > FREE_BYTES, f"{free / 2**30:.1f} GiB free", "free some space, or move the DVC cache")


def _git(project: Project) -> Iterator[Check]:
    inside = (project.root / ".git").exists()
    fix = "git init: provenance and `dvc metrics diff` need a repository"
    yield Check("git", inside, "a repository" if inside else "not a repository", fix)


def _rights(project: Project) -> Iterator[Check]:
    left = [] if environment.shared() else folder_rights.opened(project)
    told = "open to others, as RATCHET_SHARED says" if environment.shared() else "open only to their owner"
    wrong = f"others can open {', '.join(map(str, left))}"
    yield Check("folders", not left, wrong if left else told, "chmod go-rwx, as their owner")


def _names(project: Project) -> Iterator[Check]:
    """Files of models/ that no command can see, by their names."""
    others = [path.name for path in settings.FOLDER.glob("*.yaml") if not settings.is_name(path.stem)]
    fix = "rename them: lower-case letters, digits and underscores"
    yield Check("names", not others, f"not names of models: {', '.join(others)}" if others else "named well", fix)


def _dvc(project: Project) -> Iterator[Check]:
    rwlock = project.root / ".dvc" / "tmp" / "rwlock"
    broken = rwlock.exists() and not rwlock.read_text().strip() and not locks.held(project)
    yield Check(
        "dvc", not broken, "its lock file is empty" if broken else "cache and lock are in order", f"rm {rwlock}"
    )


def _store(project: Project) -> Iterator[Check]:
    path = project.mlflow_database
    if project.tracking or not path.exists():
        yield Check("tracking", True, project.tracking or "no store yet; the first run makes it")
        return
    if wrong := databases.damage(path):
        yield Check("tracking", False, f"{path} is a damaged database: {wrong}", "restore the file from a backup")
        return
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
        state = database.execute("PRAGMA quick_check").fetchone()[0]
    yield Check("tracking", state == "ok", f"{path}: {state}", "restore the file from a backup")
    elsewhere = databases.elsewhere(project)
    found = f"artifacts recorded under {elsewhere}" if elsewhere else "artifacts are where the store says"
    yield Check("artifacts", not elsewhere, found, "the folder was moved or copied: ratchet doctor --fix")


def _ledger(project: Project) -> Iterator[Check]:
    """Every model's chain is unbroken, and its alias agrees with the ledger."""
    from flows.promotion import champion_alias
    from flows.records import ledger
    from flows.tracking import mlflow_runs

    if project.tracking and not project.ledger:
        alone = "the registry is shared, and the ledger is a file of this clone"
        yield Check("ledger", False, alone, "set RATCHET_LEDGER_URL to a database that all clones use")
    if not project.tracking and not project.mlflow_database.exists():
        return
    try:
        with mlflow_runs.reachable(project):
            store, book = mlflow_runs.client(project), ledger.of(project)
            found = {model: champion_alias.compare(store, book, model)[1] for model in settings.models()}
    except RatchetError as error:
        yield Check("ledger", False, error.what, error.do)
        return
    for model, wrong in found.items():
        if wrong:
            yield Check("ledger", False, wrong, champion_alias.BY_HAND.format(model))
    if not any(found.values()):
        yield Check("ledger", True, f"{book.told()}: every line follows the line before it, every alias agrees with it")


def _models(project: Project) -> Iterator[Check]:
    """Every registered file is unchanged. No file is loaded."""
    from flows.records import ledger
    from flows.registry import version_files
    from flows.tracking import mlflow_runs

    if not project.tracking and not project.mlflow_database.exists():
        return
    try:
        with mlflow_runs.reachable(project):
            store, book = mlflow_runs.client(project), ledger.of(project)
            found = version_files.look(project, store, book, settings.models())
    except RatchetError as error:
        yield Check("models", False, error.what, error.do)
        return
    for told in found.changed:
        yield Check("models", False, told, "restore the artifact store from a backup, or promote another version")
    for told in found.moved:
        what, _, fix = told.rpartition(": ")
        yield Check("commits", False, what, fix)
    if found.byte_code:
        lies = f"beside {len(found.byte_code)} folders of registered code, such as {found.byte_code[0]}"
        what = f"byte code lies {lies}: plain MLflow runs it unchecked, Ratchet never does"
        yield Check("byte code", False, what, "ratchet doctor --fix removes it")
    if not found.changed:
        yield Check("models", True, f"{found.versions} versions: no file has changed since it was registered")


def _live(project: Project) -> Iterator[Check]:
    yield from (Check(*look) for look in doctor_live.look(project))


def _declarations(project: Project) -> Iterator[Check]:
    """Every YAML can be read, and Prefect can follow every schedule. One that cannot stops its own model alone."""
    wrong = []
    for model in settings.models():
        try:
            rhythm.check(model, model_file.check(model).schedule)
        except RatchetError as error:
            wrong.append(Check("yaml", False, error.what, error.do))
    yield from wrong or [Check("yaml", True, f"{len(settings.models())} models: each can be read and scheduled")]


def _refused(project: Project) -> Iterator[Check]:
    """No model is stopped by a refusal, of its data or of its settings."""
    found = {model: attempts.refusal(attempts.read(project, model)) for model in settings.models()}
    for model, tick in found.items():
        if tick:
            yield Check("runs", False, f"{model} was refused on {tick.at[:16]}", "ratchet status says why")


def _servers(project: Project) -> Iterator[Check]:
    running = lifecycle.recorded(project)
    for name in lifecycle.NAMES:
        yield Check(name, True, running[name].url if name in running else "not up (ratchet up)")
    served = control.running(project)
    models = ", ".join(f"{model} ({words or 'no schedule'})" for model, words in served.get("models", {}).items())
    yield Check("schedule", True, f"branch {served['branch']}: {models}" if served else "not up (ratchet up)")
    held = [locks.describe(project, name) for name in locks.held(project)]
    yield Check("runs", True, ", ".join(held) or "none active")


def _login(project: Project) -> Iterator[Check]:
    """Whether Prefect's server needs a login that only this user knows."""
    path = prefect_login.path(project)
    wrong = private_files.wrong(path) if path.exists() else ""
    found = f"{path} {wrong or 'is readable only by you'}" if path.exists() else "none yet; `ratchet up` makes one"
    yield Check("login", not wrong, found, prefect_login.NEW)
    if lifecycle.open_to_all(lifecycle.recorded(project)):
        yield Check("login", False, "Prefect's server is up without a login", "ratchet down, then ratchet up")


def _quiet(project: Project) -> Iterator[Check]:
    loud = [name for name, value in environment.QUIET.items() if os.environ.get(name) != value]
    yield Check("telemetry", not loud, f"on: {', '.join(loud)}" if loud else "off in every library")


def _clear_byte_code(project: Project) -> None:
    from flows.registry import version_files

    version_files.clear_byte_code(project)


def _move_locations(project: Project) -> None:
    """Rewrite the recorded folder of artifacts after the clone was moved."""
    if project.tracking or not project.mlflow_database.exists() or not (old := databases.elsewhere(project)):
        return
    with closing(sqlite3.connect(project.mlflow_database)) as database, database:
        for table, column in LOCATIONS.items():
            database.execute(  # the names come from LOCATIONS, the values are bound
                f"UPDATE {table} SET {column} = replace({column}, ?, ?)",  # noqa: S608
                (f"{Path(old).as_uri()}/", f"{project.home.as_uri()}/"),
            )
