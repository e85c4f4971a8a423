"""A command in a child of the process that `ratchet up` keeps for it, which has imported Prefect, DVC and MLflow."""

import os
from contextlib import ExitStack

from flows import environment, scratch, standby
from pipelines import warm
from pipelines.errors import RatchetError

COMMANDS = ("run",)
VARIABLE = "RATCHET_LENT"
INSIDE = bool(os.environ.pop(VARIABLE, ""))  # whether this is such a child, which does the work itself


def ask(arguments: list[str]) -> int | None:
    """Run `ratchet arguments` there and return its exit status; None if it is to run here, as it does anywhere."""
    if INSIDE or not arguments or arguments[0] not in COMMANDS:
        return None
    with ExitStack() as stack:
        try:
            project = environment.prepare()
            folder = stack.enter_context(scratch.folder("lent"))
            if not standby.borrow(project, "commands", standby.of_commands(project), folder):
                return None
        except (RatchetError, OSError):
            return None  # the command says what is wrong
        os.environ |= {VARIABLE: "1", warm.VARIABLE: str(folder)}
        status = warm.ask("commands", "flows.cli", arguments)
        for name in (VARIABLE, warm.VARIABLE):
            del os.environ[name]
        return status
