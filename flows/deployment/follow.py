"""Follow: what somebody else decides reaches this machine. It asks the ledger alone, with one small query.

MLflow is imported only in a process that ends again, when the ledger has a new line that moved a champion. A shared
ledger and a local one are followed alike.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field

from flows.deployment import live_file
from flows.project import locks
from flows.project.environment import Project
from flows.records import ledger
from pipelines.errors import RatchetError

EVERY = 1.0  # seconds; a look takes two milliseconds
AGAIN = 60.0  # seconds until a deployment that failed is tried again


@dataclass
class Follower:
    """names: the models to follow; none for all that the ledger has. notice: called with what a person should know."""

    project: Project
    names: list[str]
    notice: locks.Notice
    _due: dict[tuple[str, int], float] = field(default_factory=dict)  # model, line -> when that may be tried again
    _away: str = ""  # why the ledger could not be read, when it was last asked

    def look(self, now: float) -> None:
        """Ask once, and deploy what has moved. now: seconds of a clock that never goes back."""
        try:
            moved = ledger.of(self.project).moved()
        except RatchetError as error:
            if str(error) != self._away:
                self.notice(str(error))
            self._away = str(error)
            return
        self._away = ""
        for model, line in moved.items():
            wanted = not self.names or model in self.names
            if wanted and now >= self._due.get((model, line), now):
                self._deploy(model, line, now)

    def _deploy(self, model: str, line: int, now: float) -> None:
        """Deploy a model, if it has something to gain. A version that is live without serving files is tried once: what
        could not be made will not be made a minute later."""
        found = live_file.read(self.project, model)
        answers = found is not None and found.newest == line and not found.problem
        if found is not None and answers and not found.unmade:
            return
        if f"model-{model}" in locks.held(self.project):
            return  # a run of this machine, which makes its version live itself
        self._due[model, line] = float("inf") if answers else now + AGAIN
        deployed(model)


def deployed(*models: str) -> None:
    """Deploy models, by default all, in a process of its own, which gives its memory back. It says itself what is
    wrong."""
    subprocess.run([sys.executable, "-m", "flows.deployment", "ensure", *models], stdin=subprocess.DEVNULL)


def forever(follower: Follower, parent: int) -> None:
    """Until this process is ended, or its parent has ended. parent: the id of that process."""
    while os.getppid() == parent:
        follower.look(time.monotonic())
        time.sleep(EVERY)
