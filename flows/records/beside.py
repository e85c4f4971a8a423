"""What answers beside the champion, by the lines of the ledger: a candidate on trial, or the champion before.

One version at a time does. For some rows after a promotion it is the champion before, if the line of the promotion asks
for that; a candidate on trial comes after it.
"""

from dataclasses import dataclass
from typing import Final, Literal

from flows.records.ledger import MOVES, Line

TRIAL, ENDED = "on trial", "trial ended"  # lines
BEFORE: Final = "before"


@dataclass(frozen=True)
class Beside:
    """A version that answers beside the champion. role: `shadow` and `before` answer unseen; `canary` answers some
    callers. line: the number of the line of the ledger that put it there."""

    version: int
    role: Literal["shadow", "canary", "before"]
    since: str  # the instant of that line
    line: int


@dataclass
class Trials:
    """candidate: on trial, or next to be. before: the champion before, while it answers. earlier: the same until the
    next move of the champion, because labels of what it has answered may come later."""

    candidate: Beside | None = None
    before: Beside | None = None
    earlier: Beside | None = None

    @property
    def beside(self) -> Beside | None:
        return self.before or self.candidate

    def read(self, line: Line, judged: bool) -> None:
        """Take in the next line. judged: whether it is a verdict about its version."""
        if line.action == TRIAL and line.version is not None:
            self.candidate = Beside(line.version, line.facts["role"], line.at, line.sequence)
        elif line.action == ENDED:
            self._end(line)
        elif line.action == "pruned":
            self._without(line.facts.get("versions", []))
        elif line.action in MOVES:
            self.candidate, self.before = None, _left(line)
            self.earlier = self.before
        elif judged and self.candidate and self.candidate.version == line.version:
            self.candidate = None

    def _end(self, line: Line) -> None:
        if line.facts.get("role") == BEFORE:
            self.before = None
        elif self.candidate and self.candidate.version == line.version:
            self.candidate = None

    def _without(self, versions: list[int]) -> None:
        for name in ("candidate", "before", "earlier"):
            found: Beside | None = getattr(self, name)
            if found and found.version in versions:
                setattr(self, name, None)


def _left(line: Line) -> Beside | None:
    """The champion that a promotion leaves, if it is to answer on."""
    if line.from_version in (None, line.to_version) or not line.facts.get("before_rows"):
        return None
    return Beside(int(line.from_version or 0), BEFORE, line.at, line.sequence)
