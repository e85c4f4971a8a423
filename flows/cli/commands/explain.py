"""ratchet explain: what each column adds to the answers of a registered model to the rows of a file."""

from pathlib import Path
from textwrap import wrap
from typing import Annotated, Any, Literal

import typer

from flows.cli import terminate
from flows.cli.answer import USE, Debug, Json, Model, State, answer, command
from flows.cli.commands.predict import looked_text
from flows.explain.asked import Wanted
from flows.project.environment import Project
from flows.project.plain_words import many
from pipelines.explaining import ORDERS


@command(121, USE)
def explain(
    model: Model,
    source: Annotated[str, typer.Argument(metavar="ROWS", help="Rows to explain: a file, or a folder of files.")],
    output: Annotated[str, typer.Argument(metavar="OUTPUT", help="A file to write: .parquet or .csv.")],
    version: Annotated[int | None, typer.Option(help="A version of the registry. Default: the champion.")] = None,
    method: Annotated[
        Literal["shapley", "gradients"] | None,
        typer.Option(help="Default: shapley; for pictures gradients, with a PNG for each."),
    ] = None,
    orders: Annotated[
        int, typer.Option(min=2, help="Orders of columns for each row, if it has more than ten: more are more exact.")
    ] = ORDERS,
    seed: Annotated[int, typer.Option(min=0, help="Of the orders.")] = 0,
    counterfactual: Annotated[
        bool, typer.Option("--counterfactual", help="Also write the smallest change that changes each answer.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace OUTPUT if it exists.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse words that the model has never seen.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Explain the answers to the rows of a file: what each column adds to them."""
    paths = Path(source).absolute(), Path(output).absolute()  # before the project's folder becomes the working one
    wanted = Wanted(
        model,
        *paths,
        version,
        force=force,
        strict=strict,
        method=method or "",
        orders=orders,
        seed=seed,
        change=counterfactual,
    )
    answer(lambda project: do_explain(project, wanted, as_json), explain_text, as_json, debug)


def do_explain(project: Project, wanted: Wanted, quiet: bool) -> dict[str, Any]:
    """The explanations of a registered model's answers. Raises RequestError, DataError, IntegrityError."""
    from flows.cli import flow_session
    from flows.explain import explain as explaining

    with terminate.listening():  # the half-written file goes in both cases
        return explaining.explain(project, wanted, flow_session.watched(quiet).notice)


def explain_text(found: State) -> str:
    lines = [f"{found['model']} version {found['version']}: {many(found['rows'], 'row')} explained."]
    lines += [f"!! {found['problem']}."] if found["problem"] else []
    lines += [f"  written   {found['output']}"]
    lines += [f"  pictures  {found['pictures']}: one for each row"] if found["pictures"] else []
    lines += [f"  explains  {found['explains']}", f"  method    {found['method']}"]
    lines += [f"  compared  with {found['background']}"]
    lines += [f"  adds up   but for {found['largest_error']:.1e} at most"]
    for number, row in enumerate(found["first"], 1):
        top = ", ".join(f"{name} {value:+.3g}" for name, value in row["top"].items())
        more = ", ..." if len(found["contributions"]) > len(row["top"]) else ""
        said = f"{row['answer']:.3g}"
        said = said if row["prediction"] == row["answer"] else f"{row['prediction']} {said}"
        lines += _wrapped(f"  row {number:<5} {said}, from {row['base']:.3g}: {top}{more}")
    lines += [part for line in looked_text(found) for part in _wrapped(line)]
    return "\n".join([*lines, f"  computed  by {found['hardware']}", f"  took      {found['seconds']:.1f} s"])


def _wrapped(line: str) -> list[str]:
    """In 80 columns; no name is broken."""
    return wrap(
        line, 80, subsequent_indent=" " * 12, replace_whitespace=False, break_long_words=False, break_on_hyphens=False
    )
