"""Decide: judge a published version, write the decision into the ledger, and let the alias and MLflow follow.

The key of a decision: candidate, champion, reference, test rows, the promote section, and whether there is a veto or a
hold. A decision with the same key is not made again. After a crash the next run completes the steps that are missing.
A version that waits, because its run was an experiment, is promoted by the first run with the same key that is none.
A version that is promoted goes on trial first, if the YAML has a shadow or a canary (on_trial.py). Then it waits for
persons, if the YAML asks for their approval (approving.py).
"""

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from flows.project import scratch
from flows.project.environment import Project
from flows.promotion import approving, champion_alias, evidence, gate, on_trial, waiting
from flows.promotion.noting import note
from flows.promotion.waiting import Experiment
from flows.records import ledger, used_rows
from flows.records.beside import TRIAL
from flows.records.champion_state import SEEN, Standing
from flows.records.ledger import Conflict, Ledger, Line
from flows.records.outputs import Published, StageOutputs
from flows.registry import model_registry
from flows.registry.model_registry import ModelVersion
from flows.tracking import annotate, mlflow_runs
from flows.tracking.mlflow_runs import MlflowClient
from pipelines import visible_text
from pipelines.errors import RatchetError
from pipelines.model_file import Declaration

ATTEMPTS = 5  # how often the gate runs again because somebody else moved the champion meanwhile


@dataclass(frozen=True)
class Case:
    """What one decision is about. standing: where the model stands; experiment: with the reasons that count here."""

    project: Project
    store: MlflowClient
    declared: Declaration
    found: StageOutputs
    published: Published
    version: ModelVersion
    standing: Standing
    experiment: Experiment
    because: str = ""  # why the run retrained
    started_by: str = ""  # the person who started it

    @property
    def number(self) -> int:
        return int(self.version.version)


def decide(
    project: Project,
    declared: Declaration,
    found: StageOutputs,
    published: Published,
    experiment: Experiment,
    because: str = "",
    started_by: str = "",
) -> dict[str, Any]:
    """Returns decision (accepted, waits, on trial, rejected, undecided, expired, unchanged), reason, champion (version
    afterwards), looks, and next (what a person can do) if the version waits, with `approval` if persons must approve
    it. because: why the run retrained, for the ledger; started_by: the person who started it, or "".

    Raises IntegrityError if the ledger is broken or the alias was changed outside Ratchet: then nothing is promoted.
    """
    store, book = mlflow_runs.client(project), ledger.of(project)
    version = store.get_model_version(declared.model, str(published.version))
    number = int(version.version)
    for _ in range(ATTEMPTS):
        due = approving.complete(store, book, declared.model, datetime.now(UTC))
        standing = champion_alias.settle(store, book, declared.model)
        if (own := next((line for line in reversed(due) if line.version == number), None)) is not None:
            return _answer(own.action, own.reason, standing, own)
        if number in standing.pruned:
            raise RatchetError(
                f"Version {number} of {declared.model} is being pruned, but this run has made it again.",
                f"Let `ratchet prune {declared.model}` finish, then run again: the model becomes a new version.",
            )
        counts = experiment.against(standing.champion)
        case = Case(project, store, declared, found, published, version, standing, counts, because, started_by)
        if answer := known(case):
            if published.fresh and answer["decision"] in (
                "unchanged",
                "waits",
                TRIAL,
            ):  # other inputs gave the same model
                for name in ("decision", "reason"):
                    store.set_tag(published.run_id, f"ratchet.{name}", visible_text.line(answer[name])[:5000])
                annotate.on_run(store, published.run_id, declared.model, published.version, answer | {"against": None})
            return answer
        if (before := _waiting(case)) is not None:
            line = _released(case, before)
        elif _count_seen(case, book):
            line = _judged(case)
        else:
            continue
        line = _with_before(declared, line)
        if before is None or not waiting.of_persons(before):  # else it was on trial before it waited
            line = on_trial.begun(declared.serve, standing, line)
        starter = str(line.facts.get("started_by", started_by))
        line = waiting.for_approval(declared.promote.approval, standing, line, starter, datetime.now(UTC))
        if (written := _write(store, book, standing, line)) is not None:
            standing.read(written)
            champion_alias.follow(store, book, written)
            note(store, version, written)
            return _answer(written.action, written.reason, standing, written, counts)
    raise RatchetError(
        f"Somebody else moved the champion of {declared.model} {ATTEMPTS} times while version {number} was judged.",
        "Nothing was promoted. Run again.",
    )


def _count_seen(case: Case, book: Ledger) -> bool:
    """A line for each other candidate whose test metrics could be read without the gate; False if the ledger grew."""
    model, standing = case.declared.model, case.standing
    for one in used_rows.read(case.project, model):
        if one.model_hash == case.found.model_hash or one.model_hash in standing.known_models:
            continue
        why = f"the test metrics of model {one.model_hash[:12]} could be read without the gate: these rows were used"
        facts = {"model_hash": one.model_hash, "test_rows": one.rows.content()}
        now = standing.champion
        line = Line(model, 0, SEEN, None, now, now, standing.reference, why, json.dumps(facts))
        try:
            standing.read(book.append(standing.last, line))
        except Conflict:
            return False
    return True


def _judged(case: Case) -> Line:
    """The gate's decision. A version of an experiment waits where it would be accepted."""
    declared, found, standing, number = case.declared, case.found, case.standing, case.number
    judged = evidence.gather(case.project, case.store, declared, found, case.version, standing)
    found.check()
    decision, reason = gate.decide(judged.looks)
    about = {"run_id": case.published.run_id, "artifact_hash": case.version.tags.get("ratchet.artifact_hash")}
    about |= {"model_hash": found.model_hash, "because": case.because}
    if declared.promote.approval:
        about |= {"started_by": case.started_by}
    if decision == "accepted" and case.experiment:
        about |= case.experiment.facts(reason)
        decision, reason = "waits", case.experiment.reason(number, reason)
    return Line(
        model=declared.model,
        sequence=0,
        action=decision,
        version=number,
        from_version=standing.champion,
        to_version=number if decision == "accepted" else standing.champion,
        reference=number if decision == "accepted" and judged.better else standing.reference,
        reason=reason,
        evidence=json.dumps(judged.content() | about, allow_nan=False),
        decision_key=_key(case),
        actor=f"gate, run {case.published.run_id}",
    )


def _with_before(declared: Declaration, line: Line) -> Line:
    """A promotion says whether the champion before answers on."""
    if line.action != "accepted" or line.from_version is None:
        return line
    return replace(line, evidence=json.dumps(line.facts | on_trial.after_promotion(declared.serve), allow_nan=False))


def _waiting(case: Case) -> Line | None:
    """The line by which the version waits, or is on trial, if all that it was judged by is as it was then."""
    before = case.standing.verdicts.get(case.number)
    if before is None or before.action not in ("waits", TRIAL):
        return None
    return before if before.decision_key == _key(case) else None


def _released(case: Case, before: Line) -> Line:
    """The promotion of a version that has waited. Raises IntegrityError if its files have changed since."""
    number, standing = case.number, case.standing
    with scratch.folder("gate") as place:
        model_registry.fetch(case.store, case.version, place, standing.artifacts.get(number))
    reason, facts = on_trial.released(before)
    return replace(
        before,
        action="accepted",
        to_version=number,
        reference=number if facts["better"] else standing.reference,
        reason=reason,
        evidence=json.dumps(facts, allow_nan=False),
    )


def _write(store: MlflowClient, book: Ledger, standing: Standing, line: Line) -> Line | None:
    """The line as written; None if the champion has changed since the judgement, so that the gate runs again."""
    champion_alias.settle(store, book, line.model)  # raises if the alias was moved meanwhile
    last = standing.last
    while True:
        try:
            return book.append(last, line)
        except Conflict:
            now = champion_alias.settle(store, book, line.model)
            moved = (now.seats, now.held, now.vetoed) != (standing.seats, standing.held, standing.vetoed)
            if moved or line.version in now.pruned:
                champion_alias.refuse(book, line)
                return None
            last = now.last  # somebody's decision that moved nothing


def known(case: Case) -> dict[str, Any] | None:
    """The answer if there is nothing to decide: the version is champion, or this decision is already recorded."""
    number, standing, rules = case.number, case.standing, case.declared.promote
    before = standing.verdicts.get(number)
    if before is not None and case.version.tags.get("ratchet.decision_line") != str(before.sequence):
        note(case.store, case.version, before)  # a crash came between the decision and its note
        if before.action != "waits":
            return _answer(before.action, before.reason, standing, before)
    if standing.champion == number and gate.floor(rules, case.found.metrics[rules.metric]).passed:
        return _answer("unchanged", f"version {number} is already the champion", standing)
    if before is None or before.decision_key != _key(case):
        return None
    if waiting.of_persons(before):
        return _answer("waits", before.reason, standing, before) if number in standing.approvals.waiting else None
    if before.action == "waits":
        if not case.experiment:
            return None
        reason = case.experiment.reason(number, before.facts["accepted_because"])
        return _answer("waits", reason, standing, before, case.experiment)
    if before.action == TRIAL:
        if on_trial.role(case.declared.serve) is None:
            return None
        return _tried(case, before)
    reason = f"nothing has changed since version {number} was {before.action}: {before.reason}"
    return _answer("unchanged", reason, standing)


def _tried(case: Case, before: Line) -> dict[str, Any]:
    """The answer about a version that went on trial, and about which the gate has nothing new to decide."""
    candidate = case.standing.trials.candidate
    if candidate and candidate.version == case.number:
        return _answer(TRIAL, before.reason, case.standing, before)
    reason = f"the trial of version {case.number} has ended undecided: `ratchet promote` decides"
    return _answer("unchanged", reason, case.standing)


def _key(case: Case) -> str:
    standing = case.standing

    def model_hash(number: int | None) -> str | None:
        there = model_registry.version(case.store, case.declared.model, number) if number else None
        return there.tags.get("ratchet.model_hash") if there else None

    stands = [look.what for look in evidence.against_it(standing, case.number)]
    rivals = [model_hash(standing.champion), model_hash(standing.reference)]
    about = [*rivals, case.found.model_hash, case.found.test_hash, case.declared.raw["promote"], stands]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _answer(
    decision: str, reason: str, standing: Standing, line: Line | None = None, experiment: Experiment | None = None
) -> dict[str, Any]:
    looks = line.facts.get("looks", []) if line else []
    found = {"decision": decision, "reason": reason, "champion": standing.champion, "looks": looks}
    if decision == "waits" and line and line.version in standing.approvals.waiting:
        wait = standing.approvals.waiting[line.version]
        found |= {"next": waiting.advice(line), "approval": approving.content(wait)}
    elif decision == "waits" and line and line.version and experiment:
        found["next"] = experiment.advice(line.model, line.version)
    if decision == TRIAL and line:
        found["next"] = on_trial.advice(line.model)
    return found
