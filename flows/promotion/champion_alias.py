"""Moving the champion: the ledger is written first, then the alias follows. People and the gate do it in the same way.

A tag of the registered model has the number and hash of the last line that the alias followed (`ratchet.ledger`). It
distinguishes two cases: if a process died in between, its move is completed; if somebody changed the alias outside
Ratchet, the change is reported and stops promotion.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from flows.access import persons
from flows.access.persons import Person
from flows.project import scratch
from flows.project.environment import Project
from flows.promotion import followed as following
from flows.promotion import on_trial, waiting
from flows.promotion.followed import FOLLOWED as FOLLOWED
from flows.records import ledger
from flows.records.champion_state import Standing, stand
from flows.records.ledger import Conflict, Line
from flows.records.persons.approvals import ASKED
from flows.registry import model_registry
from flows.tracking import mlflow_runs
from flows.tracking.mlflow_runs import MlflowClient
from pipelines.config import settings
from pipelines.errors import IntegrityError, RatchetError, RequestError
from pipelines.sections.promote import Approval, Promote

REPAIR = "Restore it from a backup, or move it away and start a new one: `ratchet promote {0} --adopt --reason ...`."
BY_HAND = "Accept the alias with `ratchet promote {0} --adopt --reason ...`, or undo it with `ratchet rollback {0}`"


def compare(store: MlflowClient, book: ledger.Ledger, model: str) -> tuple[list[Line], str]:
    """The lines of a model, and a disagreement with the alias that cannot be repaired automatically, or "".

    Others may decide meanwhile. The order of the reads matters: tag, alias, lines. Followers take turns (`follow`), so
    the alias is moved as a line says before the tag names that line, and later only as later lines say. If the tag
    names line t, the alias that is read after it is that of a line from t on, which the last read contains. So an alias
    that is not the newest champion's, while no line after t moves it, was changed by hand.
    """
    followed, alias = _followed(store, model), _alias(store, model)
    lines = book.lines(model)
    return lines, following.problem(model, followed, alias, lines)


def of_ledger(store: MlflowClient, model: str, lines: list[Line]) -> str:
    """Why the lines of a model cannot be believed, or "". An alias that was changed by hand is no reason."""
    return following.untrue(model, _followed(store, model), lines)


def settle(store: MlflowClient, book: ledger.Ledger, model: str) -> Standing:
    """The model's state by its ledger. If a crash kept the alias from following, it follows now.

    Raises IntegrityError for a broken ledger, or an alias that was changed outside Ratchet: then nothing is promoted.
    """
    lines, found = _sound(store, book, model)
    if found:
        raise IntegrityError(f"{found}.", f"{BY_HAND.format(model)}.")
    standing = stand(lines)
    follow(store, book, standing.last)
    return standing


def follow(store: MlflowClient, book: ledger.Ledger, last: Line | None) -> None:
    """Move the alias as the ledger says, at least up to the line `last`, and note it. Doing it again changes nothing.

    One process at a time, and each reads the lines anew: otherwise a slow one could move the alias back, to the
    champion of an older line. An alias that has followed is left as it is: if it is another one, a person moved it.
    """
    if last is None or _followed(store, last.model)[0] >= last.sequence:
        return
    model = last.model
    with book.alone(model) as lines:
        standing, number = stand(lines), _followed(store, model)[0]
        if standing.moved is not None and number < standing.moved.sequence:
            _move(store, model, standing.champion)
        if number < (newest := lines[-1]).sequence:
            store.set_registered_model_tag(model, FOLLOWED, f"{newest.sequence} {newest.hash}")


def _move(store: MlflowClient, model: str, champion: int | None) -> None:
    alias = _alias(store, model)
    if champion is None and alias is not None:
        store.delete_registered_model_alias(model, model_registry.CHAMPION)
    elif champion is not None and alias != champion:
        store.set_registered_model_alias(model, model_registry.CHAMPION, str(champion))


def _alias(store: MlflowClient, model: str) -> int | None:
    champion = model_registry.champion(store, model)
    return int(champion.version) if champion else None


def _followed(store: MlflowClient, model: str) -> tuple[int, str]:
    return following.parsed(model_registry.tags(store, model).get(FOLLOWED, ""))


def rollback(project: Project, model: str, reason: str, hold: bool) -> dict[str, Any]:
    """Make the previous champion champion again, and block the version that loses the alias (a veto).

    Raises RequestError if there is no earlier champion, IntegrityError if its files have changed.
    """

    def line(store: MlflowClient, standing: Standing, wrong: str) -> Line:
        left = _alias(store, model) if wrong else standing.champion
        seats = standing.seats if wrong else standing.seats[:-1]
        if not seats:
            raise RequestError(
                f"{model} has no earlier champion to go back to.",
                f"{settings.suggestion(model)}`ratchet history {model}` shows all champions.",
            )
        back, why = seats[-1], reason or wrong or "rolled back by hand"
        evidence = json.dumps({"hold": hold})
        return Line(model, 0, "rolled back", left, left, back.version, back.reference, why, evidence)

    return _by_hand(project, model, line)


def promote(
    project: Project, model: str, version: int, reason: str, person: Person | None = None, now: datetime | None = None
) -> dict[str, Any]:
    """Make a version champion by a person's decision; this lifts vetoes and holds. Raises RequestError.

    Where `promote: approval:` asks for approvals, the version waits for them instead (`action` is "asked").
    person: who asks; by default whoever is at the terminal.
    """
    rules = approval_of(model)
    asks = (person or persons.here(project.state)) if rules else None

    def line(store: MlflowClient, standing: Standing, wrong: str) -> Line:
        if wrong:
            raise IntegrityError(f"{wrong}.", f"{BY_HAND.format(model)}.")
        evidence = json.dumps(on_trial.after_promotion_of(model))
        entry = Line(model, 0, "promoted", version, standing.champion, version, version, reason, evidence)
        if asks is None:
            return entry
        if version == standing.champion and not standing.held:
            raise RequestError(f"Version {version} of {model} is the champion already.")
        if version in standing.approvals.waiting:
            raise RequestError(
                f"Version {version} of {model} waits for approval already.",
                f"`ratchet approve {model} {version}` gives it.",
            )
        return waiting.by_hand(rules, standing, entry, asks, now or datetime.now(UTC))

    return _by_hand(project, model, line)


def approval_of(model: str) -> Approval | None:
    """What today's YAML asks of persons; None also without a YAML or this section. Raises SettingsError if it cannot be
    read."""
    if model not in settings.models() or "promote" not in settings.read(model):
        return None
    return settings.load(model, "promote", Promote).approval


def adopt(project: Project, model: str, reason: str) -> dict[str, Any]:
    """Write an alias that was changed outside Ratchet into the ledger. Raises RequestError if it was not changed, or if
    approvals are asked for: only a ledger without any line is begun in this way."""
    rules = approval_of(model)

    def line(store: MlflowClient, standing: Standing, wrong: str) -> Line:
        alias = _alias(store, model)
        if alias is not None and wrong and rules and standing.last is not None:
            back = f"`ratchet rollback {model}`" if standing.champion else "deleting the alias in MLflow"
            raise RequestError(
                f"Nobody has approved version {alias} of {model}, so its alias cannot be taken over.",
                f"Undo it by {back}; then `ratchet promote {model} {alias} --reason WHY` asks for the approvals.",
            )
        if alias is None or not wrong:
            held = f"version {alias}, as the ledger says" if alias else "no version"
            raise RequestError(f"There is nothing to adopt: the champion of {model} is {held}.")
        return Line(model, 0, "adopted", alias, standing.champion, alias, alias, reason)

    return _by_hand(project, model, line)


def _by_hand(project: Project, model: str, decide: Callable[[MlflowClient, Standing, str], Line]) -> dict[str, Any]:
    """Write the line of a person's decision and let the alias follow; returns the new champion.

    decide(store, standing, problem of the alias or ""). Raises RatchetError if somebody else moved the champion at the
    same time; the ledger then records the attempt too.
    """
    with mlflow_runs.reachable(project):
        store, book = mlflow_runs.client(project), ledger.of(project)
        lines, wrong = _sound(store, book, model)
        standing = stand(lines)
        if not wrong:
            follow(store, book, standing.last)  # where a crash kept it from it
        entry = decide(store, standing, wrong)
        wanted = entry.version if entry.action == ASKED else entry.to_version
        if wanted in standing.pruned:
            raise RequestError(
                f"Version {wanted} of {model} was pruned, so its files are deleted or being deleted.",
                f"`ratchet history {model}` shows all versions. A run on the same inputs makes it again.",
            )
        known = check(store, model, wanted, standing)
        if entry.version == wanted:
            entry = replace(entry, evidence=json.dumps(entry.facts | {"artifact_hash": known}))
        try:
            written = book.append(standing.last, entry)
        except Conflict:
            refuse(book, entry)
            raise RatchetError(
                f"Somebody else decided about {model} at the same time: nothing was changed.",
                f"Check `ratchet history {model}`, and try again.",
            ) from None
        standing.read(written)
        follow(store, book, written)
    return {
        "format": 1,
        "model": model,
        "action": written.action,
        "from": entry.from_version,
        "champion": standing.champion,
        "reason": written.reason,
    }


def _sound(store: MlflowClient, book: ledger.Ledger, model: str) -> tuple[list[Line], str]:
    """As compare(). Raises IntegrityError if the chain of the lines is broken."""
    lines, found = compare(store, book, model)
    if where := ledger.broken(lines):
        raise IntegrityError(f"The ledger of {model} is broken: {where}.", REPAIR.format(model))
    return lines, found


def refuse(book: ledger.Ledger, entry: Line) -> None:
    """Record that a decision came too late."""
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


def check(store: MlflowClient, model: str, version: int | None, standing: Standing) -> str:
    """The hash of an existing, unchanged version. Raises RequestError if it is missing, IntegrityError if changed."""
    found = model_registry.version(store, model, version) if version else None
    if found is None:
        raise RequestError(
            f"{model} has no version {version}.",
            f"{settings.suggestion(model)}`ratchet history {model}` shows all versions.",
        )
    with scratch.folder("check") as temporary:
        model_registry.fetch(store, found, temporary, standing.artifacts.get(int(found.version)))
    return str(found.tags["ratchet.artifact_hash"])
