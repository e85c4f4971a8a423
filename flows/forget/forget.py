"""Forget: what is kept of a person goes, and it is recorded that it went.

First everything is looked for. Then a line "forgotten" in the ledger says which versions lose rows. Then all goes, the
sources last: until then a second attempt finds the same rows, so after a kill it does the rest.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from flows.deployment import deploy
from flows.forget import leftovers, marks, source_rows, table_files, wanted
from flows.forget.places import answered, data_versions, databases, recorded_trees, registered, state_files
from flows.forget.places.registered import Lost
from flows.forget.removal import Removal, shown
from flows.forget.source_rows import Held
from flows.forget.traces import Traces
from flows.forget.wanted import Wanted
from flows.graph import dvc_locks
from flows.project import locks, scratch
from flows.project.environment import Project
from flows.project.plain_words import many
from flows.records import ledger
from flows.records.champion_state import stand
from flows.tracking import mlflow_runs
from flows.tracking.mlflow_runs import MlflowClient
from pipelines import model_file
from pipelines.errors import RatchetError, RequestError
from pipelines.model_file import Declaration


@dataclass(frozen=True)
class Request:
    """keys, columns: whose rows (flows/forget/wanted.py). files: tables of the user's own that lose the rows too."""

    model: str
    keys: Sequence[str] = ()
    columns: Sequence[str] = ()
    files: Sequence[Path] = ()


@dataclass
class Plan:
    """What will go. gone: hashes of files that DVC's cache loses. left: in words, what cannot go. unwritten: files of
    the source that cannot be written without the rows, so that the next run would bring them back."""

    held: Held
    removals: list[Removal] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    left: list[str] = field(default_factory=list)
    unwritten: list[str] = field(default_factory=list)


def forget(project: Project, request: Request, dry_run: bool, notice: locks.Notice) -> dict[str, Any]:
    """Remove what is kept of some people; with `dry_run` only say what would go. Returns what `--json` prints.

    Raises RequestError for a key that the model cannot have, and if nothing is kept of it: then nothing was changed.
    """
    declared = model_file.check(request.model)
    who = wanted.of(declared, request.keys, request.columns)
    with ExitStack() as stack:
        stack.enter_context(mlflow_runs.reachable(project, "Forget again when it is back: it completes the work."))
        store = mlflow_runs.client(project)
        if not dry_run:
            what = f"ratchet forget {request.model}"
            stack.enter_context(locks.hold(project, f"model-{request.model}", what, notice=notice))
            stack.enter_context(dvc_locks.locked(project))
        temporary = stack.enter_context(scratch.folder("forget"))
        notice("looking for rows")
        plan = _plan(project, store, declared, who, request, temporary)
        if not plan.removals and not plan.lost:
            whom = "this key" if len(who.keys) == 1 else "these keys"
            raise RequestError(
                f"{request.model} keeps nothing of {whom}, so nothing was changed.",
                "Write it as the source has it, or name a column: --column NAME=VALUE.",
            )
        line = None if dry_run else _remove(project, store, declared, plan, notice)
    live = {} if dry_run else _live(project, request.model)
    return _told(project, request.model, len(who.keys), plan, line, live, dry_run)


def _plan(
    project: Project, store: MlflowClient, declared: Declaration, who: Wanted, request: Request, temporary: Path
) -> Plan:
    """Look everywhere. Nothing is changed. The order is that of the removal: what the rest is found by goes last."""
    model, kept = declared.model, data_versions.versions(project, declared)
    held = source_rows.look(project, declared, who, kept)
    traces = Traces(held.row_ids | held.values)
    plan = Plan(held, answered.look(project, declared, who, held))
    if not project.tracking:
        plan.lost, away = registered.versions(store, model, held, traces, temporary)
        plan.removals += registered.runs(project, store, model, traces)
        plan.left += [f"version {one.version}: its files are not on this machine" for one in away]
    numbers = [one.number for one in plan.lost]
    plan.removals += _once(
        [*state_files.look(project, model, traces), *state_files.of_versions(project, model, numbers)]
    )
    of_runs, in_tables = databases.look(project, traces)
    of_git, in_commits = recorded_trees.look(project, model, traces)
    of_data, plan.gone = data_versions.look(project, declared, traces, last=kept)
    plan.removals += [*of_runs, *of_git, *of_data, *_of_files(project, declared, who, held, request.files)]
    plan.left += [*in_tables, *in_commits]
    plan.removals += _of_sources(project, declared, who, held, traces, plan)
    plan.left += leftovers.look(project, declared, held, traces, plan)
    return plan


def _once(removals: list[Removal]) -> list[Removal]:
    """Without a file of a folder that goes as a whole."""
    whole = [one.what for one in removals]
    return [one for one in removals if not any(one.what.startswith(f"{folder}/") for folder in whole)]


def _of_files(project: Project, declared: Declaration, who: Wanted, held: Held, files: Sequence[Path]) -> list[Removal]:
    """Tables of the user's own, as they are named. Raises RequestError for one that cannot be rewritten."""
    look, found = table_files.in_any(declared, who, held), []
    for path in files:
        if not path.is_file() or not table_files.is_table(path):
            raise RequestError(f"{path} is no table that rows can be taken out of.", "Name CSV, JSON lines or Parquet.")
        if count := int(look(path)[0].sum()):
            found.append(
                Removal("files", shown(project, path), count, partial(table_files.take_out, path, declared, look))
            )
    return found


def _of_sources(
    project: Project, declared: Declaration, who: Wanted, held: Held, traces: Traces, plan: Plan
) -> list[Removal]:
    """The pin, and then the files as they arrived."""
    found, model = [], declared.model
    pinned = [path for path in source_rows.pinned(project, model) if path in held.files]
    arrived = [path for path in source_rows.files(project, declared) if path in held.files]
    if pinned or arrived or any(traces.in_file(path) for path in data_versions.pins(project, model)):
        rows = sum(held.files[path] for path in pinned)
        found.append(Removal("pinned files", f"data/{model}/source", rows, lambda: data_versions.unpin(project, model)))
    for path in arrived:
        if not table_files.can(path):
            file, kept = shown(project, path), many(held.files[path], "row")
            told = "write it anew without them before the next run, which would bring them back"
            plan.left.append(f"{file} keeps {kept}, because Ratchet cannot write such a file: {told}")
            plan.unwritten.append(file)
            continue
        look = table_files.in_source(source_rows.folder(project, declared), declared, who, held)
        found.append(
            Removal(
                "sources",
                shown(project, path),
                held.files[path],
                partial(table_files.take_out, path, declared, look),
            )
        )
    return found


def _remove(project: Project, store: MlflowClient, declared: Declaration, plan: Plan, notice: locks.Notice) -> int:
    """All of a plan; returns the number of the line in the ledger."""
    book, model = ledger.of(project), declared.model
    line = marks.write(store, book, model, plan.removals, plan.lost)
    for lost in plan.lost:
        notice(f"takes rows out of version {lost.number}")
        lost.replace()
    marks.follow(project, store, book, model, plan.gone)
    place = ""
    for one in plan.removals:
        if one.place != place:
            notice(f"{one.place}")
        place = one.place
        one.do()
    databases.clean(project)
    marks.follow(project, store, book, model, plan.gone)
    return line.sequence


def _live(project: Project, model: str) -> dict[str, Any]:
    """What a server answers with afterwards: the folder of its version is made anew."""
    try:
        return deploy.now(project, model)
    except RatchetError as error:
        return {"version": None, "problem": str(error)}


def _told(
    project: Project, model: str, keys: int, plan: Plan, line: int | None, live: dict[str, Any], dry_run: bool
) -> dict[str, Any]:
    champion = stand(ledger.of(project).lines(model)).champion
    learned = [one.number for one in plan.lost if one.learned]
    return {
        "format": 1,
        "model": model,
        "dry_run": dry_run,
        "keys": keys,
        "rows": len(plan.held.row_ids),
        "places": marks.counted(plan.removals) | marks.of_versions(plan.lost),
        "changes": [{"place": one.place, "what": one.what, "rows": one.rows} for one in plan.removals],
        "versions": [one.number for one in plan.lost],
        "learned": learned,
        "champion": champion,
        "champion_learned": champion in learned,
        "left": plan.left,
        "unwritten": plan.unwritten,
        "line": line,
        "live": live,
    }
