"""ratchet forget: remove what is kept of a person."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli import terminal
from flows.cli.answer import RUNNING, Debug, Json, Model, State, answer, command
from flows.project.environment import Project
from pipelines.errors import RatchetError, RequestError

if TYPE_CHECKING:
    from flows.forget.forget import Request

MOST = 12  # things of one place, in the answer for people


@command(210, RUNNING)
def forget(
    model: Model,
    keys: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY]...", help="Values of the key that names a person; several columns with commas."),
    ] = None,
    keys_from: Annotated[
        Path | None, typer.Option("--keys", metavar="FILE", help="A file with such a value in each line.")
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option("--column", metavar="NAME=VALUE", help="A column in place of the key.")
    ] = None,
    file: Annotated[
        list[Path] | None, typer.Option("--file", metavar="PATH", help="A table of yours that loses the rows too.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Remove nothing, only say what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    no_run: Annotated[bool, typer.Option("--no-run", help="Do not retrain a champion that learned from them.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Remove a person's rows from sources, versions of the data, evidence, log and answers. Then retrain."""
    from flows.forget.forget import Request

    files = [path.absolute() for path in file or []]  # before the project's folder becomes the working one
    listed = keys_from.absolute() if keys_from else None

    def work(project: Project) -> State:
        request = Request(model, [*(keys or []), *_read(listed)], column or [], files)
        if not dry_run and not yes:
            _ask(project, request, as_json)
        return do_forget(project, request, dry_run, not no_run, as_json)

    answer(work, forget_text, as_json, debug, failed=_failed)


def do_forget(project: Project, request: "Request", dry_run: bool, run: bool, quiet: bool) -> dict[str, Any]:
    """Remove the rows, and retrain if the champion learned from them. Raises RequestError, BusyError."""
    from flows.cli import flow_session
    from flows.forget.forget import forget as work

    found = work(project, request, dry_run, flow_session.watched(quiet).notice)
    retrained: dict[str, Any] = {}
    if run and not dry_run and found["champion_learned"] and not found["unwritten"]:
        from flows.cli.commands.run import do_run

        try:
            made = do_run(project, request.model, quiet)
            retrained = {key: made[key] for key in ("decision", "reason", "version", "champion") if key in made}
        except RatchetError as error:  # the removal is done all the same
            retrained = {"error": str(error)}
    return found | {"retrained": retrained}


def _failed(found: State) -> bool:
    """Whether something is still to be done: rows that a run would bring back, or a run that failed."""
    return bool(found["retrained"].get("error")) or bool(found["unwritten"] and not found["dry_run"])


def _read(path: Path | None) -> list[str]:
    """The lines of a file of keys. Raises RequestError if it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8") if path else ""
    except (OSError, ValueError) as error:
        raise RequestError(f"{path} cannot be read: {error}.", "Name a text file with a key in each line.") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def _ask(project: Project, request: "Request", quiet: bool) -> None:
    """Show what would go, and ask. Raises RequestError where nobody can answer, and if the answer is no.

    A key of which nothing is kept is refused first: then there is nothing to ask.
    """
    found = do_forget(project, request, True, False, quiet)
    if quiet or not sys.stdin.isatty():
        raise RequestError("Nobody can be asked here, and what is forgotten does not come back.", "Add --yes.")
    print(forget_text(found))
    if not typer.confirm("Remove all of this for good?"):
        raise RequestError("Nothing was removed.")


def forget_text(found: State) -> str:
    verb = "would remove" if found["dry_run"] else "removed"
    lines = [
        f"{found['model']}: {verb} what is kept of {_times(found['keys'], 'key')}, {_times(found['rows'], 'row')}."
    ]
    for place, count in found["places"].items():
        rows = f", {_times(count['rows'], 'row')}" if count["rows"] else ""
        lines.append(f"  {place:<21} {_times(count['things'], 'thing')}{rows}")
        named = [one["what"] for one in found["changes"] if one["place"] == place] if found["dry_run"] else []
        lines += [f"    {what}" for what in named[:MOST]] + ([f"    {len(named) - MOST} more"] * (len(named) > MOST))
    if found["versions"]:
        lines.append(f"  {'not verifiable':<21} {terminal.versions(found['versions'])}: their data lost rows")
    if found["learned"]:
        lines.append(f"  {'learned from them':<21} {terminal.versions(found['learned'])}")
    return "\n".join([*lines, *(f"!! {left}" for left in found["left"]), *_after(found)])


def _after(found: State) -> list[str]:
    """What came after, or is to be done."""
    made, model = found["retrained"], found["model"]
    if "error" in made:
        return [f"  {'retraining':<21} failed: {made['error']}"]
    if made:
        lines = [f"  {'retraining':<21} {made['decision']}: {made['reason']}"]
        still = made.get("champion") in found["learned"]
        return lines + [f"!! version {made['champion']}, which learned from them, is still champion"] * still
    if found["dry_run"] or not found["champion_learned"]:
        return []
    return [f"  {'next':<21} `ratchet run {model}`: the champion, version {found['champion']}, learned from them"]


def _times(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' if number != 1 else ''}"
