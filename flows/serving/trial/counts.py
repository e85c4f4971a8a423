"""Counts: the rows that a version beside the champion has answered, had no answer to, or was not asked."""

from collections.abc import Callable
from typing import Literal

from flows.serving.engine.live_file import Beside

Outcome = Literal["answered", "failed", "skipped"]
Told = Callable[[Beside, Outcome, int], None]


def nobody(_trial: Beside, _outcome: Outcome, _rows: int) -> None:
    """For a server without metrics."""


class Counts:
    """Those of one process, each told to its metrics too, which outlive the trial."""

    def __init__(self, trial: Beside, tell: Told = nobody):
        self.answered = self.failed = self.skipped = 0
        self._trial, self._tell = trial, tell

    def add(self, outcome: Outcome, rows: int) -> None:
        """Count rows."""
        if rows:
            setattr(self, outcome, getattr(self, outcome) + rows)
            self._tell(self._trial, outcome, rows)
