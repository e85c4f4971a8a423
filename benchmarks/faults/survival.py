"""One disturbance: run until it happens, run again to the end, and compare with a run that nothing disturbed."""

import fcntl
import json
import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import psutil

from faults import disks
from faults.points import ACTIONS, Case, Fault, at
from faults.world import MODEL, PATIENCE, Entries, Reference, State, World, look, rows

INJECTED = Path(__file__).parent / "injected"
ORPHANS = 15  # seconds that a process may outlive its run
FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
TOTALS = {
    "lost": "lost",
    "different": "different",
    "orphan": "orphans",
    "lock": "stale locks",
    "running": "RUNNING rows",
    "words": "not told",
}


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


def disturb(world: World, fault: Fault, whole: float, filler: Path | None) -> bool:
    """Run, and let the fault happen; returns whether the run has ended as it says.

    whole: seconds of an undisturbed run. filler: the file that makes the disk full.
    """
    mark = world.folder / "mark"
    mark.unlink(missing_ok=True)
    variables = {
        "FAULT_POINT": fault.point,
        "FAULT_WHEN": fault.when,
        "FAULT_COUNT": str(fault.count),
        "FAULT_CALLER": fault.caller,
        "FAULT_PROCESS": fault.process,
        "FAULT_SPARE": "1" if fault.spare else "",
        "FAULT_ACTION": fault.action,
        "FAULT_FILLER": str(filler or world.place / "mlflow" / "filler"),
        "FAULT_MARK": str(mark),
        "PYTHONPATH": str(INJECTED),
    }
    process = world.start("run", MODEL, **(variables if fault.point else {}))
    try:
        process.wait(PATIENCE if fault.point else fault.share * whole)
    except subprocess.TimeoutExpired:
        process.kill()
    ended = process.wait()
    harmless = fault.action == "full" and ended == 0  # a database may have room in what it has taken already
    return (ended == ACTIONS[fault.action] or harmless) and (not fault.point or mark.exists())


def said(world: World, fault: Fault) -> Iterator[tuple[str, str]]:
    """What a run that was not killed owed: one paragraph that names what has happened, and nothing left RUNNING."""
    words = (world.folder / "err").read_text().strip()
    if fault.action == "kill" or not words:  # not one: it was killed, or it went to its end
        return
    wanted = {"term": "terminated", "int": "interrupted"}.get(fault.action, r"The disk at \S+ is full.*run again")
    if "Traceback" in words or not re.search(rf"^error: .*{wanted}", words.splitlines()[-1] if words else ""):
        yield "words", f"it said: {words[-600:]}"
    if fault.action != "full":  # nothing can be noted then: the next run does it
        yield from running(world.place)


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
    with small_disk(world, case.disk) as filler, servers(world, case.up):
        before = living(folder)
        for fault in case.faults:
            if not disturb(world, fault, reference.seconds, filler):
                if not fault.point:  # the run was quicker than the undisturbed one
                    return survive(world, replace(case, faults=(at(fault.share * 0.8),)), third)
                told = (world.folder / "err").read_text()
                report.problems.append(("lost", f"it was not reached, or the run ended otherwise: {told}"))
                return report
            report.problems += said(world, fault)
        if filler:
            disks.make_room(filler)
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
def small_disk(world: World, folder: str) -> Iterator[Path | None]:
    """A disk of its own around the block, at a folder of the clone or at the one for temporary files; "" for none."""
    if not folder:
        yield None
        return
    with disks.small(world.folder / "tmp" if folder == "tmp" else (world.place / folder).resolve()) as filler:
        yield filler


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
