"""A command in a child of the process that `ratchet up` keeps for it, which has imported Prefect, DVC and MLflow."""

import os
from contextlib import ExitStack

from flows.processes import background_pool
from flows.project import environment, scratch
from pipelines.errors import RatchetError
from pipelines.process import fork_server

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
            if not background_pool.borrow(project, "commands", background_pool.of_commands(project), folder):
                return None
        except (RatchetError, OSError):
            return None  # the command says what is wrong
        os.environ |= {VARIABLE: "1", fork_server.VARIABLE: str(folder)}
        status = fork_server.ask("commands", "flows.cli", arguments)
        for name in (VARIABLE, fork_server.VARIABLE):
            del os.environ[name]
        return status
