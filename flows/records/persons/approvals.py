"""Which versions wait for the approval of persons, and who has given it, by the lines of the ledger.

A version waits by a line of the gate ("waits" with `approval` in its evidence) or because a person wants to promote it
by hand ("asked"). It waits against the champion of that time: whatever moves the champion ends it.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from flows.records.ledger import MOVES, Line

ASKED, APPROVED, EXPIRED = "asked", "approved", "expired"  # lines


@dataclass(frozen=True)
class Given:
    """One person's approval. how: by which the person was known, token or user."""

    name: str
    how: str
    at: str
    line: int


@dataclass(frozen=True)
class Wait:
    """A version that waits. line: the one by which it does; given: the approvals since, the first one first."""

    line: Line
    given: tuple[Given, ...] = ()

    @property
    def version(self) -> int:
        return int(self.line.version or 0)

    @property
    def rules(self) -> dict[str, Any]:
        """`by`, `of`, `not_own`, `until` (an instant), `started_by` (a person's name, or "")."""
        return dict(self.line.facts["approval"])

    @property
    def until(self) -> datetime:
        return datetime.fromisoformat(self.rules["until"])

    @property
    def names(self) -> list[str]:
        """Who has approved in time, of those who may."""
        by, until = self.rules["by"], self.until
        told = [one.name for one in self.given if one.name in by and datetime.fromisoformat(one.at) <= until]
        return list(dict.fromkeys(told))

    @property
    def enough(self) -> bool:
        """Whether all approvals are there."""
        return self.missing == 0

    @property
    def missing(self) -> int:
        """How many persons must still approve."""
        names, rules = set(self.names), self.rules
        alone = rules["not_own"] and not names - {rules["started_by"]}
        return max(int(rules["of"]) - len(names), 1 if alone else 0)

    @property
    def others(self) -> list[str]:
        """Whose approval would count now."""
        names, rules = self.names, self.rules
        own = rules["not_own"] and self.missing == 1 and not set(names) - {rules["started_by"]}
        return [name for name in rules["by"] if name not in names and not (own and name == rules["started_by"])]

    def expired(self, now: datetime) -> bool:
        return not self.enough and now > self.until


@dataclass
class Approvals:
    """waiting: by version."""

    waiting: dict[int, Wait] = field(default_factory=dict)

    def read(self, line: Line, judged: bool) -> None:
        """Take in the next line. judged: whether it is a verdict about its version."""
        if line.action in MOVES:
            self.waiting = {}
        elif line.action == "pruned":
            for number in line.facts.get("versions", []):
                self.waiting.pop(number, None)
        elif line.version is None:
            return
        elif line.action == APPROVED:
            self._approved(line, line.version)
        elif judged or line.action in (ASKED, EXPIRED):
            self.waiting.pop(line.version, None)
            if line.action in ("waits", ASKED) and "approval" in line.facts:
                self.waiting[line.version] = Wait(line)

    def _approved(self, line: Line, version: int) -> None:
        facts, wait = line.facts, self.waiting.get(version)
        if wait is not None and facts["approval_of"] == wait.line.sequence:
            one = Given(facts["name"], facts["how"], line.at, line.sequence)
            self.waiting[version] = replace(wait, given=(*wait.given, one))
