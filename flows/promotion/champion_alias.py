"""Moving the champion: the ledger is written first, the alias follows, by hand as by the gate.

The registered model carries the number and hash of the last line that the alias has followed (`ratchet.ledger`). So a
process that died in between is told from somebody who changed the alias outside Ratchet: the first is
completed, the second is reported and stops promotion.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flows.project import scratch
from flows.project.environment import Project
from flows.records import ledger
from flows.records.champion_state import Standing, stand
from flows.records.ledger import Conflict, Line
from flows.registry import model_registry
from flows.tracking import mlflow_runs
from flows.tracking.mlflow_runs import MlflowClient
from pipelines.errors import IntegrityError, RatchetError, RequestError

FOLLOWED = "ratchet.ledger"  # tag of the registered model: number and hash of the line that the alias has followed
REPAIR = "Restore it from a backup, or move it away and begin a new one: `ratchet promote {0} --adopt --reason ...`."
BY_HAND = "`ratchet promote {0} --adopt --reason ...` takes it as it is, `ratchet rollback {0}` puts the ledger's back"


def problem(store: MlflowClient, model: str, lines: list[Line]) -> str:
    """What is wrong between ledger and alias and is not mended in silence, or ""."""
    if where := ledger.broken(lines):
        return f"The ledger of {model} is broken: {where}"
    number, digest = _followed(store, model)
    if number > len(lines) or (number and lines[number - 1].hash != digest):
        return (
            f"The ledger of {model} is another one than its alias has followed: line {number} is missing or different"
        )
    standing, alias = stand(lines), _alias(store, model)
    if alias == standing.champion or (standing.moved is not None and number < standing.moved.sequence):
        return ""
    told = f"version {standing.champion}" if standing.champion else "none"
    return (
        f"The alias `champion` of {model} was changed outside Ratchet: MLflow says "
        f"{f'version {alias}' if alias else 'no version'}, the ledger {told}"
    )


def settle(store: MlflowClient, book: ledger.Ledger, model: str) -> Standing:
    """Where the model stands; an alias that a crash kept from following has followed.

    Raises IntegrityError for a broken ledger, or an alias that somebody else moved: nothing is promoted then.
    """
    lines = _sound(book, model)
    if found := problem(store, model, lines):
        raise IntegrityError(f"{found}.", f"{BY_HAND.format(model)}.")
    standing = stand(lines)
    if standing.last is not None:
        follow(store, standing)
    return standing


def follow(store: MlflowClient, standing: Standing) -> None:
    """Bring the alias to where the ledger says, and note that it is there. Doing it again changes nothing."""
    last = standing.last
    if last is None:
        return
    model, alias = last.model, _alias(store, last.model)
    if standing.champion is None and alias is not None:
        store.delete_registered_model_alias(model, model_registry.CHAMPION)
    elif standing.champion is not None and alias != standing.champion:
        store.set_registered_model_alias(model, model_registry.CHAMPION, str(standing.champion))
    if _followed(store, model)[0] != last.sequence:
        store.set_registered_model_tag(model, FOLLOWED, f"{last.sequence} {last.hash}")


def _alias(store: MlflowClient, model: str) -> int | None:
    champion = model_registry.champion(store, model)
    return int(champion.version) if champion else None


def _followed(store: MlflowClient, model: str) -> tuple[int, str]:
    tags = model_registry.tags(store, model)
    number, _, digest = tags.get(FOLLOWED, "0 ").partition(" ")
    return int(number), digest


def rollback(project: Project, model: str, reason: str, hold: bool) -> dict[str, Any]:
    """Make the previous champion champion again, and block the version that loses the alias (a veto).

    Raises RequestError if there is none before it, IntegrityError if it is not the model that was registered.
    """

    def line(store: MlflowClient, standing: Standing, wrong: str) -> Line:
        alias = _alias(store, model)
        seats = standing.seats if wrong else standing.seats[:-1]
        if not seats:
            raise RequestError(
                f"{model} has no earlier champion to go back to.",
                f"`ratchet history {model}` shows who was champion when.",
            )
        back, why = seats[-1], reason or wrong or "rolled back by hand"
        evidence = json.dumps({"hold": hold})
        return Line(model, 0, "rolled back", alias, alias, back.version, back.reference, why, evidence)

    return _by_hand(project, model, line)


def promote(project: Project, model: str, version: int, reason: str) -> dict[str, Any]:
    """A version is champion because a person says so; vetoes and holds are lifted. Raises RequestError."""

    def line(store: MlflowClient, standing: Standing, wrong: str) -> Line:
        if wrong:
            raise IntegrityError(f"{wrong}.", f"{BY_HAND.format(model)}.")
        return Line(model, 0, "promoted", version, standing.champion, version, version, reason)

    return _by_hand(project, model, line)


def adopt(project: Project, model: str, reason: str) -> dict[str, Any]:
    """Take an alias that was changed outside Ratchet into the ledger. Raises RequestError if there is nothing to."""

    def line(store: MlflowClient, standing: Standing, wrong: str) -> Line:
        alias = _alias(store, model)
        if alias is None or not wrong:
            held = f"version {alias}, as the ledger says" if alias else "no version"
            raise RequestError(f"There is nothing to adopt: the champion of {model} is {held}.")
        return Line(model, 0, "adopted", alias, standing.champion, alias, alias, reason)

    return _by_hand(project, model, line)


def _by_hand(project: Project, model: str, decide: Callable[[MlflowClient, Standing, str], Line]) -> dict[str, Any]:
    """Write the line of a person's decision and let the alias follow; returns what is champion now.

    decide(store, standing, what is wrong with the alias or ""). Raises RatchetError if somebody else moved the champion
    at the same time: that the attempt was made is then on record as well.
    """
    with mlflow_runs.reachable(project):
        store, book = mlflow_runs.client(project), ledger.of(project)
        seen = _sound(book, model)
        standing = stand(seen)
        wrong = problem(store, model, seen)
        if not wrong:
            follow(store, standing)  # where a crash kept it from it
        entry = decide(store, standing, wrong)
        if entry.to_version in standing.pruned:
            raise RequestError(
                f"Version {entry.to_version} of {model} was pruned: it is gone, or going.",
                f"`ratchet history {model}` shows those that it has had; the same inputs make a new version of it.",
            )
        known = _check(store, model, entry.to_version, standing)
        if entry.version == entry.to_version:
            entry = replace(entry, evidence=json.dumps(entry.facts | {"artifact_hash": known}))
        try:
            written = book.append(standing.last, entry)
        except Conflict:
            refuse(book, entry)
            raise RatchetError(
                f"Somebody else decided about {model} at the same time: nothing was moved.",
                f"Look at `ratchet history {model}`, and try again.",
            ) from None
        standing.read(written)
        follow(store, standing)
    return {
        "format": 1,
        "model": model,
        "action": written.action,
        "from": entry.from_version,
        "champion": standing.champion,
        "reason": written.reason,
    }


def _sound(book: ledger.Ledger, model: str) -> list[Line]:
    """The lines of a model. Raises IntegrityError if the chain does not hold."""
    lines = book.lines(model)
    if where := ledger.broken(lines):
        raise IntegrityError(f"The ledger of {model} is broken: {where}.", REPAIR.format(model))
    return lines


def refuse(book: ledger.Ledger, entry: Line) -> None:
    """Put on record that a decision came too late."""
    while True:
        standing = stand(book.lines(entry.model))
        now = standing.champion
        told = f"{entry.action} came too late: somebody else decided meanwhile, and the champion is version {now}"
        line = Line(entry.model, 0, "refused", entry.version, now, now, standing.reference, told)
        try:
            book.append(standing.last, line)
        except Conflict:
            continue
        return


def _check(store: MlflowClient, model: str, version: int | None, standing: Standing) -> str:
    """The version is there, and is all that was registered: the hash of it. Raises RequestError, IntegrityError."""
    found = model_registry.version(store, model, version) if version else None
    if found is None:
        raise RequestError(f"{model} has no version {version}.", f"`ratchet history {model}` shows those it has had.")
    with scratch.folder("check") as temporary:
        model_registry.fetch(store, found, temporary, standing.artifacts.get(int(found.version)))
    return str(found.tags["ratchet.artifact_hash"])
