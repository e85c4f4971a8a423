"""/models/{model}/: the page to try a model on one row.

The form is filled from the address (?row=3, a row of the test split) or from what was sent. Sending it with a script of
htmx or without one gives the same page; htmx then takes the part of it that changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from flows.web import posted
from flows.web.answering import Answering, Refused
from flows.web.form import code_lines, entries
from flows.web.form.fields import spelled
from flows.web.pages.asking import Asked, Shared

router = APIRouter()
MOST_BARS = 12  # classes that are shown with their probabilities


@dataclass(frozen=True)
class Outcome:
    """What the page says of a row. answer: of the server. problem: what is wrong with the row, and where."""

    answer: Mapping[str, Any] = field(default_factory=dict)
    bars: list[tuple[str, float]] = field(default_factory=list)
    fewer: int = 0  # classes that have no bar
    chosen: str = ""  # the class that has the most
    problem: Mapping[str, Any] = field(default_factory=dict)
    lines: code_lines.Lines | None = None


@router.get("/models/{model}/")
async def empty(model: str, request: Request, shared: Shared, answering: Asked, row: int = 0) -> Response:
    described, examples = await answering.model(model), await answering.examples(model)
    place = row % len(examples) if examples else 0
    made = await run_in_threadpool(entries.of_example, described, examples, place)
    return shared.templates.TemplateResponse(request, "try.html", _content(model, described, made, Outcome()))


@router.post("/models/{model}/")
async def tried(model: str, request: Request, shared: Shared, answering: Asked) -> Response:
    sent = await posted.read(request)
    described, examples = await answering.model(model), await answering.examples(model)
    made = await run_in_threadpool(entries.of_form, described, examples, sent)
    status, outcome = (422, Outcome(problem=made.problem)) if made.problem else await _outcome(answering, model, made)
    content = _content(model, described, made, outcome)
    return shared.templates.TemplateResponse(request, "try.html", content, status)


async def _outcome(answering: Answering, model: str, made: entries.Entry) -> tuple[int, Outcome]:
    """The status of the page, and what it says."""
    url, secured = answering.url + answering.predict_path(model), bool(answering.token)
    try:
        answer = await answering.predict(model, made.row)
    except Refused as refused:
        if refused.status == 401:
            raise
        return refused.status, Outcome(problem=refused.problem)
    ranked = sorted(answer.get("probabilities", {}).items(), key=lambda one: -one[1])
    lines = code_lines.lines(url, made.row, secured)
    return 200, Outcome(answer, ranked[:MOST_BARS], len(ranked[MOST_BARS:]), spelled(answer["prediction"]), lines=lines)


def _content(model: str, described: Mapping[str, Any], made: entries.Entry, outcome: Outcome) -> dict[str, Any]:
    return {"model": model, "described": described, "entry": made, "outcome": outcome}
