"""The `ratchet` command, put together from the modules of flows/cli/commands/.

Every command takes --json and then prints one JSON object on standard output, and nothing else there. Exit
status: 0 it did what was asked (a rejected candidate included), 1 it failed, 2 the request was wrong. Errors are
one paragraph on standard error; a traceback only with --debug.
"""

import atexit
import gc
import importlib
import pkgutil
from collections.abc import Callable

import typer

from flows.cli import commands, group
from flows.cli.answer import PART, PLACE

app = typer.Typer(
    cls=group.Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Keeps models retrained: on a schedule, forward only when better, with proof of how each was made.",
)


def found() -> list[Callable[..., None]]:
    """Every function that a module in flows/cli/commands/ marks as a command, in the order of `ratchet --help`."""
    names = sorted(one.name for one in pkgutil.walk_packages(commands.__path__, f"{commands.__name__}."))
    modules = [importlib.import_module(name) for name in names]
    marked = [one for module in modules for one in vars(module).values() if hasattr(one, PLACE)]
    return sorted(marked, key=lambda one: (getattr(one, PLACE), one.__name__))


app.callback(invoke_without_command=True)(group.options)
for _one in found():
    app.command(cls=group.Command, rich_help_panel=getattr(_one, PART))(_one)


def main() -> None:
    """Run the command that the command line names."""
    atexit.register(gc.freeze)  # or else the collector goes through all objects at the end: half a second after a run
    app()
