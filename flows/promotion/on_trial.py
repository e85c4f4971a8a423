"""On trial: a candidate that the gate accepts answers beside the champion first, if the YAML has a shadow or a canary.

The champion stays meanwhile. flows/rollout ends a trial; so does whoever moves the champion, and a newer candidate
that the gate accepts. Without a champion there is nothing to compare with.
"""

import json
from dataclasses import replace
from typing import Any, Literal

from flows.promotion import waiting
from flows.records.beside import TRIAL, Beside
from flows.records.champion_state import Standing
from flows.records.ledger import Line
from pipelines.config import settings
from pipelines.errors import RequestError
from pipelines.sections.serve import Serve

Role = Literal["shadow", "canary"]
HOW = {"shadow": "answers the same rows unseen", "canary": "answers some callers"}


def role(serve: Serve) -> Role | None:
    """How a candidate is tried first; None where it becomes champion at once."""
    return "shadow" if serve.shadow else "canary" if serve.canary else None


def after(serve: Serve, done: Role) -> Role | None:
    """What comes after a trial that a candidate has passed."""
    return "canary" if done == "shadow" and serve.canary else None


def begun(serve: Serve, standing: Standing, line: Line) -> Line:
    """The line that is written instead of a promotion: the trial, or the same line. line: `accepted`, unwritten."""
    first = role(serve)
    if line.action != "accepted" or first is None or standing.champion in (None, line.version):
        return line
    return entry(line, first, _replaced(standing.trials.candidate, line.version), line.reason, standing)


def entry(line: Line, first: Role, why: str, accepted_because: str, standing: Standing) -> Line:
    """A line by which a version is on trial. line: with the evidence of the gate; why: "" or more of the reason."""
    facts = line.facts | {"role": first, "accepted_because": accepted_because}
    reason = f"version {line.version} {HOW[first]} before it becomes champion"
    return replace(
        line,
        action=TRIAL,
        from_version=standing.champion,
        to_version=standing.champion,
        reference=standing.reference,
        reason=f"{reason}; {why or f'the gate accepts it: {accepted_because}'}",
        evidence=json.dumps(facts, allow_nan=False),
    )


def _replaced(candidate: Beside | None, version: int | None) -> str:
    if candidate is None or candidate.version == version:
        return ""
    return f"it replaces version {candidate.version}, whose trial ends undecided"


def passed(line: Line) -> tuple[str, dict[str, Any]]:
    """The gate's reason and evidence, for the line that promotes. line: the one by which the version is on trial."""
    facts = line.facts
    facts.pop("role")
    waited = facts.pop("waited", line.sequence)
    return facts.pop("accepted_because"), facts | {"waited": waited}


def advice(model: str) -> str:
    """Where a person sees how a trial does."""
    return f"`ratchet watch {model}` shows how far the trial is, and ends it when the live rows decide"


def released(line: Line) -> tuple[str, dict[str, Any]]:
    """Reason and evidence of the line that promotes a version that waits or is on trial. line: that by which it is."""
    return passed(line) if line.action == TRIAL else waiting.released(line)


def after_promotion(serve: Serve) -> dict[str, int]:
    """What the line of a promotion says of the champion before: for how many rows it answers on, unseen."""
    return {"before_rows": serve.before_rows} if serve.rollback == "automatic" else {}


def after_promotion_of(model: str) -> dict[str, int]:
    """The same by today's YAML; nothing if that cannot be read, since a person's promotion does not depend on it."""
    try:
        return after_promotion(settings.parse(model, "serve", settings.read(model).get("serve", {}), Serve))
    except RequestError:
        return {}
