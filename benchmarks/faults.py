"""Is `ratchet run` safe from crashes? Kills it, runs it again and compares: python benchmarks/faults.py [KILLS]

    --seed N         of the random moments (printed; default 1)
    --model NAME     digits, long or elsewhere; more than once for several (default: all)
    --only TEXT      the kills whose name holds this

Everything happens in a copy of this folder's files in a temporary folder. Subjects: `digits` as it is; `long`, a
training that its two rules about the validation loss shape and end; and `elsewhere`, digits on a machine that is not
the one that dvc.lock comes from. Each subject runs once undisturbed. Then, each time from nothing, `ratchet run
digits` is killed (SIGKILL), at a random moment or at a named point of the program (faults/sitecustomize.py), and run
again to its end. Killed processes: the run, and with it the one that reaches the point. Every second run starts again
at once, the others when nothing of the killed one is left.

What the second run leaves must equal what the undisturbed one left: files, dvc.lock, git, MLflow's run, version and
alias. It may repeat no finished stage and no finished epoch, wait for no lock, and leave nothing "running". Prints a
line for each kill and a table of totals. Exit status 1 if a kill was not survived.
"""

import argparse
import fcntl
import hashlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import psutil
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
INJECTED = ROOT / "benchmarks" / "faults"
MODEL = "digits"
KILLS = 44
PATIENCE = 120  # seconds that a command may take
ORPHANS = 15  # seconds that a process may outlive its run
FOREIGN = ("PREFECT_", "MLFLOW_", "RATCHET_", "DVC_", "GIT_", "FAULT_")
FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
TOTALS = {
    "lost": "lost",
    "different": "different",
    "orphan": "orphans",
    "lock": "stale locks",
    "running": "RUNNING rows",
}
LONG = {
    "epochs: 30": "epochs: 150",
    "batch_size: 32": "batch_size: 16\n  early_stopping: {patience: 20, min_delta: 0.0005}\n"
    "  reduce_on_plateau: {patience: 5, factor: 0.5}",
    "learning_rate: 0.001": "learning_rate: 0.0005",
}
Entries = dict[str, Any]


# ------------------------------------------------------------------ what is killed, and where


@dataclass(frozen=True)
class Fault:
    """One kill: after `seconds`, or at the call number `count` of `point`, a "module:attribute", from `caller`.

    process: words in the command line of the process that reaches the point. spare: it lives on, only the run dies.
    """

    name: str
    seconds: float = 0.0
    point: str = ""
    when: str = "before"
    count: int = 1
    caller: str = ""
    process: str = "flows.cli"
    spare: bool = False


@dataclass(frozen=True)
class Case:
    """A subject that is killed once, or more often. fresh: without databases. up: with servers in the background."""

    subject: str
    faults: tuple[Fault, ...]
    fresh: bool = False
    up: bool = False
    at_once: bool = False

    @property
    def name(self) -> str:
        return ", then ".join(fault.name for fault in self.faults) + ("; servers up" if self.up else "")


TRACKER, MIGRATION = "spawn_main", "server database upgrade"
STAGE = "pipelines.warm serve networks"  # whose children train, evaluate and try models
CLIENT = "mlflow.tracking.client:MlflowClient"
SETTINGS = "prefect.settings.context:get_current_settings"  # the first thing that Prefect does
STEP = "alembic.ddl.impl:DefaultImpl._exec"  # one statement of a migration


def named() -> list[Case]:
    """Every named point, in the order of a run."""

    def case(subject: str, name: str, point: str, when: str = "before", count: int = 1, **more: Any) -> Case:
        options = {key: more.pop(key) for key in ("fresh", "up", "at_once") if key in more}
        return Case(subject, (Fault(name, 0.0, point, when, count, **more),), **options)

    def digits(name: str, point: str, when: str = "before", count: int = 1, **more: Any) -> Case:
        return case("digits", name, point, when, count, **more)

    def long(name: str, point: str, when: str = "before", count: int = 1, **more: Any) -> Case:
        return case("long", name, point, when, count, **more)

    again = Fault("before its Crashed", 0.0, "flows.abandoned:_crash")
    crashed = (Fault("in train", 0.0, "pipelines.checkpoints:_write", "after", 4, process=STAGE), again)
    first = {"fresh": True}
    spared = {"process": MIGRATION, "spare": True, "fresh": True, "at_once": True}
    return [
        digits("in Prefect's first migration", STEP, "before", 30, process=MIGRATION, **first),
        digits("before Prefect's first migration, which lives on", SETTINGS, **spared),
        digits("in Prefect's first migration, which lives on", STEP, "before", 30, **spared),
        digits("in MLflow's first migration", STEP, "before", 60, process=TRACKER, **first),
        digits("before what died is ended", "flows.abandoned:end"),
        digits("clean has ended, nothing is saved", "dvc.stage:Stage.save", "before", 3),
        digits("clean's 2nd output is in the cache", "dvc.output:Output.commit", "after", 5, caller="commit"),
        digits("clean is in the run cache", "dvc.stage.cache:StageCache.save", "after", 3),
        digits("between save and dvc.lock", "dvc.stage:Stage.dump", "before", 4),
        digits("before dvc.lock is written", "dvc.utils.serialize._yaml:_dump", "before", 4, caller="dumps_yaml"),
        digits("a file of DVC's is half written", "ruamel.yaml.emitter:Emitter.emit", "before", 400),
        digits("before the rename of dvc.lock", "flows.graph:os.replace", "before", 3, caller="_modified"),
        digits("in the writing of rwlock", "dvc.rwlock:json.dump", "before", 20, caller="_edit_rwlock"),
        long("in the writing of a checkpoint", "numpy.lib.format:write_array", "before", 400, process=STAGE),
        long("a checkpoint was renamed", "pipelines.checkpoints:_write", "after", 25, process=STAGE),
        long("the training has stopped early", "pipelines.train:save", process=STAGE),
        long("in the saving of the model", "pipelines.predictor:write_manifest", process=STAGE),
        long("the model is saved, the checkpoint still there", "pipelines.train:save", "after", process=STAGE),
        long("train has ended, nothing is saved", "dvc.stage:Stage.save", "before", 5),
        long("in train's commit", "dvc.output:Output.commit", "after", 9, caller="commit"),
        digits("before register", "flows.registry:register", process=TRACKER),
        digits("before log_model_artifacts", f"{CLIENT}.log_model_artifacts", process=TRACKER),
        digits("after log_model_artifacts", f"{CLIENT}.log_model_artifacts", "after", process=TRACKER),
        digits("after create_model_version", f"{CLIENT}.create_model_version", "after", process=TRACKER),
        digits("in log_facts", f"{CLIENT}.log_batch", "after", caller="log_facts", process=TRACKER),
        digits("after log_files", "flows.tracking:log_files", "after", process=TRACKER),
        digits("in finish", f"{CLIENT}.set_terminated", "before", caller="finish", process=TRACKER),
        digits("decide, before the trial", "flows.trial:run", process=TRACKER),
        digits("decide, in the trial", "mlflow.pyfunc:load_model", "after", caller="_golden", process=STAGE),
        digits("decide, before the ledger", "flows.ledger:Ledger.append", process=TRACKER),
        digits("decide, after the ledger", "flows.ledger:Ledger.append", "after", process=TRACKER),
        digits("decide, after the alias", f"{CLIENT}.set_registered_model_alias", "after", process=TRACKER),
        digits("decide, after the alias's tag", f"{CLIENT}.set_registered_model_tag", "after", process=TRACKER),
        digits("decide, before the note of the decision", "flows.decide:_note", process=TRACKER),
        digits("decide, in the note of the decision", f"{CLIENT}.set_model_version_tag", "before", 3, process=TRACKER),
        digits("before the Prefect artifacts", "flows.artifacts:show"),
        case("elsewhere", "before dvc.lock is put back", "flows.lockfile:_take_back"),
        case("elsewhere", "between the two dvc.lock", "flows.graph:Graph.write_lock_entries"),
        digits("after create_model_version", f"{CLIENT}.create_model_version", "after", process=TRACKER, up=True),
        digits("decide, after the ledger", "flows.ledger:Ledger.append", "after", process=TRACKER, up=True),
        Case("digits", crashed),
    ]


def moments(subject: str, number: int, whole: float, chance: random.Random) -> list[Case]:
    """Random moments in a run of `whole` seconds, one in each of `number` equal parts."""
    found = [whole * (part + chance.random()) / number for part in range(number)]
    return [Case(subject, (at(moment),)) for moment in found]


def at(moment: float) -> Fault:
    return Fault(f"at {moment:.1f} s", moment)


# ------------------------------------------------------------------ copies of the project


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
from flows import environment, lifeline, stores
project = environment.prepare()
stores.ensure_prefect(project)
stores.ensure_mlflow(project)
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
            return subprocess.Popen(
                command, cwd=self.place, env=self.variables(**more), stdout=out, stderr=err, text=True
            )

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


# ------------------------------------------------------------------ what a run leaves


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
            "and t.key not in ('ratchet.decided_at', 'ratchet.artifact_hash')",  # of a time, and of ids
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
        metrics=rows(store, "select key, step, value from metrics"),
        tags=rows(store, "select key, value from tags where key not like 'prefect.%'"),
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


# ------------------------------------------------------------------ one kill


@dataclass
class Report:
    """problems: (a key of TOTALS, what was found). litter: what was left behind and harms nobody."""

    case: Case
    stage: str = ""
    seconds: float = 0.0  # of the run that went to its end
    problems: list[tuple[str, str]] = field(default_factory=list)
    litter: list[str] = field(default_factory=list)

    def told(self) -> str:
        found = sorted({kind for kind, _ in self.problems})
        remarks = [*(text for _, text in self.problems), *self.litter]
        return (
            f"{self.case.subject:<9} {self.case.name:<48} {self.stage:<15} "
            f"{'survived' if not found else ', '.join(found):<20} {self.seconds:5.1f} s  {'; '.join(remarks)}"
        )


def living(folder: Path) -> set[psutil.Process]:
    """Processes that work in a folder or are about it."""
    found = set()
    for process in psutil.process_iter(["cwd", "cmdline", "status"]):
        about = process.info
        words = [about["cwd"] or "", *(about["cmdline"] or [])]
        if about["status"] != psutil.STATUS_ZOMBIE and any(str(folder) in word for word in words):
            found.add(process)
    return found


def kill(world: World, fault: Fault) -> bool:
    """Run, and kill as the fault says; returns whether the run has died of it."""
    mark = world.folder / "mark"
    mark.unlink(missing_ok=True)
    variables = {
        "FAULT_POINT": fault.point,
        "FAULT_WHEN": fault.when,
        "FAULT_COUNT": str(fault.count),
        "FAULT_CALLER": fault.caller,
        "FAULT_PROCESS": fault.process,
        "FAULT_SPARE": "1" if fault.spare else "",
        "FAULT_MARK": str(mark),
        "PYTHONPATH": str(INJECTED),
    }
    process = world.start("run", MODEL, **(variables if fault.point else {}))
    try:
        process.wait(PATIENCE if fault.point else fault.seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    return process.wait() == -signal.SIGKILL and (not fault.point or mark.exists())


def stage_of(folder: Path, finished: list[str]) -> str:
    """Where the killed run was: the stage whose log is the newest, and whether it had ended."""
    logs = [path for path in (folder / ".ratchet" / "logs" / "runs").glob("*/*") if path.suffix != ".error"]
    if not logs:
        return "start"
    name = max(logs, key=lambda path: path.stat().st_mtime_ns).name
    return f"after {name}" if name in finished else name


def survive(world: World, case: Case, third: bool) -> Report:
    """One case from nothing to its comparison."""
    reference, report = world.references[case.subject], Report(case)
    folder = world.put(reference.base, case.fresh)
    with servers(world, case.up):
        before = living(folder)
        for fault in case.faults:
            if not kill(world, fault):
                if not fault.point:  # the run was quicker than the undisturbed one
                    return survive(world, replace(case, faults=(at(fault.seconds * 0.8),)), third)
                report.problems.append(("lost", f"the point was not reached: {(world.folder / 'err').read_text()}"))
                return report
        died, left = time.monotonic(), living(folder) - before
        if not case.at_once:
            left = set(gone_within(left, ORPHANS))
        finished, resumable = reference.finished(folder), (folder / "data" / MODEL / "checkpoint.npz").exists()
        report.stage = stage_of(folder, finished)
        start = time.monotonic()
        status, answer, told = world.ratchet("run", MODEL, "--no-wait")
        report.seconds = time.monotonic() - start
        report.problems += [
            ("orphan", f"lives on: {told_of(process)}")
            for process in gone_within(left, max(0.0, ORPHANS - (time.monotonic() - died)))
        ]
        if status:
            kind = "lock" if "is active" in told else "lost"
            report.problems.append((kind, f"the second run ended with {status}: {told[-300:]}"))
            return report
        report.problems += [*repeated(folder, answer, finished, resumable), *differences(reference, look(folder))]
        report.problems += [*running(folder), *locked(folder)]
        report.litter = litter(world)
        if third:
            report.problems += once_more(world)
        report.problems += [("orphan", f"left: {told_of(p)}") for p in gone_within(living(folder) - before, 5)]
    return report


@contextmanager
def servers(world: World, wanted: bool) -> Iterator[None]:
    """`ratchet up` around the block."""
    try:
        if wanted:
            status, _, told = world.ratchet("up", "--no-schedule")
            assert status == 0, told
        yield
    finally:
        if wanted:
            world.ratchet("down")
        end(living(world.place))


def gone_within(processes: set[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that are still there after so many seconds."""
    return list(psutil.wait_procs(list(processes), timeout=seconds)[1])


def told_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())[-80:]
    except psutil.Error:
        return str(process.pid)


def end(processes: set[psutil.Process]) -> None:
    """What outlived its case must not disturb the next one."""
    for process in processes:
        try:
            process.kill()
        except psutil.Error:
            continue
    psutil.wait_procs(list(processes), timeout=5)


def repeated(folder: Path, answer: Entries, finished: list[str], resumable: bool) -> Iterator[tuple[str, str]]:
    """Work that was done and was done again."""
    states = {stage["name"]: stage["state"] for stage in answer["stages"]}
    for name in finished:
        if states[name] == "Ran":
            yield "lost", f"{name} had ended and ran again"
    log = max((folder / ".ratchet" / "logs" / "runs").glob("*/train"), key=lambda path: path.stat().st_mtime_ns)
    if resumable and states["train"] == "Ran" and "training goes on after epoch" not in log.read_text():
        yield "lost", f"the training began again: {log.read_text().strip()[-200:]}"


def differences(reference: Reference, now: State) -> Iterator[tuple[str, str]]:
    for name in (entry.name for entry in fields(State)):
        wanted, found = getattr(reference.state, name), getattr(now, name)
        if wanted != found:
            yield "different", f"{name}: {short(wanted, found)}"


def short(wanted: Any, found: Any) -> str:
    """The lines or members of two values that the other one lacks."""
    one, other = Counter(members(wanted)), Counter(members(found))
    return f"missing {sorted((one - other).elements())[:4]}, more {sorted((other - one).elements())[:4]}"[:400]


def members(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [str(item) for item in value.items()]
    return value.splitlines() if isinstance(value, str) else [str(item) for item in value]


def running(folder: Path) -> Iterator[tuple[str, str]]:
    """Rows that say "running" though nothing runs."""
    for (name,) in rows(folder / "mlflow" / "mlflow.db", "select name from runs where status = 'RUNNING'"):
        yield "running", f"MLflow: {name} is RUNNING"
    for table in ("flow_run", "task_run"):
        query = f"select name, state_type from {table} where state_type is null or state_type not in {FINAL}"
        for name, state in rows(folder / ".ratchet" / "prefect" / "prefect.db", query):
            yield "running", f"Prefect: {table} {name} is {state}"


def locked(folder: Path) -> Iterator[tuple[str, str]]:
    """What would make the next run wait. Nothing runs now, so a process that DVC's table names is a stranger."""
    for pid in readers_and_writers(folder):
        if psutil.pid_exists(pid):
            yield "lock", f"rwlock names process {pid}"
    for path in sorted((folder / ".ratchet" / "locks").glob("*.lock")):
        with path.open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield "lock", f"{path.name} is held"


def readers_and_writers(folder: Path) -> set[int]:
    """The processes that DVC's table of readers and writers names."""
    path = folder / ".dvc" / "tmp" / "rwlock"
    content = json.loads(path.read_text()) if path.exists() else {}
    named = [*content.get("write", {}).values(), *(one for many in content.get("read", {}).values() for one in many)]
    return {int(one["pid"]) for one in named}


def litter(world: World) -> list[str]:
    """What a killed run left and no run took away."""
    folder, data = world.place, world.place / "data" / MODEL
    found = [*(folder / ".ratchet").glob("run-*.pipe")]
    found += [*data.glob("*partial"), *data.glob("checkpoint*"), *(folder / "mlflow").glob(".*partial*")]
    found += (world.folder / "tmp").glob("ratchet-*")
    names = [f"left {path.name}" for path in found]
    names += [f"rwlock names the dead process {pid}" for pid in sorted(readers_and_writers(folder))]
    query = "select status from logged_models where lifecycle_stage = 'active'"
    models = rows(folder / "mlflow" / "mlflow.db", query)
    return [*names, f"{len(models)} logged models"] if len(models) > 1 else names


def once_more(world: World) -> Iterator[tuple[str, str]]:
    status, answer, told = world.ratchet("run", MODEL, "--no-wait")
    if status:
        yield "lost", f"the third run ended with {status}: {told[-300:]}"
    elif answer["decision"] != "unchanged" or {stage["state"] for stage in answer["stages"]} != {"Unchanged"}:
        yield "different", f"the third run: {answer['decision']}, {answer['stages']}"


# ------------------------------------------------------------------ all of them


def chosen(world: World, subjects: list[str], kills: int, only: str, chance: random.Random) -> list[Case]:
    """The named points, and random moments for the rest of `kills`; of fewer kills, half of each."""
    points = [case for case in named() if case.subject in subjects]
    random_subjects = [subject for subject in subjects if subject != "elsewhere"] or subjects
    number = kills - len(points) if kills > len(points) else kills // 2
    found = []
    for index, subject in enumerate(random_subjects):
        share = number // len(random_subjects) + (index < number % len(random_subjects))
        found += moments(subject, share, world.references[subject].seconds, chance)
    if len(points) + len(found) > kills:
        points = sorted(chance.sample(points, kills - len(found)), key=points.index)
    cases = [case for case in [*points, *found] if only in case.name]
    assert cases, f"no kill's name holds {only!r}"
    return [replace(case, at_once=case.at_once or bool(index % 2)) for index, case in enumerate(cases)]


def table(reports: list[Report]) -> str:
    names = ["kills", "survived", *TOTALS.values()]
    lines = [f"| subject | {' | '.join(names)} |", f"| --- |{' ---: |' * len(names)}"]
    for subject in [*dict.fromkeys(report.case.subject for report in reports), "all"]:
        mine = [report for report in reports if subject in (report.case.subject, "all")]
        kills = sum(len(report.case.faults) for report in mine)
        kinds = [sum(any(kind == k for k, _ in report.problems) for report in mine) for kind in TOTALS]
        values = [kills, sum(len(r.case.faults) for r in mine if not r.problems), *kinds]
        lines.append(f"| {subject} | {' | '.join(map(str, values))} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kills", nargs="?", type=int, default=KILLS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", nargs="+", choices=("digits", "long", "elsewhere"))
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    subjects, start = asked.model or ["digits", "long", "elsewhere"], time.monotonic()
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as temporary:
        world = World(Path(temporary).resolve())
        for subject in dict.fromkeys(["digits", *subjects]):
            world.references[subject] = prepare(world, subject)
            print(f"{subject}: undisturbed {world.references[subject].seconds:.1f} s", flush=True)
        reports = []
        for number, case in enumerate(chosen(world, subjects, asked.kills, asked.only, random.Random(asked.seed))):
            reports.append(survive(world, case, third=number % 4 == 0))
            print(f"{number + 1:>3} {reports[-1].told()}", flush=True)
    print(f"\nseed {asked.seed}, {(time.monotonic() - start) / 60:.0f} minutes\n\n{table(reports)}")
    return int(any(report.problems for report in reports))


if __name__ == "__main__":
    sys.exit(main())
