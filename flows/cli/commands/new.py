"""ratchet new: write the YAML of a new model."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.answer import RETRAIN, Debug, Json, Model, State, answer, command


class Kind(StrEnum):
    table = "table"
    sequence = "sequence"


@command(20, RETRAIN)
def new(
    name: Annotated[str, typer.Argument(help="The model's name: lower-case letters, digits, underscores.")],
    data: Annotated[
        str,
        typer.Option(
            metavar="PATH", help="A table, or images: a folder with a folder for each class, IDX files, .npz."
        ),
    ],
    target: Annotated[str, typer.Option(metavar="COLUMN", help="The column to predict. For images, their label.")] = "",
    names: Annotated[str, typer.Option(metavar="A,B,...", help="The names of the columns, if the file has none.")] = "",
    delimiter: Annotated[str, typer.Option(metavar="SIGN", help="Between two cells; tab and space as words.")] = "",
    decimal: Annotated[str, typer.Option(metavar="SIGN", help="Before decimals: a point or a comma.")] = "",
    thousands: Annotated[str, typer.Option(metavar="SIGN", help="Between groups of three digits.")] = "",
    encoding: Annotated[str, typer.Option(metavar="NAME", help="Of a text file, such as utf-8 or cp1252.")] = "",
    quote: Annotated[str, typer.Option(metavar="SIGN", help="Around cells; none where quotes are letters.")] = "",
    skip: Annotated[int | None, typer.Option(min=0, help="Lines above the header, or above the first row.")] = None,
    skip_end: Annotated[int | None, typer.Option(min=0, help="Lines below the last row.")] = None,
    comment: Annotated[str, typer.Option(metavar="SIGN", help="Lines that begin so are not read, such as #.")] = "",
    trailing_delimiters: Annotated[int | None, typer.Option(min=0, help="Delimiters at the end of each line.")] = None,
    missing: Annotated[str, typer.Option(metavar="A,B,...", help="More texts for a missing value.")] = "",
    group: Annotated[str, typer.Option(metavar="A,B,...", help="Rows with equal values here stay in one split.")] = "",
    kind: Annotated[Kind | None, typer.Option(help="What rows at regular times are. Default: sequence.")] = None,
    horizon: Annotated[int, typer.Option(min=1, help="How many rows ahead a sequence is forecast.")] = 1,
    force: Annotated[bool, typer.Option("--force", help="Replace the YAML if it exists.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the YAML, and write nothing.")] = False,
    commit: Annotated[bool, typer.Option("--commit", help="Commit what it writes, and nothing else.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Look at a table and write models/NAME.yaml, with a reason beside every guess."""
    from flows.new.new import new as work
    from flows.new.text_files import options
    from flows.new.wanted import Wanted

    path = Path(data).absolute()  # before the project's folder becomes the working directory
    lists = [[word.strip() for word in text.split(",") if word.strip()] for text in (names, group, missing)]
    asked = {
        "delimiter": delimiter,
        "decimal": decimal,
        "thousands": thousands,
        "encoding": encoding,
        "quote": quote,
        "skip": skip,
        "skip_end": skip_end,
        "comment": comment,
        "trailing_delimiters": trailing_delimiters,
        "missing": lists[2],
    }
    wanted = Wanted(name, path, target, lists[0], lists[1], kind.value if kind else "", horizon, force, dry_run, commit)
    answer(lambda project: work(project, replace(wanted, given=options.keys(asked))), new_text, as_json, debug)


def new_text(found: State) -> str:
    from flows.new.told import table

    decided = table.text(found["decided"])
    if not found["written"]:  # as comments, so that it can be kept as a file
        return "\n".join([str(found["yaml"]).rstrip(), "", *(f"# {line}".rstrip() for line in decided.splitlines())])
    written = f"written, and committed as {found['commit'][:9]}" if found["commit"] else "written"
    next_ = f"{found['path']} is {written}: read it, correct what is wrong, then `ratchet run {found['model']}`."
    return f"{decided}\n{next_}"


@command(35, RETRAIN)
def upgrade_reader(
    model: Model,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and write nothing.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Read a model's data by the newest rules for what a value means; its champion keeps the rules that it has."""
    answer(lambda project: do_upgrade_reader(model, dry_run), upgrade_text, as_json, debug)


def do_upgrade_reader(model: str, dry_run: bool) -> State:
    """Write the newest reader into the model's YAML, and say what it changes in the pinned rows."""
    from flows.data import upgrade_reader as work
    from pipelines.config import settings

    return work.upgrade(settings.check_name(model), dry_run)


def upgrade_text(found: State) -> str:
    model, before, after = found["model"], found["reader"]["before"], found["reader"]["after"]
    if before == after:
        return f"{model} has reader {after}, the newest, already."
    done = "is" if found["written"] else "would be"
    lines = [f"{model}: reader {before} {done} reader {after} now: `ingest: reader: {after}` in models/{model}.yaml."]
    lines += [f"  rows      {found['identities']:,} of {found['rows']:,} get another identity, and maybe another split"]
    for name, count in found["cells"].items():
        example = found["examples"].get(name)
        shown = f", such as {example[0]!r} -> {example[1]!r}" if example else ""
        lines += [f"  changed   {count:,} cells of {name!r}{shown}: look at the rules about them"]
    return "\n".join([*lines, f"  next      `ratchet run {model}`: the gate matches the rows of both readers"])
