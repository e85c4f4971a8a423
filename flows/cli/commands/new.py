"""ratchet new: write the YAML of a new model."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.answer import Debug, Json, State, answer, command


class Kind(StrEnum):
    table = "table"
    sequence = "sequence"


@command(20)
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
    from flows.new.new import new as work

    path = Path(data).absolute()  # before the project's folder becomes the working directory
    lists = [[word.strip() for word in text.split(",") if word.strip()] for text in (names, group)]
    wanted = Wanted(name, path, target, lists[0], lists[1], kind.value if kind else "", horizon, force, dry_run)
    answer(lambda project: work(project, wanted), new_text, as_json, debug)


def new_text(found: State) -> str:
    if not found["written"]:
        return str(found["yaml"]).rstrip()
    return f"{found['path']} is written: read it, correct what is wrong, then `ratchet run {found['model']}`."
