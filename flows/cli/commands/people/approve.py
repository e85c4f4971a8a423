"""ratchet approve and reject: what a person says about a version that waits for approval."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from flows.cli import terminal
from flows.cli.answer import CHAMPION, Debug, Json, Model, State, answer, command
from flows.cli.commands.champion import live, live_text
from flows.project.environment import Project

Version = Annotated[int | None, typer.Argument(help="The version that waits; not needed where only one does.")]
TokenFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A file with your token. Without one: RATCHET_TOKEN, else your Unix user."),
]
MOVED = ("accepted", "promoted")


@command(92, CHAMPION)
def approve(
    model: Model,
    version: Version = None,
    reason: Annotated[str, typer.Option(help="Why, for the ledger.")] = "",
    token_file: TokenFile = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Approve a version that waits (`promote: approval:`). With the last approval it becomes champion."""
    answer(
        lambda project: do_say("approve", project, model, version, reason, token_file), approval_text, as_json, debug
    )


@command(94, CHAMPION)
def reject(
    model: Model,
    version: Version = None,
    reason: Annotated[str, typer.Option(help="Why, for the ledger.")] = "",
    token_file: TokenFile = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Reject a version that waits for approval. The champion stays."""
    about = (model, version, reason, token_file)
    answer(lambda project: do_say("reject", project, *about), approval_text, as_json, debug)


def do_say(
    word: Literal["approve", "reject"],
    project: Project,
    model: str,
    version: int | None,
    reason: str,
    token_file: Path | None,
) -> dict[str, Any]:
    """Raises RequestError if nothing waits, or the person may not say so."""
    from flows.access import persons
    from flows.promotion import approving
    from pipelines.config import settings

    settings.check_name(model)
    person = persons.here(project.state, token_file)
    say = {"approve": approving.approve, "reject": approving.reject}[word]
    return _concluded(project, say(project, model, version, reason, person))


def _concluded(project: Project, said: dict[str, Any]) -> dict[str, Any]:
    """What is live on this machine after it, where the champion moved; and whoever hears of decisions is told."""
    from flows.run import notify

    notify.said(project, said, lambda wrong: print(wrong, file=sys.stderr))
    return live(project, said) if said["action"] in MOVED else said | {"live": {}}


def approval_text(found: State) -> str:
    model, version, wait = found["model"], found["version"], found["approval"]
    if found["action"] == "approved":
        more = f"{wait['missing']} more: {' or '.join(wait['others'])}"
        until = f"{terminal.instant(wait['until'])[:16]} UTC"
        said = f"{found['person']} approves version {version}; it waits for {more}, until {until}"
    elif found["action"] in MOVED:
        said = f"{found['person']} approves version {version}, and it is champion"
    elif found["action"] == "rejected":
        said = f"version {version} is rejected"
    else:
        said = f"version {version}: {found['action']}"
    champion = f"version {found['champion']}" if found["champion"] else "none"
    lines = [f"{model}: {said}.", f"  champion  {champion}", f"  reason    {found['reason']}"]
    lines += [f"  live      {live_text(found['live'])}"] if found["live"] else []
    return "\n".join([*lines, f"  next      `ratchet history {model}` shows every decision"])
