"""Make live on this machine what the ledger says.

    python -m flows.deployment ensure [MODEL ...]    once: files that are missing or older than the ledger
    python -m flows.deployment follow [MODEL ...]    once, and whenever the ledger moves, until its parent has ended

Without a model: all of models/. With `follow --parent=PID` it also ends if that process has ended before this one could
look. Progress and problems go to standard error. Exit status of `ensure`: 0 if all is live as the ledger says, 1 if
something has a problem, 2 for a wrong request.
"""

import os
import sys

from flows.project import environment
from flows.project.environment import Project
from flows.project.lifeline import VARIABLE
from pipelines import visible_text
from pipelines.errors import RatchetError, RequestError
from pipelines.process import lifeline

PARENT = "--parent="
USE = "python -m flows.deployment ensure|follow [MODEL ...]"


def main(arguments: list[str]) -> int:
    try:
        if not arguments or arguments[0] not in ("ensure", "follow"):
            raise RequestError(f"Run it with: {USE}.")
        project = environment.prepare()
        return _ensure(project, arguments[1:]) if arguments[0] == "ensure" else _follow(project, arguments[1:])
    except RatchetError as error:
        _tell(f"error: {error}")
        return error.status
    except KeyboardInterrupt:
        return 0


def _ensure(project: Project, names: list[str]) -> int:
    from flows.deployment import deploy
    from pipelines.config import settings

    for name in names:
        settings.check_name(name)
    wrong = [problem for problem in deploy.ensure(project, names or settings.models(), _tell).values() if problem]
    for problem in wrong:
        _tell(problem)
    return 1 if wrong else 0


def _follow(project: Project, names: list[str]) -> int:
    from flows.deployment import follow

    lifeline.follow(os.environ.get(VARIABLE))
    given = [name.partition("=")[2] for name in names if name.startswith(PARENT)]
    names = [name for name in names if not name.startswith(PARENT)]
    parent = int(given[0]) if given else os.getppid()
    if os.getppid() != parent:
        return 0
    _tell(f"follows the ledger, every {follow.EVERY:g} s")
    follow.deployed(*names)  # what only a look at the registry tells: an alias that was moved, files that are missing
    follow.forever(follow.Follower(project, names, _tell), parent)
    return 0


def _tell(text: str) -> None:
    print(visible_text.line(text), file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
