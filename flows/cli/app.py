"""The `ratchet` command.

Every command takes --json and then prints one JSON object on standard output, and nothing else there. Exit
status: 0 it did what was asked (a rejected candidate included), 1 it failed, 2 the request was wrong. Errors are
one paragraph on standard error; a traceback only with --debug.
"""

import atexit
import json
import os
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from flows.cli import terminal
from pipelines import visible_text
from pipelines.errors import RatchetError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Keeps models retrained: on a schedule, forward only when better, with proof of how each was made.",
)
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Model = Annotated[str, typer.Argument(help="A model of models/, by its file's name.")]
State = dict[str, Any]
WHOLE = ("yaml",)  # what has lines of its own in the answer of a command


@app.command()
def run(
    model: Model = "digits",
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Fail if another run is active, instead of waiting.")
    ] = False,
    data: Annotated[str, typer.Option(metavar="HASH", help="Retrain on an earlier version of the data.")] = "",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Retrain a model: refresh, stages, publish, gate, promote."""
    from flows.cli.commands import run as command
    from flows.run.trigger import RunRequest

    request = RunRequest(data=data)
    _answer(lambda project: command(project, model, as_json, not no_wait, request), terminal.run, as_json, debug)


class Kind(StrEnum):
    table = "table"
    sequence = "sequence"


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Of the new model: lower-case letters, digits, underscores.")],
    data: Annotated[
        str,
        typer.Option(
            metavar="PATH", help="A table to learn from, or images: a folder with one for each class, IDX files, .npz."
        ),
    ],
    target: Annotated[str, typer.Option(metavar="COLUMN", help="What to predict. Of images: their label.")] = "",
    names: Annotated[str, typer.Option(metavar="A,B,...", help="The columns, where the file does not name them.")] = "",
    group: Annotated[str, typer.Option(metavar="A,B,...", help="Rows equal in these stay in one split.")] = "",
    kind: Annotated[
        Kind | None, typer.Option(help="Where rows with a regular time could be either. Default: sequence.")
    ] = None,
    horizon: Annotated[int, typer.Option(min=1, help="Rows ahead that a sequence is forecast.")] = 1,
    force: Annotated[bool, typer.Option("--force", help="Write the YAML anew if it is there.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the YAML, and write nothing.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Look at a table and write models/NAME.yaml, with a reason beside every guess."""
    from flows.new.new import Wanted
    from flows.new.new import new as command

    path = Path(data).absolute()  # before the project's folder becomes the working directory
    lists = [[word.strip() for word in text.split(",") if word.strip()] for text in (names, group)]
    wanted = Wanted(name, path, target, lists[0], lists[1], kind.value if kind else "", horizon, force, dry_run)
    _answer(lambda project: command(project, wanted), terminal.new, as_json, debug)


@app.command()
def plan(model: Model = "digits", as_json: Json = False, debug: Debug = False) -> None:
    """What `ratchet run` would do, stage by stage, and why."""
    from flows.inspect.plan import plan as command

    _answer(lambda project: command(project, model), terminal.plan, as_json, debug)


@app.command()
def status(as_json: Json = False, debug: Debug = False) -> None:
    """Models, champions, their metrics and age, data versions, last decisions."""
    from flows.inspect.status import status as command

    _answer(command, terminal.status, as_json, debug)


@app.command()
def data(
    model: Model = "digits",
    diff: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="A B", help="Compare two: the beginnings of their hashes, `champion` or `latest`."),
    ] = None,
    changed: Annotated[bool, typer.Option("--changed", help="Let the scheduler look for new data now.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """The versions of a model's data, and what was trained on each; or two of them side by side."""
    from flows.cli.commands import data as command

    _answer(lambda project: command(project, model, diff, changed), terminal.data, as_json, debug)


@app.command()
def schedule(
    parallel: Annotated[int | None, typer.Option(min=1, help="Runs at once. Default: half the cores.")] = None,
    debug: Debug = False,
) -> None:
    """Run every model's schedule in this terminal, until it is stopped; `ratchet up` does it in the background."""
    from flows.cli.commands import schedule as command

    _answer(lambda project: command(project, parallel), str, False, debug)


@app.command()
def up(
    no_schedule: Annotated[bool, typer.Option("--no-schedule", help="Without the scheduler.")] = False,
    no_warm: Annotated[
        bool, typer.Option("--no-warm", help="Without the processes that keep TensorFlow and others loaded.")
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Start the servers of Prefect and MLflow and the scheduler in the background, and print their addresses."""
    from flows.cli.commands import up as command

    _answer(lambda project: command(project, not no_schedule, not no_warm), terminal.servers, as_json, debug)


@app.command()
def down(as_json: Json = False, debug: Debug = False) -> None:
    """Stop them."""
    from flows.cli.commands import down as command

    _answer(command, lambda found: f"stopped: {', '.join(found['stopped']) or 'nothing was running'}", as_json, debug)


@app.command()
def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Repair what can be repaired.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Versions, devices, servers, telemetry switches, free disk; says what to fix."""
    from flows.inspect.doctor import doctor as command

    _answer(lambda project: command(project, fix), terminal.doctor, as_json, debug)


class Accept(StrEnum):
    identical = "identical"
    tolerance = "equal within tolerance"
    different = "different"


@app.command()
def verify(
    model: Annotated[str, typer.Argument(help="A model of models/, or `all` for every champion.")] = "digits",
    version: Annotated[int | None, typer.Option(help="A version of the registry. Default: the champion.")] = None,
    accept: Annotated[Accept, typer.Option(help="The worst verdict that still exits with 0.")] = Accept.identical,
    tolerance: Annotated[float, typer.Option(min=0, help="Of a probability, or a share of a target's spread.")] = 0.01,
    recreate_env: Annotated[bool, typer.Option(help="Install the recorded packages first.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Rebuild a version from its recorded commit, data and settings, and compare it byte for byte."""
    from flows.cli.commands import verify as command

    def failed(found: State) -> bool:
        verdicts = list(Accept)
        return any(
            verdicts.index(Accept(one["verdict"])) > verdicts.index(accept) for one in terminal.certificates(found)
        )

    _answer(
        lambda project: command(project, model, version, accept.value, tolerance, recreate_env, as_json),
        terminal.verify,
        as_json,
        debug,
        failed,
    )


@app.command()
def compare(
    model: Model,
    one: Annotated[str, typer.Argument(metavar="A", help="A version number, `champion` or `latest`.")],
    other: Annotated[str, typer.Argument(metavar="B", help="Another: what it gains over A is shown.")],
    output: Annotated[str, typer.Option(help="Write the same as a Markdown page: FILE.md.")] = "",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Two versions side by side: metrics on the same rows, slices, parameters, data, size, time."""
    from flows.cli.commands import compare as command

    here = os.getcwd()  # before the project's folder becomes the working directory
    _answer(lambda project: command(project, model, (one, other), output, here), terminal.compare, as_json, debug)


@app.command()
def predict(
    model: Model,
    source: Annotated[str, typer.Argument(metavar="INPUT", help="Rows to predict: a file, or a folder of files.")],
    output: Annotated[str, typer.Argument(metavar="OUTPUT", help="A file to write: .parquet or .csv.")],
    version: Annotated[int | None, typer.Option(help="A version of the registry. Default: the champion.")] = None,
    device: Annotated[Literal["auto", "cpu", "gpu"] | None, typer.Option(help="Default: `evaluate: device:`.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace OUTPUT if it is there.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Predict the rows of a file, or of a folder of files, with the champion."""
    from flows.cli.commands import predict as command
    from flows.predict.file_paths import Wanted

    paths = Path(source).absolute(), Path(output).absolute()  # before the project's folder becomes the working one
    wanted = Wanted(model, *paths, version, device or "", force)
    _answer(lambda project: command(project, wanted, as_json), terminal.predict, as_json, debug)


@app.command()
def history(
    model: Model = "digits",
    at: Annotated[str, typer.Option(help="Who was champion at an instant, such as 2026-11-01T12:00Z.")] = "",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Every decision about a model's champion, from the ledger; or who was champion at an instant."""
    from flows.inspect.history import history as command

    _answer(lambda project: command(project, model, at), terminal.history, as_json, debug)


@app.command()
def rollback(
    model: Model,
    hold: Annotated[bool, typer.Option("--hold", help="Promote nothing more until a person does.")] = False,
    reason: Annotated[str, typer.Option(help="Why, for the ledger.")] = "",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make the champion before this one champion again; the version that is left is vetoed."""
    from flows.cli.commands import rollback as command

    _answer(lambda project: command(project, model, reason, hold), terminal.move, as_json, debug)


@app.command()
def promote(
    model: Model,
    version: Annotated[int | None, typer.Argument(help="A version of the registry.")] = None,
    reason: Annotated[str, typer.Option(help="Why, for the ledger.")] = "",
    adopt: Annotated[bool, typer.Option("--adopt", help="Take over an alias that was moved from outside.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a version champion by hand; the gate is not asked, and the ledger says so."""
    from flows.cli.commands import promote as command

    _answer(lambda project: command(project, model, version, reason, adopt), terminal.move, as_json, debug)


@app.command()
def restore(model: Model, as_json: Json = False, debug: Debug = False) -> None:
    """Bring data/MODEL and its entries in dvc.lock back to what the champion was made of."""
    from flows.cli.commands import restore as command

    _answer(lambda project: command(project, model), lambda found: found["restored"], as_json, debug)


@app.command()
def prune(
    model: Annotated[str | None, typer.Argument(help="A model of models/. Default: every model.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Delete nothing, only say what would go.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Delete old versions and the data that only they need; what can be verified or rolled back to stays."""
    from flows.cli.commands import prune as command

    _answer(lambda project: command(project, model, dry_run, as_json), terminal.prune, as_json, debug)


def _answer(
    command: Callable[[Any], State],
    words: Callable[[State], str],
    as_json: bool,
    debug: bool,
    failed: Callable[[State], bool] = lambda found: False,
) -> None:
    """Run a command in its project, print its answer, and leave with the right status.

    failed: whether an answer, though it is one, is not what was asked for.
    """
    from flows.cli import terminate
    from flows.project import environment

    project = None
    try:
        project = environment.prepare()
        answer = command(project)
    except KeyboardInterrupt:
        _fail(*terminate.words(), as_json)
    except Exception as error:
        if debug:
            raise
        known = error if isinstance(error, RatchetError) else _diagnosed(project, error)
        unforeseen = f"{type(error).__name__}: {str(error).strip()[:600]}. Run with --debug to see where."
        _fail(str(known or unforeseen), known.status if known else 1, as_json)
    print(json.dumps(answer, allow_nan=False) if as_json else words(visible_text.every(answer, WHOLE)), flush=True)
    if failed(answer):
        raise typer.Exit(1)


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


def main() -> int:
    """Run the command, and leave without taking the loaded libraries down one by one: that would cost half a second."""
    from flows.processes import forward

    if (answer := forward.ask(sys.argv[1:])) is not None:
        return answer
    status = 1
    try:
        app()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    atexit._run_exitfuncs()  # as at any other end
    if forward.INSIDE:
        return status  # for the one who asked
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
