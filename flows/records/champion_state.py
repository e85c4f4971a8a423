"""A model's state by its ledger: the champion, earlier champions, vetoes and holds.

It depends only on the lines, first to last, so it can be computed for any time in the past.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from flows.records.ledger import Line

JUDGED = ("accepted", "rejected", "undecided")  # by the gate
MOVES = ("accepted", "promoted", "adopted", "rolled back")  # lines that may change the champion


@dataclass(frozen=True)
class Seat:
    """A champion, and the reference that "not worse" was measured against while it was champion."""

    version: int
    reference: int


@dataclass
class Standing:
    seats: list[Seat] = field(default_factory=list)  # the last one is champion
    vetoed: dict[int, Line] = field(default_factory=dict)  # version -> the rollback that left it
    held: Line | None = None  # the rollback that stopped automatic promotion
    pruned: dict[int, Line] = field(default_factory=dict)  # version -> the line that named it for deletion
    last: Line | None = None
    moved: Line | None = None  # the last line that the alias had to follow
    verdicts: dict[int, Line] = field(default_factory=dict)  # version -> the gate's last line about it
    comparisons: dict[int, int] = field(default_factory=dict)  # reference -> how often it has been compared with

    artifacts: dict[int, str] = field(default_factory=dict)  # version -> the hash of its files
    tests: dict[str, int] = field(default_factory=dict)  # test_hash -> how often the gate has used these rows

    @property
    def champion(self) -> int | None:
        return self.seats[-1].version if self.seats else None

    @property
    def reference(self) -> int | None:
        return self.seats[-1].reference if self.seats else None

    def read(self, line: Line) -> None:
        """Take in the next line."""
        self.last = line
        if line.version is not None and (known := line.facts.get("artifact_hash")):
            self.artifacts.setdefault(line.version, known)
        if line.action in JUDGED and line.version is not None:
            self.verdicts[line.version] = line
            facts = line.facts
            for counts, key in ((self.comparisons, facts.get("compared_with")), (self.tests, facts.get("test_hash"))):
                if key is not None:
                    counts[key] = counts.get(key, 0) + 1
        if line.action == "pruned":
            self.pruned |= dict.fromkeys(line.facts.get("versions", []), line)
        if line.action not in MOVES:
            return
        self.moved = line
        if line.action == "rolled back":
            self._back(line)
        elif line.to_version is not None:
            self._forward(line, line.to_version)

    def _forward(self, line: Line, version: int) -> None:
        if line.action != "accepted":  # by hand: this lifts every veto and hold
            self.vetoed.pop(version, None)
            self.held = None
            self.comparisons.pop(version, None)  # a new start, on a person's responsibility
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
