"""ratchet label: what was right of rows that were answered."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli.answer import USE, Debug, Json, Model, State, answer, command
from flows.project.environment import Project
from flows.project.plain_words import many


@command(135, USE)
def label(
    model: Model,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file of labels, or a folder of such files.")],
    timezone: Annotated[str, typer.Option(help="The zone of instants without one, such as Europe/Berlin.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Take nothing, only say what would be.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Take labels of answered rows: a file with `id` (or the declared key) and `label`, perhaps `happened`, `known`."""
    path = Path(file).absolute()  # before the project's folder becomes the working one
    answer(lambda project: do_label(project, model, path, timezone, dry_run), label_text, as_json, debug)


def do_label(project: Project, model: str, path: Path, timezone: str, dry: bool) -> dict[str, Any]:
    """Take the labels of a file. Raises RequestError, DataError; then none of that file is taken."""
    from flows.labels import taking
    from pipelines import model_file

    return taking.take(project, model_file.check(model), path, datetime.now(UTC), timezone, dry)


def label_text(found: State) -> str:
    verb = "would be taken" if found["dry_run"] else "taken"
    lines = [f"{found['model']}: {found['new']:,} of {many(found['rows'], 'label')} {verb}."]
    for one in found["files"]:
        lines += [f"  {one['file']}", *_of_file(one)]
    lines += [f"  !!        {found['selective']}"] if found["selective"] else []
    return "\n".join(lines)


def _of_file(one: State) -> list[str]:
    if one["again"] and not one["taken"]:
        return [f"    again   the same labels were taken on {one['again'][:16]} UTC: nothing has changed"]
    lines = [f"    joined  {many(one['answered'], 'label')} of answered rows"]
    if one["never_served"]:
        lines += [f"    kept    {many(one['never_served'], 'label')} of rows that are not in the log (yet)"]
    for why, count in one["aside"].items():
        places = ", ".join(f"{place:,}" for place in one["examples"][why])
        lines += [f"    aside   {count:,} {why}: row {places}{', ...' if count > len(one['examples'][why]) else ''}"]
    lines += [f"    ignored columns {', '.join(map(repr, one['ignored']))}"] if one["ignored"] else []
    return lines
