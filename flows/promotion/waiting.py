"""Waiting: a candidate of an experiment moves no champion by itself, nor does one that persons must approve.

An experiment is a run with `--no-promote`, or one whose stages read files that differ from the last commit: nobody has
said yet that this is how the model is to be made. Approvals are asked for by `promote: approval:` (approving.py).
"""

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from flows.access.persons import Person
from flows.records.champion_state import Standing
from flows.records.ledger import Line
from flows.records.persons.approvals import ASKED
from pipelines.sections.promote import Approval, span

MOST_NAMES = 3  # of files, in a reason


@dataclass(frozen=True)
class Experiment:
    """Why a candidate is to wait. Without a reason it is no experiment."""

    no_promote: bool = False
    uncommitted: list[str] = field(default_factory=list)  # files of the model's stages that differ from the last commit

    def against(self, champion: int | None) -> "Experiment":
        """Those reasons that count: uncommitted files do not keep a model from having a first champion."""
        return self if champion is not None else replace(self, uncommitted=[])

    def __bool__(self) -> bool:
        return self.no_promote or bool(self.uncommitted)

    def reason(self, version: int, said: str) -> str:
        """One sentence. said: the gate's reason to accept the version."""
        return f"version {version} waits, because {self.why()}; the gate would accept it: {said}"

    def advice(self, model: str, version: int) -> str:
        """What a person can do."""
        commit = "commit" if self.uncommitted else ""
        run = "run again without --no-promote" if self.no_promote else "run again"
        told = " and ".join(filter(None, [commit, run]))
        return f"{told}, or `ratchet promote {model} {version} --reason WHY`"

    def why(self) -> str:
        """Part of a sentence."""
        found = ["the run had --no-promote"] if self.no_promote else []
        if names := self.uncommitted:
            more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
            verb = "differs" if len(names) == 1 else "differ"
            found.append(f"{', '.join(names[:MOST_NAMES])}{more} {verb} from the last commit")
        return " and ".join(found)

    def facts(self, said: str) -> dict[str, Any]:
        """For the evidence of a line: the experiment, and the gate's reason, which is that of a later promotion."""
        return {"experiment": asdict(self), "accepted_because": said}


def for_approval(rules: Approval | None, standing: Standing, line: Line, started_by: str, now: datetime) -> Line:
    """The line that is written instead of a promotion: that the version waits for persons, or the same line.

    line: unwritten. started_by: the person who started the run, or "".
    """
    if line.action != "accepted" or rules is None:
        return line
    about = _asked_of(rules, started_by, now)
    facts = line.facts | {"approval": about, "accepted_because": line.reason}
    return replace(
        line,
        action="waits",
        from_version=standing.champion,
        to_version=standing.champion,
        reference=standing.reference,
        reason=f"version {line.version} waits for {_persons(about)}; the gate would accept it: {line.reason}",
        evidence=json.dumps(facts, allow_nan=False),
    )


def by_hand(rules: Approval | None, standing: Standing, line: Line, person: Person, now: datetime) -> Line:
    """The line by which a person asks to promote a version, or the same line where nobody needs to approve.

    line: "promoted", unwritten.
    """
    if rules is None:
        return line
    about = _asked_of(rules, person.name, now)
    return replace(
        line,
        action=ASKED,
        to_version=standing.champion,
        reference=standing.reference,
        reason=f"version {line.version} waits for {_persons(about)}; {person.name} asks for it: {line.reason}",
        evidence=json.dumps({"looks": [], "approval": about, "accepted_because": line.reason} | line.facts),
        actor=f"person {person.name}",
    )


def _asked_of(rules: Approval, started_by: str, now: datetime) -> dict[str, Any]:
    about: dict[str, Any] = {"by": rules.by, "of": rules.of, "not_own": rules.not_own, "started_by": started_by}
    return about | {"until": (now + span(rules.within)).isoformat(timespec="seconds")}


def _persons(about: dict[str, Any]) -> str:
    """Part of a sentence."""
    own = f", not {about['started_by']} alone, who started it" if about["not_own"] and about["started_by"] else ""
    count = "" if about["of"] == 1 or about["of"] == len(about["by"]) else f"{about['of']} of "
    last = "or" if about["of"] == 1 else "and"
    names = f" {last} ".join(filter(None, [", ".join(about["by"][:-1]), about["by"][-1]]))
    return f"the approval of {count}{names}{own}, until {about['until'][:16].replace('T', ' ')} UTC"


def of_persons(line: Line) -> bool:
    """Whether a line is one by which a version waits for persons."""
    return line.action in ("waits", ASKED) and "approval" in line.facts


def advice(line: Line) -> str:
    """What a person can do. line: one by which a version waits."""
    if of_persons(line):
        model, version = line.model, line.version
        return f"`ratchet approve {model} {version}`, or `ratchet reject {model} {version} --reason WHY`"
    return Experiment(**line.facts["experiment"]).advice(line.model, line.version or 0)


def released(line: Line) -> tuple[str, dict[str, Any]]:
    """Reason and evidence of the line that promotes a version that has waited. line: the one that judged it."""
    facts = line.facts
    facts.pop("experiment", None)
    facts.pop("approval", None)
    waited = facts.pop("waited", line.sequence)
    return facts.pop("accepted_because"), facts | {"waited": waited}
