"""Approving: what persons say about a version that waits for them, and what follows from it.

Each approval is a line of the ledger. With the last one the version is promoted, by a line of its own; if a process
dies in between, the next run, tick or approval of the model completes it (`complete`). What waits too long expires.
"""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from flows.access.persons import Person
from flows.project.environment import Project
from flows.promotion import champion_alias, noting, waiting
from flows.records import ledger
from flows.records.champion_state import Standing
from flows.records.ledger import Conflict, Ledger, Line
from flows.records.persons.approvals import APPROVED, ASKED, EXPIRED, Wait
from flows.registry import model_registry
from flows.tracking import mlflow_runs
from flows.tracking.mlflow_runs import MlflowClient
from pipelines.errors import RatchetError, RequestError

ATTEMPTS = 20  # how often a line is written again because somebody else wrote one meanwhile


def complete(store: MlflowClient, book: Ledger, model: str, now: datetime) -> list[Line]:
    """Promote what has all its approvals, and let expire what has waited too long; returns the lines written.

    Raises IntegrityError if the ledger is broken, the alias was changed outside Ratchet, or the files of a version that
    was approved have changed.
    """
    done: list[Line] = []
    while True:
        standing = champion_alias.settle(store, book, model)
        ripe = [wait for wait in standing.approvals.waiting.values() if wait.enough or wait.expired(now)]
        if not ripe:
            return done
        line = _promotion(ripe[0], standing) if ripe[0].enough else _expiry(ripe[0], standing)
        if ripe[0].enough:
            known = champion_alias.check(store, model, ripe[0].version, standing)
            line = replace(line, evidence=json.dumps(line.facts | {"artifact_hash": known}, allow_nan=False))
        try:
            written = book.append(standing.last, line)
        except Conflict:
            continue
        champion_alias.follow(store, book, written)
        _note(store, ripe[0], written)
        done.append(written)


def _promotion(wait: Wait, standing: Standing) -> Line:
    reason, facts = waiting.released(wait.line)
    by_hand = wait.line.action == ASKED
    if by_hand:
        facts.pop("waited")
    facts |= {"approval_of": wait.line.sequence, "approved_by": wait.names}
    last = next(one for one in reversed(wait.given) if one.name in wait.names)
    better = by_hand or facts.get("better")
    return replace(
        wait.line,
        action="promoted" if by_hand else "accepted",
        from_version=standing.champion,
        to_version=wait.version,
        reference=wait.version if better else standing.reference,
        reason=f"{reason}; approved by {', '.join(wait.names)}",
        evidence=json.dumps(facts, allow_nan=False),
        actor=f"person {last.name}",
    )


def _expiry(wait: Wait, standing: Standing) -> Line:
    names = f"only {', '.join(wait.names)} approved" if wait.names else "nobody approved"
    said = f"version {wait.version} has expired: {names} until {wait.rules['until'][:16].replace('T', ' ')} UTC"
    now, facts = standing.champion, {"approval_of": wait.line.sequence}
    return Line(wait.line.model, 0, EXPIRED, wait.version, now, now, standing.reference, said, json.dumps(facts))


def _note(store: MlflowClient, wait: Wait, line: Line) -> None:
    """In MLflow. A version that was never judged, or a line that is no verdict, gets its words alone."""
    found = model_registry.version(store, line.model, wait.version)
    if found is None:
        return
    if line.action in ("accepted", "rejected") and line.facts.get("run_id"):
        noting.note(store, found, line)
    else:
        noting.words(store, found, line)


def approve(
    project: Project, model: str, version: int | None, reason: str, person: Person, now: datetime | None = None
) -> dict[str, Any]:
    """A person's approval of a version that waits, and its promotion if it is the last one that was missing.

    version: None where only one waits. Raises RequestError if none waits, the person may not approve it or has done so,
    or `promote: approval:` has changed since it waits.
    """
    person.check("approve a version")
    now = now or datetime.now(UTC)

    def line(standing: Standing, wait: Wait) -> Line:
        _check_person(model, wait, person)
        _check_rules(model, wait)
        facts = {"approval_of": wait.line.sequence, "name": person.name, "how": person.how}
        return _word(standing, wait, APPROVED, reason or "approved", person, facts)

    return _said(project, model, version, line, person, now)


def reject(
    project: Project, model: str, version: int | None, reason: str, person: Person, now: datetime | None = None
) -> dict[str, Any]:
    """A person ends the waiting of a version: the same version is not promoted by a run again. As approve()."""
    person.check("reject a version")
    if not reason.strip():
        raise RequestError(f"Rejecting a version of {model} needs a reason for the ledger.", "Add --reason '...'.")
    now = now or datetime.now(UTC)

    def line(standing: Standing, wait: Wait) -> Line:
        if person.name not in wait.rules["by"]:
            raise _stranger(model, wait, person, "reject")
        verdict = standing.verdicts.get(wait.version)
        facts = (waiting.released(wait.line)[1]) | {"approval_of": wait.line.sequence, "rejected_by": person.name}
        told = _word(standing, wait, "rejected", f"{person.name} rejects it: {reason}", person, facts)
        return replace(told, decision_key=verdict.decision_key if verdict else "")

    return _said(project, model, version, line, person, now)


def _word(standing: Standing, wait: Wait, action: str, reason: str, person: Person, facts: dict[str, Any]) -> Line:
    return standing.unmoved(wait.line.model, action, wait.version, reason, facts, f"person {person.name}")


def _said(
    project: Project, model: str, version: int | None, line: Any, person: Person, now: datetime
) -> dict[str, Any]:
    """Write what a person says, and let follow what follows. line(standing, wait) gives the line."""
    with mlflow_runs.reachable(project):
        store, book = mlflow_runs.client(project), ledger.of(project)
        for _ in range(ATTEMPTS):
            before = complete(store, book, model, now)
            standing = champion_alias.settle(store, book, model)
            wait = _chosen(model, standing, version, before)
            try:
                written = book.append(standing.last, line(standing, wait))
            except Conflict:
                continue
            champion_alias.follow(store, book, written)
            standing.read(written)
            if written.action == "rejected":
                _note(store, wait, written)
                return _answer(written, wait, standing, person)
            after = standing.approvals.waiting[wait.version]
            moves = [one for one in complete(store, book, model, now) if one.version == wait.version]
            return _answer(moves[-1] if moves else written, after, champion_alias.settle(store, book, model), person)
    raise RatchetError(f"Others decided about {model} {ATTEMPTS} times meanwhile: nothing was changed.", "Try again.")


def _chosen(model: str, standing: Standing, version: int | None, before: list[Line]) -> Wait:
    """The version that is meant. before: what was due and has just been written."""
    found = standing.approvals.waiting
    ended = next((line for line in reversed(before) if version in (None, line.version)), None)
    if version is None and len(found) == 1:
        return next(iter(found.values()))
    if version in found:
        return found[version]
    if version is None and found:
        numbers = ", ".join(map(str, sorted(found)))
        raise RequestError(f"Several versions of {model} wait: {numbers}.", "Say which one.")
    what = f"Version {version} of {model} does not wait" if version else f"No version of {model} waits"
    why = f": {ended.reason}" if ended else " for an approval"
    raise RequestError(f"{what}{why}.", f"`ratchet history {model}` shows every decision.")


def _check_person(model: str, wait: Wait, person: Person) -> None:
    if person.name not in wait.rules["by"]:
        raise _stranger(model, wait, person, "approve")
    if person.name in wait.names:
        others = " or ".join(wait.others) or "nobody else"
        raise RequestError(
            f"{person.name} has approved version {wait.version} of {model} already.",
            f"It still waits for {others}.",
        )


def _stranger(model: str, wait: Wait, person: Person, what: str) -> RequestError:
    by = "the token" if person.how == "token" else "the Unix user"
    return RequestError(
        f"{person.name}, known by {by}, may not {what} version {wait.version} of {model}.",
        f"{' or '.join(wait.rules['by'])} may, as that Unix user or with a token (RATCHET_TOKEN or --token-file).",
    )


def _check_rules(model: str, wait: Wait) -> None:
    today, then = champion_alias.approval_of(model), wait.rules
    if today is None or (today.by, today.of, today.not_own) != (then["by"], then["of"], then["not_own"]):
        raise RequestError(
            f"`promote: approval:` of {model} has changed since version {wait.version} began to wait.",
            f"`ratchet run {model}` judges it by the rules of today.",
        )


def _answer(line: Line, wait: Wait, standing: Standing, person: Person) -> dict[str, Any]:
    return {
        "format": 1,
        "model": line.model,
        "action": line.action,
        "version": wait.version,
        "person": person.name,
        "from": line.from_version,
        "champion": standing.champion,
        "reason": line.reason,
        "approval": content(wait),
    }


def content(wait: Wait) -> dict[str, Any]:
    """How far the approvals of a version are, for status, pages and hooks."""
    about = {key: wait.rules[key] for key in ("by", "of", "until", "started_by")}
    about |= {"version": wait.version, "since": wait.line.at, "line": wait.line.sequence, "reason": wait.line.reason}
    return about | {"approved": wait.names, "missing": wait.missing, "others": wait.others}
