"""ratchet export: a registered version as a file for another runtime."""

from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli import terminate
from flows.cli.answer import USE, Debug, Json, Model, State, answer, command
from flows.project.environment import Project


def formats() -> list[str]:
    """For the completion of a shell."""
    from flows.export import convert

    return list(convert.known())


@command(155, USE)
def export(
    model: Model,
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="A folder to write: new, or empty.")],
    to: Annotated[
        str, typer.Option("--format", help="onnx, litert, saved_model or keras.", autocompletion=formats)
    ] = "onnx",
    int8: Annotated[bool, typer.Option("--int8", help="Weights in eight bits: of onnx and litert.")] = False,
    version: Annotated[int | None, typer.Option(help="A version of the registry. Default: the champion.")] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write a version for ONNX Runtime, LiteRT, TensorFlow or Keras, once its answers there were compared."""
    place = Path(folder).absolute()  # before the project's folder becomes the working one
    answer(lambda project: do_export(project, (model, to, place, int8, version), as_json), export_text, as_json, debug)


def do_export(project: Project, asked: tuple[str, str, Path, bool, int | None], quiet: bool) -> dict[str, Any]:
    """Write an export. Raises RequestError, IntegrityError, RatchetError."""
    from flows.cli import flow_session
    from flows.export import export as exporting

    with terminate.listening():  # the half-written folder goes in both cases
        return exporting.export(project, exporting.Wanted(*asked), flow_session.watched(quiet).notice)


def export_text(found: State) -> str:
    checked = found["checked"]
    kind = f"{found['export']}{' int8' if found['int8'] else ''}"
    rows = f"{checked['rows']} kept rows and {checked['planted']} with gaps"
    lines = [
        f"{found['model']} version {found['version']} is in {found['folder']}.",
        f"  written   {found['file']} ({kind}), {found['model_bytes'] / 1000:,.1f} kB; {found['files']} files, "
        f"{found['bytes'] / 1000:,.1f} kB",
        f"  checked   {rows}, in a process of its own",
        f"  differs   by {checked['largest_difference']:.2g} at most, and {checked['allowed']:.2g} is allowed",
    ]
    if checked["labels_changed"] is not None:
        lines.append(f"  labels    {checked['labels_changed']} of {checked['rows']} changed")
    lines += ["  next      README.md there: `python reader.py example.json`", f"  took      {found['seconds']:.1f} s"]
    return "\n".join(lines)
