"""The temporary folder in which runs are disturbed: copies of the project, and what an undisturbed run leaves there."""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent.parent
MODEL = "digits"
PATIENCE = 300  # seconds that a command may take
FOREIGN = ("PREFECT_", "MLFLOW_", "RATCHET_", "DVC_", "GIT_", "FAULT_")
LONG = {
    "epochs: 30": "epochs: 150",
    "batch_size: 32": "batch_size: 16\n  early_stopping: {patience: 20, min_delta: 0.0005}\n"
    "  reduce_on_plateau: {patience: 5, factor: 0.5}",
    "learning_rate: 0.001": "learning_rate: 0.0005",
}
Entries = dict[str, Any]


def environment(**more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
    path = os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]])
    return kept | {"PATH": path, "PYTHONPATH": "", "COLUMNS": "120"} | more


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout


def copy_of_the_tree(target: Path) -> None:
    """The files that git would take, so that what is not committed yet is measured too."""
    for name in filter(None, git(ROOT, "ls-files", "-co", "--exclude-standard", "-z").split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    git(target, "init", "-q", "-b", "main")


def commit(folder: Path) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "a copy")


def edit(path: Path, changes: dict[str, str]) -> None:
    text = path.read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text, f"{path} does not hold {old!r}"
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def entries(path: Path) -> Entries:
    """The model's entries of a dvc.lock; {} if it cannot be read."""
    try:
        found = YAML(typ="safe").load(path.read_text(encoding="utf-8"))["stages"]
    except Exception:
        return {}
    return {name: entry for name, entry in found.items() if name.endswith(f"@{MODEL}")}


def forget(folder: Path) -> None:
    """Take the model's entries out of dvc.lock: its stages have never run."""
    path, yaml = folder / "dvc.lock", YAML()
    content = yaml.load(path.read_text(encoding="utf-8"))
    content["stages"] = {name: entry for name, entry in content["stages"].items() if not name.endswith(f"@{MODEL}")}
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(content, file)


def from_elsewhere(folder: Path, local: Entries) -> None:
    """As if dvc.lock came from another machine: a fingerprint and hashes of train and evaluate that are not ours."""
    outs = [out for name in ("train", "evaluate") for out in local[f"{name}@{MODEL}"]["outs"]]
    edit(folder / "dvc.lock", {out["md5"]: f"{'0' * 8}{out['md5'][8:]}" for out in outs})
    path = folder / "data" / MODEL / "fingerprint.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"machine": "another"}, indent=2) + "\n")


DATABASES = """
from flows.project import databases, environment, lifeline
from flows.servers import lifecycle
project = environment.prepare()
with lifecycle.for_a_run(project) as server:
    server.url()
databases.ensure_mlflow(project)
"""


@dataclass
class World:
    """The temporary folder. Every copy that runs lies at the same place: paths are kept in databases."""

    folder: Path
    references: dict[str, "Reference"] = field(default_factory=dict)

    @property
    def place(self) -> Path:
        return self.folder / "clone"

    def variables(self, **more: str) -> dict[str, str]:
        (self.folder / "tmp").mkdir(exist_ok=True)
        return environment(TMPDIR=str(self.folder / "tmp"), **more)

    def put(self, base: Path, fresh: bool = False) -> Path:
        """A new copy of a base at the place."""
        for path in (self.place, self.folder / "tmp", self.folder / "mark"):
            shutil.rmtree(path, ignore_errors=True)
            path.unlink(missing_ok=True)
        subprocess.run(["cp", "-a", str(base), str(self.place)], check=True, timeout=PATIENCE)
        for path in (self.place / ".ratchet" / "prefect", self.place / "mlflow") if fresh else ():
            for database in path.glob("*.db*"):
                database.unlink()
        return self.place

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        """`ratchet ...` in the copy; what it says goes to the files out and err."""
        command = [sys.executable, "-m", "flows.cli", *arguments, "--json"]
        with (self.folder / "out").open("w") as out, (self.folder / "err").open("w") as err:
            pipes = {"stdout": out, "stderr": err, "text": True, "process_group": 0}  # Ctrl-C is for it alone
            return subprocess.Popen(command, cwd=self.place, env=self.variables(**more), **pipes)

    def ratchet(self, *arguments: str) -> tuple[int, Entries, str]:
        """Exit status, answer, and what was said on standard error."""
        process = self.start(*arguments)
        try:
            status = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        told = (self.folder / "err").read_text().strip()
        try:
            return status, json.loads((self.folder / "out").read_text()), told
        except ValueError:
            return status, {}, told


@dataclass
class State:
    """Everything that must be the same after a crash as without one."""

    outputs: dict[str, str]  # path -> sha256
    lock: str
    local_lock: str  # of a machine whose entries are kept apart
    git: list[str]
    refs: list[str]
    versions: list[Any]
    champion: list[Any]
    ledger: list[Any]
    runs: list[Any]
    params: list[Any]
    metrics: list[Any]
    tags: list[Any]
    artifacts: list[str]
    model_files: list[str]


def rows(database: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as opened:
        return sorted(opened.execute(query).fetchall(), key=str)


def look(folder: Path) -> State:
    store, apart = folder / "mlflow" / "mlflow.db", folder / ".ratchet" / f"dvc-lock-{MODEL}.json"
    lock = entries(folder / "dvc.lock")
    paths = [folder / out["path"] for entry in lock.values() for out in entry["outs"]]
    files = [file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*")))]
    return State(
        outputs={str(path.relative_to(folder)): sha256(path) for path in files if path.is_file()},
        lock=(folder / "dvc.lock").read_text(),
        local_lock=apart.read_text() if apart.exists() else "",
        git=git(folder, "status", "--porcelain").splitlines(),
        refs=git(folder, "for-each-ref", "refs/ratchet").splitlines(),
        versions=rows(
            store,
            "select v.version, t.key, t.value from model_versions v left join model_version_tags t "
            "on t.version = v.version and t.name = v.name "
            "and t.key not in ('ratchet.decided_at', 'ratchet.artifact_hash', 'ratchet.artifact_files')",
        ),
        ledger=rows(
            store.with_name("ledger.db"),
            "select sequence, action, version, from_version, to_version, reference, reason from ratchet_ledger",
        ),
        champion=rows(store, "select name, alias, version from registered_model_aliases"),
        runs=rows(
            store,
            "select status, lifecycle_stage, t.value from runs left join tags t "
            "on t.run_uuid = runs.run_uuid and t.key = 'ratchet.published'",
        ),
        params=rows(store, "select key, value from params"),
        metrics=rows(
            store,
            "select key, step, value from metrics "
            "where key not like 'energy/%' and key not like 'pace/%' and key not like 'system/%'",  # of time
        ),
        tags=rows(  # the device has its reasons only in the run that has trained; energy that was killed is lost
            store,
            "select key, value from tags where key not like 'prefect.%' and key not like 'ratchet.energy_%' "
            "and key != 'ratchet.device'",
        ),
        artifacts=below(folder / "mlflow" / "artifacts" / MODEL, "*/artifacts"),
        model_files=served(folder, store),
    )


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def below(folder: Path, pattern: str) -> list[str]:
    """Files in the artifacts of runs, without the run's id."""
    found = [(top, path) for top in folder.glob(pattern) if top.parent.name != "models" for path in top.rglob("*")]
    return sorted(str(path.relative_to(top)) for top, path in found if path.is_file())


def served(folder: Path, store: Path) -> list[str]:
    """Files of the versions that are registered."""
    sources = [str(source).removeprefix("models:/") for (source,) in rows(store, "select source from model_versions")]
    tops = [folder / "mlflow" / "artifacts" / MODEL / "models" / source / "artifacts" for source in sources]
    return sorted(str(path.relative_to(top)) for top in tops for path in top.rglob("*") if path.is_file())


@dataclass
class Reference:
    """What the undisturbed run left, and how long it took."""

    base: Path
    state: State
    local: Entries  # what this machine really made
    seconds: float

    def finished(self, folder: Path) -> list[str]:
        """The stages that a killed run has brought to their end: dvc.lock names what they really made."""
        there = entries(folder / "dvc.lock")
        return [name.partition("@")[0] for name, entry in self.local.items() if there.get(name) == entry]


def prepare(world: World, subject: str) -> Reference:
    """The base of a subject, with databases and nothing made, and its undisturbed run."""
    base = world.folder / f"base-{subject}"
    if subject == "digits":
        world.place.mkdir()
        copy_of_the_tree(world.place)
        forget(world.place)
        commit(world.place)
        for command in (["-m", "compileall", "-q", "flows", "pipelines"], ["-c", DATABASES]):
            arguments = [sys.executable, *command]
            subprocess.run(arguments, cwd=world.place, env=world.variables(), check=True, timeout=PATIENCE)
        world.place.rename(base)
    else:
        digits = world.references["digits"]
        world.put(digits.base)
        if subject == "long":
            edit(world.place / "models" / f"{MODEL}.yaml", LONG)
        else:
            (world.place / "dvc.lock").write_text(digits.state.lock)
            from_elsewhere(world.place, digits.local)
        commit(world.place)
        world.place.rename(base)
    world.put(base)
    start = time.monotonic()
    status, answer, told = world.ratchet("run", MODEL)
    seconds = time.monotonic() - start
    assert status == 0, told
    assert answer["decision"] == "accepted", answer
    if subject == "long":
        check_that_both_rules_worked(world.place)
    apart = world.place / ".ratchet" / f"dvc-lock-{MODEL}.json"
    local = json.loads(apart.read_text())["local"] if apart.exists() else entries(world.place / "dvc.lock")
    return Reference(base, look(world.place), local, seconds)


def check_that_both_rules_worked(folder: Path) -> None:
    lines = (folder / "data" / MODEL / "history.csv").read_text().splitlines()
    place = lines[0].split(",").index("train/learning_rate")
    assert len(lines) - 1 < 150, "early stopping did not end the training"
    assert len({line.split(",")[place] for line in lines[1:]}) > 1, "the learning rate never fell"
