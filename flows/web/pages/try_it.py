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
from flows.web.explained import matters, why
from flows.web.explained.why import Why
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
    why: Why | None = None
    explains: bool = False  # whether that was asked: then nothing was logged


@router.get("/models/{model}/")
async def empty(model: str, request: Request, shared: Shared, answering: Asked, row: int = 0) -> Response:
    described, examples = await answering.model(model), await answering.examples(model)
    place = row % len(examples) if examples else 0
    made = await run_in_threadpool(entries.of_example, described, examples, place)
    content = _content(model, described, made, Outcome()) | await _matters(answering, model, described)
    return shared.templates.TemplateResponse(request, "try.html", content)


@router.post("/models/{model}/")
async def tried(model: str, request: Request, shared: Shared, answering: Asked) -> Response:
    sent = await posted.read(request)
    described, examples = await answering.model(model), await answering.examples(model)
    made = await run_in_threadpool(entries.of_form, described, examples, sent)
    status, outcome = (422, Outcome(problem=made.problem)) if made.problem else await _outcome(answering, model, made)
    content = _content(model, described, made, outcome) | await _matters(answering, model, described)
    return shared.templates.TemplateResponse(request, "try.html", content, status)


@router.post("/models/{model}/why")
async def asked_why(model: str, request: Request, shared: Shared, answering: Asked) -> Response:
    """The same page with the explanation of the answer; a script takes that part of it alone."""
    sent = await posted.read(request)
    described, examples = await answering.model(model), await answering.examples(model)
    made = await run_in_threadpool(entries.of_form, described, examples, sent)
    if made.problem:
        status, outcome = 422, Outcome(problem=made.problem, explains=True)
    else:
        status, outcome = await _explained(answering, model, made, str(described["target"]))
    content = _content(model, described, made, outcome) | await _matters(answering, model, described)
    return shared.templates.TemplateResponse(request, "try.html", content, status)


@router.get("/models/{model}/explanations/{file}")
async def picture(model: str, file: str, answering: Asked) -> Response:
    """A picture of the explanations, for the page."""
    return Response(await answering.picture(model, file), media_type="image/png")


async def _outcome(answering: Answering, model: str, made: entries.Entry) -> tuple[int, Outcome]:
    """The status of the page, and what it says."""
    url, secured = answering.url + answering.predict_path(model), bool(answering.token)
    try:
        answer = await answering.predict(model, made.row)
    except Refused as refused:
        if refused.status == 401:
            raise
        return refused.status, Outcome(problem=refused.problem)
    return 200, Outcome(answer, *_ranked(answer), lines=code_lines.lines(url, made.row, secured))


async def _explained(answering: Answering, model: str, made: entries.Entry, target: str) -> tuple[int, Outcome]:
    """As _outcome, of an explanation."""
    try:
        answer = await answering.explain(model, made.row)
    except Refused as refused:
        if refused.status == 401:
            raise
        return refused.status, Outcome(problem=refused.problem, explains=True)
    return 200, Outcome(answer, *_ranked(answer), why=why.of(answer, made.row, target), explains=True)


def _ranked(answer: Mapping[str, Any]) -> tuple[list[tuple[str, float]], int, str]:
    """The classes with their probabilities, how many are left out, and the class that has the most."""
    ranked = sorted(answer.get("probabilities", {}).items(), key=lambda one: -one[1])
    return ranked[:MOST_BARS], len(ranked[MOST_BARS:]), spelled(answer["prediction"])


async def _matters(answering: Answering, model: str, described: Mapping[str, Any]) -> dict[str, Any]:
    """What matters to the version, None where nobody knows."""
    return {"matters": matters.of(await answering.explanations(model) if described["version"] else {})}


def _content(model: str, described: Mapping[str, Any], made: entries.Entry, outcome: Outcome) -> dict[str, Any]:
    return {"model": model, "described": described, "entry": made, "outcome": outcome}
