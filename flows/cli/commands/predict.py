"""ratchet predict: the answers of a registered model to the rows of a file."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from flows.cli import terminate
from flows.cli.answer import USE, Debug, Json, Model, State, answer, command
from flows.predict.file_paths import Wanted
from flows.project.environment import Project
from flows.project.plain_words import many


@command(120, USE)
def predict(
    model: Model,
    source: Annotated[str, typer.Argument(metavar="INPUT", help="Rows to predict: a file, or a folder of files.")],
    output: Annotated[str, typer.Argument(metavar="OUTPUT", help="A file to write: .parquet or .csv.")],
    version: Annotated[int | None, typer.Option(help="A version of the registry. Default: the champion.")] = None,
    device: Annotated[Literal["auto", "cpu", "gpu"] | None, typer.Option(help="Default: `evaluate: device:`.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace OUTPUT if it exists.")] = False,
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMNS", help="Columns of INPUT to write beside the answers: `a,b`, or `all`."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse words that the model has never seen.")] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes for many rows. Default: by cores and free memory.")
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Answer with the version itself, not with a smaller form that is served.")
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Predict the rows of a file, or of a folder of files, with the champion."""
    paths = Path(source).absolute(), Path(output).absolute()  # before the project's folder becomes the working one
    wanted = Wanted(model, *paths, version, device or "", force, tuple(keep or ()), strict, workers or 0, exact)
    answer(lambda project: do_predict(project, wanted, as_json), predict_text, as_json, debug)


def do_predict(project: Project, wanted: Wanted, quiet: bool) -> dict[str, Any]:
    """The answers of a registered model to the rows of a file. Raises RequestError, DataError, IntegrityError."""
    from flows.cli import flow_session
    from flows.predict import predict as predicting

    with terminate.listening():  # the half-written file goes in both cases
        return predicting.predict(project, wanted, flow_session.watched(quiet).notice)


def predict_text(found: State) -> str:
    columns = [*found["columns"], *found["kept"]]
    shown = ", ".join(columns) if len(columns) <= 8 else f"{', '.join(columns[:7])} and {len(columns) - 7} more"
    form = f" as {found['served_as']}" if found["served_as"] else ""
    lines = [f"{found['model']} version {found['version']}{form}: {many(found['rows'], 'row')} predicted."]
    lines += [f"!! {found['problem']}."] if found["problem"] else []
    lines += [f"  written   {found['output']}: {shown}"]
    lines += [f"  ahead     {found['added']:,} of them are after the last known rows"] if found["added"] else []
    lines += looked_text(found)
    return "\n".join([*lines, f"  device    {found['hardware']}", f"  took      {found['seconds']:.1f} s"])


def looked_text(found: State) -> list[str]:
    """Lines about the rows of INPUT: those left out, columns that are not known, and words."""
    lines = [f"  left out  {many(count, 'row')}: {why}" for why, count in found["left_out"].items()]
    if ignored := [name for name in found["ignored"] if name not in found["kept"]]:
        told = f"columns that the model does not know: {', '.join(map(repr, ignored))}"
        keep = "" if found["kept"] else "; `--keep` writes them beside the answers"
        lines += [f"  ignored   {told}{keep}"]
    for name, count in found["unknown"].items():
        words = found["unknown_words"].get(name, [])
        told = f" ({', '.join(map(repr, words))}{', ...' if len(words) > 4 else ''})" if words else ""
        lines += [f"  unknown   {count:,} words in {name!r} that the model has never seen{told}, taken as missing"]
    return lines
