"""A model's state by its ledger: the champion, earlier champions, vetoes and holds.

It depends only on the lines, first to last, so it can be computed for any time in the past.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from flows.records.beside import TRIAL, Beside, Trials
from flows.records.ledger import FORMS, MOVES, Line
from flows.records.persons.approvals import Approvals
from pipelines.table import row_sample
from pipelines.table.row_sample import RowSample

JUDGED = ("accepted", "waits", TRIAL, "rejected", "undecided")  # by the gate
SEEN = "seen"  # test metrics that somebody saw without the gate
PROMOTED = ("accepted", "promoted", "adopted")  # lines that make a version champion


@dataclass(frozen=True)
class Seat:
    """A champion, and the reference that "not worse" was measured against while it was champion."""

    version: int
    reference: int


@dataclass(frozen=True)
class Use:
    """A candidate whose test metrics were seen: by the gate, or by a person without it."""

    line: int  # its number
    rows: RowSample | None  # the test rows; None on lines of before they were noted
    promoted: bool


@dataclass
class Standing:
    seats: list[Seat] = field(default_factory=list)  # the last one is champion
    vetoed: dict[int, Line] = field(default_factory=dict)  # version -> the rollback that left it
    held: Line | None = None  # the rollback that stopped automatic promotion
    pruned: dict[int, Line] = field(default_factory=dict)  # version -> the line that named it for deletion
    last: Line | None = None
    moved: Line | None = None  # the last line that the alias had to follow
    verdicts: dict[int, Line] = field(default_factory=dict)  # version -> the gate's last line about it
    uses: list[Use] = field(default_factory=list)  # of test rows, in order
    known_models: set[str] = field(default_factory=set)  # the model_hash of each candidate in `uses`
    promoted_at: int = 0  # the number of the last line that made a version champion
    began: dict[int, int] = field(default_factory=dict)  # reference -> the number of the line that made it one
    artifacts: dict[int, str] = field(default_factory=dict)  # version -> the hash of its files
    trials: Trials = field(default_factory=Trials)
    approvals: Approvals = field(default_factory=Approvals)
    forgotten: dict[int, Line] = field(default_factory=dict)  # version -> the first line by which it lost rows
    forms: dict[int, Line] = field(default_factory=dict)  # version -> the newest line about the form that answers

    @property
    def champion(self) -> int | None:
        return self.seats[-1].version if self.seats else None

    @property
    def reference(self) -> int | None:
        return self.seats[-1].reference if self.seats else None

    @property
    def beside(self) -> Beside | None:
        """The version that answers beside the champion."""
        return self.trials.beside

    def unmoved(
        self,
        model: str,
        action: str,
        version: int | None,
        reason: str,
        facts: dict[str, Any],
        actor: str,
        decision_key: str = "",
    ) -> Line:
        """A line about a version, unwritten, by which champion and reference stay. facts: its evidence."""
        return Line(
            model=model,
            sequence=0,
            action=action,
            version=version,
            from_version=self.champion,
            to_version=self.champion,
            reference=self.reference,
            reason=reason,
            evidence=json.dumps(facts, allow_nan=False),
            decision_key=decision_key,
            actor=actor,
        )

    def read(self, line: Line) -> None:
        """Take in the next line."""
        self.last = line
        self.trials.read(line, line.action in JUDGED)
        self.approvals.read(line, line.action in JUDGED)
        if line.version is not None and (known := line.facts.get("artifact_hash")):
            self.artifacts.setdefault(line.version, known)
        if line.action in (*JUDGED, SEEN):
            self._count(line)
        if line.action in JUDGED and line.version is not None:
            self.verdicts[line.version] = line
        if line.action in PROMOTED:
            self.promoted_at = line.sequence
            if line.reference is not None and line.reference == line.version:
                self.began[line.reference] = line.sequence
        if line.action == "pruned":
            self.pruned |= dict.fromkeys(line.facts.get("versions", []), line)
        if line.action == "forgotten":
            self._lose(line)
        if line.action in FORMS and line.version is not None:
            self.forms[line.version] = line
        if line.action not in MOVES:
            return
        self.moved = line
        if line.action == "rolled back":
            self._back(line)
        elif line.to_version is not None:
            self._forward(line, line.to_version)

    def _count(self, line: Line) -> None:
        """A use of test rows. That of a version that has waited, or was on trial, was counted when it was judged."""
        facts = line.facts
        if waited := facts.get("waited"):
            promoted = line.action == "accepted"
            self.uses = [replace(use, promoted=promoted) if use.line == waited else use for use in self.uses]
        else:
            self.uses.append(Use(line.sequence, row_sample.read(facts.get("test_rows")), line.action == "accepted"))
            self.known_models |= {facts["model_hash"]} if "model_hash" in facts else set()

    def _lose(self, line: Line) -> None:
        """Versions lost rows of a person: the files that are kept with them are others since."""
        lost = {int(number): digest for number, digest in line.facts["artifacts"].items()}
        self.forgotten = dict.fromkeys(lost, line) | self.forgotten
        self.artifacts |= lost

    def _forward(self, line: Line, version: int) -> None:
        if line.action != "accepted":  # by hand: this lifts every veto and hold
            self.vetoed.pop(version, None)
            self.held = None
        seat = Seat(version, line.reference or version)
        if self.champion == version:
            self.seats.pop()
        self.seats.append(seat)

    def _back(self, line: Line) -> None:
        if line.from_version not in (None, line.to_version):
            self.vetoed[line.from_version] = line
        if self.champion == line.from_version != line.to_version:
            self.seats.pop()
        if line.facts.get("hold"):
            self.held = line


def stand(lines: Sequence[Line], at: datetime | None = None) -> Standing:
    """The state after all lines, or at a time in the past."""
    found = Standing()
    for line in lines:
        if at is not None and datetime.fromisoformat(line.at) > at:
            break
        found.read(line)
    return found
