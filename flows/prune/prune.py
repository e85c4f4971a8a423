"""Prune: delete old versions of a model, and the data that only they need.

First a line "pruned" in the ledger names what goes. Then the versions are deleted, the files of their models, the trees
they were made from, and their data in DVC's cache. The runs stay, with parameters and metrics, and get a tag. At last
this clone notes the line as done. After a kill, the next prune does the work of the line again.
"""

import json
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from flows.deployment import live_file
from flows.graph import dvc_locks, provenance
from flows.project import locks, whole_files
from flows.project.environment import Project
from flows.promotion import champion_alias
from flows.prune import delete, dvc_cache, inventory, references
from flows.prune.inventory import PRUNED, Inventory
from flows.prune.retention import needed
from flows.records import ledger
from flows.records.champion_state import stand
from flows.records.ledger import Conflict, Ledger, Line
from flows.registry import model_registry
from flows.tracking import mlflow_runs
from flows.tracking.mlflow_runs import MlflowClient
from pipelines.config import settings
from pipelines.errors import IntegrityError


@dataclass(frozen=True)
class Going:
    """A version that goes, and what goes with it, in the form of its line's evidence."""

    version: int
    runs: list[str]  # all that made this very model
    logged_model: str  # MLflow's id, or ""
    location: str  # where its files lie, or ""
    at: str = ""  # the time of its line; "" before it has one


@dataclass(frozen=True)
class Plan:
    """What a prune of one model will do."""

    lines: list[Line]
    going: list[Going]
    versions: list[int]  # those of them that MLflow still has, in full or in part
    kept: list[int]
    refs: dict[str, str]  # ref -> commit: trees that no run which stays was made from
    data: dvc_cache.Unneeded
    bytes: int


def prune(project: Project, model: str | None, dry_run: bool, notice: locks.Notice) -> dict[str, Any]:
    """Prune one model, or all of models/ and of the ledger; with `dry_run` only say what would go.

    Raises IntegrityError, before anything is deleted, if a ledger is broken or an alias was changed outside Ratchet.
    """
    if model is not None:
        settings.check_name(model)
    with mlflow_runs.reachable(project, "Prune again when it is back: it completes the work."):
        store, book = mlflow_runs.client(project), ledger.of(project)
        names = [model] if model is not None else sorted({*settings.models(), *_named(book)})
        for name in names:
            if not _lines(store, book, name) and not model_registry.tags(store, name):
                settings.read(name)  # its error for an unknown model suggests a similar name
        found = [_one(project, store, book, name, dry_run, notice) for name in names]
    return {"format": 1, "dry_run": dry_run, "models": found}


def _named(book: Ledger) -> list[str]:
    """The models of the ledger. Raises IntegrityError for a name that Ratchet cannot have written."""
    names = book.models()
    if wrong := [name for name in names if not settings.is_name(name)]:
        raise IntegrityError(
            f"The ledger has lines of {wrong[0][:80]!r}, which cannot be a model's name. Nothing was deleted.",
            "Ratchet did not write them: remove them from the table ratchet_ledger.",
        )
    return names


def _one(
    project: Project, store: MlflowClient, book: Ledger, model: str, dry_run: bool, notice: locks.Notice
) -> dict[str, Any]:
    with ExitStack() as stack:
        if not dry_run:
            stack.enter_context(locks.hold(project, f"model-{model}", f"ratchet prune {model}", notice=notice))
            stack.enter_context(dvc_locks.locked(project))
        plan = _plan(project, store, book, model)
        freed = plan.bytes
        left: list[str] = []
        if not dry_run:
            plan = _decide(project, store, book, model, plan)
            freed, left = _delete(project, store, model, plan)
    if plan.data.elsewhere and plan.going:
        left.append(f"DVC's cache is outside the project, in {plan.data.elsewhere}: no data in it were deleted")
    return {"model": model, "versions": plan.versions, "kept": plan.kept, "bytes": freed, "left": left}


def _lines(store: MlflowClient, book: Ledger, model: str) -> list[Line]:
    """All lines of a model. Raises IntegrityError if they are broken, or the alias disagrees with them."""
    lines, found = champion_alias.compare(store, book, model)
    if found:
        repair = champion_alias.REPAIR if ledger.broken(lines) else f"{champion_alias.BY_HAND}."
        raise IntegrityError(f"{found}. Nothing was deleted.", repair.format(model))
    return lines


# ------------------------------------------------------------------ what would go


def _plan(project: Project, store: MlflowClient, book: Ledger, model: str) -> Plan:
    """What would go now. Only reads."""
    lines = _lines(store, book, model)
    found = inventory.read(store, {*settings.models(), *_named(book), model})
    versions = found.versions[model]
    used = model_registry.aliased(store, model) | live_file.versions(project, model)
    stays = needed(lines, versions, used, found.unfinished(model))
    begun = _begun(project, lines, found, model, stays)
    others = set(versions) - stays - {one.version for one in begun}
    going = [*begun, *(_going(store, found, model, number) for number in others)]
    going.sort(key=lambda one: one.version)
    leaving = {one.version for one in going}
    parted = found.part(model, leaving, {run_id for one in going for run_id in one.runs})
    refs = _refs(project, model, parted)
    data = dvc_cache.Unneeded()
    if going:  # else there is nothing to look for, and looking costs seconds
        kept = inventory.needs(store, parted) | references.named(project, refs)
        data = dvc_cache.unneeded(project, inventory.outputs(store, parted.dropped), kept)
    return Plan(
        lines=lines,
        going=going,
        versions=[one.version for one in going if one.version in versions or not _tagged(found, model, one)],
        kept=sorted(set(versions) - leaving),
        refs=refs,
        data=data,
        bytes=data.bytes() + sum(delete.size(one.location) for one in going),
    )


def _going(store: MlflowClient, found: Inventory, model: str, number: int) -> Going:
    logged_model, location = delete.files(store, found.versions[model][number])
    return Going(number, found.makers(model, number), logged_model, location)


def _begun(project: Project, lines: list[Line], found: Inventory, model: str, stays: set[int]) -> list[Going]:
    """The versions in lines that this clone has not noted as done."""
    done, going = _done(project, model, lines), []
    for line in lines:
        if line.action != "pruned" or line.sequence <= done:
            continue
        for content in line.facts["gone"]:
            one = Going(**content | {"at": line.at})
            there = found.versions[model].get(one.version)
            if there is None or (one.version not in stays and _as_old(there, line)):
                going.append(one)
    return going


def _as_old(version: model_registry.ModelVersion, line: Line) -> bool:
    """Whether a version existed when a line named it: a new registry counts from 1 again."""
    return bool(version.creation_timestamp <= datetime.fromisoformat(line.at).timestamp() * 1000)


def _tagged(found: Inventory, model: str, one: Going) -> bool:
    """Whether all of its runs say that it was pruned."""
    runs = [found.runs[model][run_id] for run_id in one.runs if run_id in found.runs[model]]
    return all(run.data.tags.get(PRUNED, "") >= one.at for run in runs)


def _refs(project: Project, model: str, parted: inventory.Parted) -> dict[str, str]:
    """The refs of trees that no other run needs than those whose data go, and their commits."""
    tags = [run.data.tags for run in parted.kept]
    needs = {tag.get(key) for tag in tags for key in ("ratchet.ref", "ratchet.commit")}
    there = provenance.trees(project, model)
    wanted = [(run.data.tags.get("ratchet.ref", ""), run.data.tags.get("ratchet.commit", "")) for run in parted.dropped]
    return {ref: commit for ref, commit in wanted if there.get(ref) == commit and not {ref, commit} & needs}


# ------------------------------------------------------------------ letting it go


def _decide(project: Project, store: MlflowClient, book: Ledger, model: str, plan: Plan) -> Plan:
    """Write into the ledger what goes; returns the plan with the new lines."""
    while fresh := [one for one in plan.going if not one.at]:
        standing = stand(plan.lines)
        champion_alias.follow(store, book, standing.last)  # where a crash kept the alias from it
        numbers = [one.version for one in fresh]
        evidence = {"versions": numbers, "bytes": plan.bytes, "gone": [asdict(one) for one in fresh]}
        told = f"pruned version{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
        now = standing.champion
        line = Line(model, 0, "pruned", None, now, now, standing.reference, told, json.dumps(evidence))
        try:
            written = book.append(standing.last, line)
        except Conflict:  # a decision came between: an unneeded version may be needed now
            plan = _plan(project, store, book, model)
            continue
        champion_alias.follow(store, book, written)
        going = [one if one.at else replace(one, at=written.at) for one in plan.going]
        return replace(plan, lines=[*plan.lines, written], going=going)
    return plan


def _delete(project: Project, store: MlflowClient, model: str, plan: Plan) -> tuple[int, list[str]]:
    """Delete all that a plan names; returns the freed bytes, and in words what could not be deleted.

    Versions go first, so that nobody can load one without its files. What a second attempt needs goes last: the lists
    of folders in the cache, then the note of this clone.
    """
    for one in plan.going:
        if model_registry.version(store, model, one.version) is not None:
            store.delete_model_version(model, str(one.version))
    freed, left = 0, []
    for one in plan.going:
        size, told = delete.discard(store, one.logged_model, one.location)
        freed += size
        left += [f"version {one.version}: {told}"] if told else []
    for ref, commit in plan.refs.items():
        provenance.forget(project, ref, commit)
    freed += plan.data.remove()
    for one in plan.going:
        for run_id in one.runs:
            _tag(store, run_id, one.at)
    _note(project, model, plan.lines)
    return freed, left


def _tag(store: MlflowClient, run_id: str, at: str) -> None:
    """Tag a run with the time when its version was pruned, unless a person has deleted the run."""
    run = inventory.run(store, run_id)
    if run is not None and run.data.tags.get(PRUNED, "") < at:
        store.set_tag(run_id, PRUNED, at)


def _path(project: Project, model: str) -> Path:
    return project.state / f"pruned-{model}.json"


def _done(project: Project, model: str, lines: list[Line]) -> int:
    """The number of the last line that this clone has noted as done; 0 if there is none in this ledger."""
    try:
        noted = json.loads(_path(project, model).read_text(encoding="utf-8"))
        return int(noted["line"]) if lines[noted["line"] - 1].hash == noted["hash"] else 0
    except (OSError, ValueError, KeyError, IndexError):
        return 0


def _note(project: Project, model: str, lines: list[Line]) -> None:
    pruned = [line for line in lines if line.action == "pruned"]
    if not pruned or _done(project, model, lines) == pruned[-1].sequence:
        return
    content = {"format": 1, "line": pruned[-1].sequence, "hash": pruned[-1].hash}
    whole_files.write(_path(project, model), json.dumps(content))
