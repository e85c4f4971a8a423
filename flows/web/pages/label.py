"""/label/{model}/: rows whose label would say most about a version on trial, one after the other.

What the versions have answered is shown only after the label, so that nobody is led by it. A form of plain buttons;
htmx takes the part that changes, and a script lets a key choose a button.
"""

import json
from datetime import UTC, datetime

from fastapi import APIRouter, HTTPException, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from flows.web import posted
from flows.web.form import picture
from flows.web.labelling import Case, Labelling, Told
from flows.web.pages.asking import LOGIN, Asked, Pages, Shared
from pipelines.errors import DataError, RequestError

router = APIRouter()
KEYS = "123456789"
MOST_BUTTONS = 30  # classes; more are a list


@router.get("/label/{model}/")
async def case(
    model: str, request: Request, shared: Shared, answering: Asked, after: str = "", row: str = ""
) -> Response:
    _, labelling = await _who(shared.labelling, answering.token if shared.login else "")
    return await _page(request, shared, labelling, model, after=after, row=row)


@router.post("/label/{model}/")
async def labelled(model: str, request: Request, shared: Shared, answering: Asked) -> Response:
    person, labelling = await _who(shared.labelling, answering.token if shared.login else "")
    sent, now = await posted.read(request), datetime.now(UTC)
    wanted, label = sent.text("id"), sent.text("label").strip()
    try:
        told = await run_in_threadpool(labelling.take, model, wanted, label, person, now)
    except (DataError, RequestError) as error:
        again = wanted if isinstance(error, DataError) else ""
        return await _page(request, shared, labelling, model, row=again, problem=str(error), status=422)
    return await _page(request, shared, labelling, model, told=told)


async def _who(labelling: Labelling | None, token: str) -> tuple[str, Labelling]:
    """Raises HTTPException: 404 where these pages cannot label, 401 for a token that may not."""
    if labelling is None:
        raise HTTPException(404, "These pages were started without a project: `ratchet up` starts them with one.")
    person = await run_in_threadpool(labelling.person, token)
    if person is None:
        raise HTTPException(401, "To label takes a token with the role `run`: `ratchet token NAME --role run`.", LOGIN)
    return person, labelling


async def _page(
    request: Request,
    shared: Pages,
    labelling: Labelling,
    model: str,
    after: str = "",
    row: str = "",
    told: Told | None = None,
    problem: str = "",
    status: int = 200,
) -> Response:
    try:
        found = await run_in_threadpool(labelling.case, model, after, row)
    except RequestError as error:
        raise HTTPException(404, str(error)) from error
    columns = [(name, value) for name, value in found.row.items() if (found.kind, name) != ("image", "image")]
    content = {"case": found, "told": told, "problem": problem, "columns": columns}
    content |= {"image": _image(found), "buttons": _buttons(found)}
    return shared.templates.TemplateResponse(request, "label.html", content, status)


def _buttons(found: Case) -> list[tuple[str, str]]:
    """Each class with its key: its own letter or digit, else its number; "" for a class without one."""
    names = [str(name) for name in found.classes]
    if len(names) > MOST_BUTTONS:
        return []
    own = all(len(name) == 1 for name in names)
    return [(name, name if own else KEYS[place] if place < len(KEYS) else "") for place, name in enumerate(names)]


def _image(found: Case) -> str:
    """The picture of a row as base64 of a PNG; "" if it has none that can be shown."""
    if found.kind != "image" or "image" not in found.row:
        return ""
    value = found.row["image"]
    value = json.loads(value) if isinstance(value, str) and value.startswith("[") else value
    pixels = picture.pixels(value, found.shape)
    return "" if pixels is None else picture.to_look_at(pixels, int(pixels.max()) or 255)
