"""ratchet compare: two versions side by side."""

import textwrap
from pathlib import Path
from typing import Annotated

import typer

from flows.cli import terminal
from flows.cli.answer import LOOK, Debug, Json, Model, State, answer, command
from flows.project.environment import Project


@command(70, LOOK)
def compare(
    model: Model,
    one: Annotated[str, typer.Argument(metavar="A", help="A version number, `champion` or `latest`.")],
    other: Annotated[str, typer.Argument(metavar="B", help="Another version. The gain is that of B over A.")],
    output: Annotated[str, typer.Option(help="Write the same as a Markdown page: FILE.md.")] = "",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare two versions: metrics on the same rows, slices, parameters, data, size, time."""
    here = Path.cwd()  # before the project's folder becomes the working directory
    words = (one, other)
    answer(lambda project: do_compare(project, model, words, output, here, as_json), compare_text, as_json, debug)


def do_compare(
    project: Project, model: str, words: tuple[str, str], output: str, here: Path, quiet: bool = False
) -> State:
    """Two versions side by side; nothing is changed. Raises RequestError, IntegrityError."""
    from flows.cli import flow_session
    from flows.compare.compare import compare as work
    from flows.report.steps import Steps

    with Steps(flow_session.watched(quiet).notice) as at:
        return work(project, model, words, output, here, at)


def compare_text(found: State) -> str:
    from flows.compare import render

    parts = [f"{render.title(found)}\n{textwrap.fill(render.sentence(found), 118)}"]
    for table in render.tables(found):
        shown = terminal.table(table.rows, table.grey) if table.rows else ""
        note = textwrap.fill(table.note, 118, initial_indent="  ", subsequent_indent="  ")
        parts.append("\n".join(filter(None, [table.title, shown, note])))
    parts += [f"written to {found['page']}"] if found["page"] else []
    return "\n\n".join(parts)
