"""What is recorded of a removal: how much, where, and which versions lost rows. Nothing of the person, and no hash."""

import json
from collections import Counter
from collections.abc import Sequence

from flows.data.versions import FORGOTTEN as TAG
from flows.forget.places import recorded_trees, registered
from flows.forget.places.registered import Lost
from flows.forget.removal import Removal
from flows.project.environment import Project
from flows.promotion import champion_alias
from flows.records.champion_state import stand
from flows.records.ledger import Conflict, Ledger, Line
from flows.registry import model_registry
from flows.tracking import mlflow_runs
from flows.tracking.mlflow_runs import MlflowClient


def counted(removals: Sequence[Removal]) -> dict[str, dict[str, int]]:
    """By place: how many things, and how many rows in them."""
    things, rows = Counter[str](), Counter[str]()
    for one in removals:
        things[one.place] += 1
        rows[one.place] += one.rows
    return {place: {"things": things[place], "rows": rows[place]} for place in sorted(things)}


def of_versions(lost: Sequence[Lost]) -> dict[str, dict[str, int]]:
    """The same of registered versions."""
    return {"registered versions": {"things": len(lost), "rows": sum(one.rows for one in lost)}} if lost else {}


def write(store: MlflowClient, book: Ledger, model: str, removals: Sequence[Removal], lost: Sequence[Lost]) -> Line:
    """The line of a removal, before anything is removed: a version that lost rows is known as one from then on."""
    while True:
        standing = stand(book.lines(model))
        registered_at_all = bool(model_registry.tags(store, model))
        if registered_at_all:  # where a crash kept the alias from the last line
            champion_alias.follow(store, book, standing.last)
        numbers = [one.number for one in lost]
        evidence = {
            "versions": numbers,
            "learned": [one.number for one in lost if one.learned],
            "artifacts": {str(one.number): one.hash for one in lost},
            "places": counted(removals) | of_versions(lost),
        }
        told = "rows of a person were removed"
        told += f"; so versions {', '.join(map(str, numbers))} cannot be verified any more" if numbers else ""
        now = standing.champion
        line = Line(model, 0, "forgotten", None, now, now, standing.reference, told, json.dumps(evidence))
        try:
            written = book.append(standing.last, line)
        except Conflict:
            continue
        if registered_at_all:
            champion_alias.follow(store, book, written)
        return written


def follow(project: Project, store: MlflowClient, book: Ledger, model: str, gone: set[str]) -> list[str]:
    """The registry follows the ledger: hashes, tags, and the commits of recorded trees; after a kill too. gone: hashes
    of files that DVC's cache lost. Returns the runs whose data lost rows."""
    standing = stand(book.lines(model))
    since = {number: line.at for number, line in standing.forgotten.items()}
    for number, at in since.items():
        _settle(store, model, number, standing.artifacts[number], at)
    newest = next((line.at for line in reversed(book.lines(model)) if line.action == "forgotten"), "")
    return _runs(project, store, model, gone, set(since), newest)


def _settle(store: MlflowClient, model: str, number: int, digest: str, at: str) -> None:
    """The tags of a version that lost rows."""
    version = model_registry.version(store, model, number)
    if version is None:
        return
    tags = {TAG: version.tags.get(TAG, at)} | registered.tags_of(store, version, digest)
    for name, value in tags.items():
        if version.tags.get(name) != value:
            store.set_model_version_tag(model, str(number), name, value)


def _runs(project: Project, store: MlflowClient, model: str, gone: set[str], numbers: set[int], at: str) -> list[str]:
    versions = [one for one in store.search_model_versions(f"name = '{model}'") if int(one.version) in numbers]
    hashes = {one.tags.get("ratchet.model_hash") for one in versions} - {None}
    found = []
    for run in mlflow_runs.every(store, model):
        tags, run_id = run.data.tags, str(run.info.run_id)
        theirs = tags.get("ratchet.model_hash") in hashes or tags.get("ratchet.data_digest") in gone
        if run.info.lifecycle_stage != "active" or not (theirs or TAG in tags):
            continue
        found.append(run_id)
        if TAG not in tags:
            store.set_tag(run_id, TAG, at)
        ref, commit = tags.get("ratchet.ref", ""), tags.get("ratchet.commit", "")
        if commit and (now := recorded_trees.commit_of(project, ref, commit)) != commit:
            store.set_tag(run_id, "ratchet.commit", now)
    return found
