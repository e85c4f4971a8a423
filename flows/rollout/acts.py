"""Acts: the lines by which a trial ends, and what follows a line: alias, MLflow's tags, and what is live here.

A line is only written if the model stands as it did when the live rows were judged. If a process dies after its line,
the next step completes what should follow: <state>/rollout-<model>.json has the last line that everything followed.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from flows.project import private_files, scratch
from flows.project.environment import Project
from flows.promotion import on_trial, waiting
from flows.records import ledger
from flows.records.beside import BEFORE, ENDED, TRIAL, Beside
from flows.records.champion_state import Standing, stand
from flows.records.ledger import Conflict, Line
from flows.rollout.judged import Judged
from pipelines.errors import IntegrityError
from pipelines.model_file import Declaration

ACTOR = "monitor"
FOLLOWED = ("accepted", "waits", "rejected", "rolled back", TRIAL, ENDED)


def goes_on(declared: Declaration, candidate: Beside) -> bool:
    """Whether a candidate that has passed goes on trial in another role."""
    return candidate.role == "shadow" and on_trial.after(declared.serve, "shadow") is not None


def promote(
    project: Project, declared: Declaration, standing: Standing, candidate: Beside, found: Judged
) -> Line | None:
    """Returns the line, by which it waits where persons must approve; None if somebody else moved the champion
    meanwhile. Raises IntegrityError if the files of the version have changed."""
    line = standing.verdicts[candidate.version]
    because, facts = _evidence(line, found)
    promotion = replace(
        line,
        action="accepted",
        to_version=candidate.version,
        reference=candidate.version if facts.get("better") else standing.reference,
        reason=f"{because}; on live rows: {found.said}",
        evidence=json.dumps(facts | on_trial.after_promotion(declared.serve), allow_nan=False),
        actor=ACTOR,
    )
    rules, started_by = declared.promote.approval, str(facts.get("started_by", ""))
    promotion = waiting.for_approval(rules, standing, promotion, started_by, datetime.now(UTC))
    return _written(project, standing, promotion, checked=candidate.version)


def reject(project: Project, standing: Standing, model: str, candidate: Beside, found: Judged) -> Line | None:
    """As promote()."""
    line = standing.verdicts[candidate.version]
    evidence = json.dumps(_evidence(line, found)[1], allow_nan=False)
    reason = f"worse on live rows: {found.said}"
    return _written(project, standing, replace(line, action="rejected", reason=reason, evidence=evidence, actor=ACTOR))


def begin_canary(project: Project, standing: Standing, model: str, candidate: Beside, found: Judged) -> Line | None:
    """As promote()."""
    line = standing.verdicts[candidate.version]
    because, facts = _evidence(line, found)
    begun = on_trial.entry(
        replace(line, evidence=json.dumps(facts, allow_nan=False), actor=ACTOR),
        "canary", f"as a shadow it passed: {found.said}", because, standing,
    )  # fmt: skip
    return _written(project, standing, begun)


def end_before(project: Project, standing: Standing, model: str, why: str) -> Line | None:
    """As promote()."""
    before = standing.trials.before
    if before is None:
        return None
    now, evidence = standing.champion, json.dumps({"role": BEFORE})
    return _written(
        project, standing, Line(model, 0, ENDED, before.version, now, now, standing.reference, why, evidence, "", ACTOR)
    )


def roll_back(project: Project, model: str, left: int, back: int, reason: str, found: Judged) -> Line | None:
    """From one version to the one before; the one that is left is vetoed. As promote()."""
    standing = stand(ledger.of(project).lines(model))
    if standing.champion != left or len(standing.seats) < 2 or standing.seats[-2].version != back:
        return None
    evidence = json.dumps({"hold": False, "live": [found.look()]}, allow_nan=False)
    reference = standing.seats[-2].reference
    line = Line(model, 0, "rolled back", left, left, back, reference, reason, evidence, "", ACTOR)
    return _written(project, standing, line, checked=back)


def _evidence(line: Line, found: Judged) -> tuple[str, dict[str, Any]]:
    """The gate's reason, and its evidence with what the live rows have said. line: by which the version is on trial."""
    because, facts = on_trial.passed(line)
    return because, facts | {"live": [*facts.get("live", []), found.look() | {"role": line.facts["role"]}]}


def _written(project: Project, standing: Standing, line: Line, checked: int | None = None) -> Line | None:
    """Append a line, if the model stands as it did, and let everything follow.

    checked: a version whose registered files must be unchanged, since it becomes champion.
    """
    from flows.promotion import champion_alias
    from flows.registry import model_registry
    from flows.tracking import mlflow_runs

    with mlflow_runs.reachable(project):
        store, book = mlflow_runs.client(project), ledger.of(project)
        now = champion_alias.settle(store, book, line.model)
        if _about(now) != _about(standing) or checked in now.pruned:
            return None
        if checked is not None:
            version = model_registry.version(store, line.model, checked)
            if version is None:
                raise IntegrityError(f"MLflow has no version {checked} of {line.model}, so nothing was decided.")
            with scratch.folder("check") as place:
                model_registry.fetch(store, version, place, now.artifacts.get(checked))
        try:
            written = book.append(now.last, replace(line, sequence=0))
        except Conflict:
            return None
    _follow(project, written)
    return written


def _about(standing: Standing) -> tuple[Any, ...]:
    """What must not have changed since the live rows were judged."""
    return standing.seats, standing.held, standing.vetoed, standing.trials


def complete(project: Project, model: str, lines: Sequence[Line]) -> None:
    """What should follow the last line of a monitor follows, if a kill has kept it from that."""
    last = next((line for line in reversed(lines) if line.actor == ACTOR and line.action in FOLLOWED), None)
    if last is not None and _noted(project, model) != last.hash:
        _follow(project, last)


def _follow(project: Project, line: Line) -> None:
    from flows.deployment import deploy
    from flows.promotion import champion_alias, decide
    from flows.tracking import mlflow_runs

    with mlflow_runs.reachable(project):
        store = mlflow_runs.client(project)
        champion_alias.follow(store, ledger.of(project), line)
        if line.action in ("accepted", "waits", "rejected", TRIAL) and line.version is not None:
            decide.note(store, store.get_model_version(line.model, str(line.version)), line)
    deploy.now(project, line.model)
    private_files.write(_place(project, line.model), {"format": 1, "line": line.sequence, "hash": line.hash})


def _noted(project: Project, model: str) -> str:
    try:
        return str(json.loads(_place(project, model).read_text(encoding="utf-8"))["hash"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _place(project: Project, model: str) -> Any:
    return project.state / f"rollout-{model}.json"
