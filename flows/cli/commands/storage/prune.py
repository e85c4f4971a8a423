"""ratchet prune: delete old versions, and the data that only they need."""

from typing import Annotated, Any

import typer

from flows.cli import terminal
from flows.cli.answer import RUNNING, Debug, Json, State, answer, command
from flows.project.environment import Project


@command(200, RUNNING)
def prune(
    model: Annotated[str | None, typer.Argument(help="A model of models/. Default: every model.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Delete nothing, only say what would be deleted.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Delete old versions and the data that only they need. Versions that you may roll back to or verify stay."""
    answer(lambda project: do_prune(project, model, dry_run, as_json), prune_text, as_json, debug)


def do_prune(project: Project, model: str | None, dry_run: bool, quiet: bool) -> dict[str, Any]:
    """Delete old versions, and the data that only they need. Raises IntegrityError, RequestError."""
    from flows.cli import flow_session
    from flows.prune.prune import prune as work

    return work(project, model, dry_run, flow_session.watched(quiet).notice)


def prune_text(found: State) -> str:
    lines = []
    for one in found["models"]:
        verb = "would prune" if found["dry_run"] else "pruned"
        gone = f"{verb} {terminal.versions(one['versions'])}" if one["versions"] else "nothing to prune"
        freed = f", {one['bytes'] / 1e6:.1f} MB" if one["versions"] or one["bytes"] else ""
        kept = terminal.versions(one["kept"]) if one["kept"] else "no version"
        lines += [f"{one['model']}: {gone}{freed}; kept {kept}", *(f"!! {left}" for left in one["left"])]
    return "\n".join([*lines, "Of data only this clone's cache is pruned: DVC's remotes are left alone."])
