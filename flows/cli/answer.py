"""A command's frame: the options that all have, its place in `ratchet --help`, its answer, its errors, its status."""

import json
import sys
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from flows.cli import completion, terminate
from flows.processes import stopping
from pipelines import visible_text
from pipelines.errors import RatchetError

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Model = Annotated[str, typer.Argument(help="A model of models/, by its file's name.", autocompletion=completion.models)]
State = dict[str, Any]
Function = TypeVar("Function", bound=Callable[..., None])
WHOLE = ("yaml",)  # what has lines of its own in the answer of a command
PLACE, PART = "_place_in_help", "_part_of_help"
RETRAIN, LOOK, CHAMPION, USE, RUNNING = "Retrain", "Look", "The champion", "Use a model", "Keep it running"


def command(place: int, part: str) -> Callable[[Function], Function]:
    """Makes a function of a module in flows/cli/commands/ a command of its name. `ratchet --help` sorts by place, and
    shows each part under its name."""

    def mark(function: Function) -> Function:
        setattr(function, PLACE, place)
        setattr(function, PART, part)
        return function

    return mark


def answer(
    command: Callable[[Any], State],
    words: Callable[[State], str],
    as_json: bool,
    debug: bool,
    failed: Callable[[State], bool] = lambda found: False,
) -> None:
    """Run a command in its project, print its answer, and leave with the right status.

    failed: whether an answer, though it is one, is not what was asked for.
    """
    from flows.project import environment

    project = None
    try:
        project = environment.prepare()
        found = command(project)
    except KeyboardInterrupt as error:
        _stop(error, as_json)
    except Exception as error:
        if debug:
            raise
        known = error if isinstance(error, RatchetError) else _diagnosed(project, error)
        unforeseen = f"{type(error).__name__}: {str(error).strip()[:600]}. Run with --debug to see where."
        _fail(str(known or unforeseen), known.status if known else 1, as_json)
    print(json.dumps(found, allow_nan=False) if as_json else words(visible_text.every(found, WHOLE)), flush=True)
    if failed(found):
        raise typer.Exit(1)


def _stop(error: KeyboardInterrupt, as_json: bool) -> None:
    """Not an error: whoever has stopped it knows why, and is told how to go on."""
    text, status = terminate.words(error)
    if (stop := stopping.found(error)) is not None:
        stop.told = True
    if as_json:
        print(json.dumps({"format": 1, "error": text, "status": status}), flush=True)
    print(text, file=sys.stderr, flush=True)
    raise typer.Exit(status)


def _diagnosed(project: Any, error: Exception) -> RatchetError | None:
    """What is wrong with the machine, if the error, or a look at the project, says so."""
    from flows.run import diagnosis
    from pipelines.safety import shortage

    return shortage.of(error) if project is None else diagnosis.told(project, error)


def _fail(text: str, status: int, as_json: bool) -> None:
    text = visible_text.line(text)
    if as_json:
        print(json.dumps({"format": 1, "error": text, "status": status}), flush=True)
    print(f"error: {text}", file=sys.stderr, flush=True)
    raise typer.Exit(status)
