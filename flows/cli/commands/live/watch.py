"""ratchet watch: how a model does that is served."""

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from flows.cli import completion
from flows.cli.answer import LOOK, Debug, Json, answer, command
from flows.cli.commands.live.watch_text import watch_text
from pipelines.errors import RequestError

if TYPE_CHECKING:
    from flows.project.environment import Project
    from pipelines.model_file import Declaration

Named = Annotated[
    str | None,
    typer.Argument(
        help="A model of models/; without it, every model that has answered.", autocompletion=completion.models
    ),
]


@command(65, LOOK)
def watch(
    model: Named = None,
    as_of: Annotated[
        str, typer.Option("--as-of", help="Look back at a day, such as 2026-11-30: what was known at its end.")
    ] = "",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show how a model does that is served: answers, labels, live quality, drift, events.

    What it notices goes into the ledger, and is told once. With --as-of nothing is written.
    """
    answer(lambda project: do_watch(project, model, as_of), watch_text, as_json, debug)


def do_watch(project: "Project", model: str | None, as_of: str) -> dict[str, Any]:
    """The answer of `ratchet watch --json`. Raises RequestError for an unknown model, and for a day to come."""
    from flows.monitoring.watch import watch as work
    from pipelines import model_file

    declared = [model_file.check(name) for name in ([model] if model is not None else _answering(project))]
    now = datetime.now(UTC)
    found = [work(project, one, _end(one, as_of, now) if as_of else now, bool(as_of)) for one in declared]
    return {"format": 1, "as_of": as_of, "models": [one.content for one in found]}


def _answering(project: "Project") -> list[str]:
    """The models of models/ that have answered rows which were kept."""
    from flows.monitoring.looks import answered
    from pipelines.config import settings

    return [name for name in settings.models() if answered.there(project.state, name)]


def _end(declared: "Declaration", as_of: str, now: datetime) -> datetime:
    """The last moment of a day in the model's zone."""
    try:
        day = date.fromisoformat(as_of)
    except ValueError as error:
        raise RequestError(f"--as-of {as_of!r} is no day.", "Write it as 2026-11-30.") from error
    after = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(declared.monitor.timezone)).astimezone(UTC)
    if after > now:
        raise RequestError(f"--as-of {as_of}: this day is not over.", "Name an earlier one, or leave out --as-of.")
    return after - timedelta(microseconds=1)
