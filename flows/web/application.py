"""The application: its pages, its files, and what it says when something is wrong."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from flows.web import shown
from flows.web.answering import Answering, Away, Refused
from flows.web.guard import Guard
from flows.web.labelling import Labelling
from flows.web.overviewed import Overview
from flows.web.pages import label, models, overview, try_it, watch
from flows.web.pages.asking import LOGIN, Pages
from flows.web.watch.kept import Watched

# Each request has a connection of its own: one that is kept may end just when it is used again.
ANEW = httpx.Limits(max_keepalive_connections=0)
# A form that cannot be answered stays as it is: htmx puts the message where the answer would be.
IN_PLACE = {"HX-Retarget": "#answer", "HX-Reselect": "#error", "HX-Reswap": "innerHTML"}


def application(
    server: str,
    token: str = "",
    login: bool = False,
    names: Collection[str] = (),
    labelling: Labelling | None = None,
    watched: Watched | None = None,
    overviewed: Overview | None = None,
) -> ASGIApp:
    """The pages. server: the address of the answering server; token: for it. login: each person gives a token instead.
    names: of hosts besides loopback's, at which the pages are. labelling, watched, overviewed: for the pages of these
    names."""

    client = httpx.AsyncClient(trust_env=False, limits=ANEW)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with client:
            yield

    app = FastAPI(lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)
    asked = Answering(client, server.rstrip("/"), token)
    app.state.pages = Pages(asked, shown.templates(), login, labelling, watched, overviewed)
    for page in (overview, models, try_it, label, watch):
        app.include_router(page.router)
    app.mount("/static", StaticFiles(directory=shown.STATIC), "static")
    for kind, answer in ((HTTPException, _http), (RequestValidationError, _unread), (Refused, _refused), (Away, _away)):
        app.add_exception_handler(kind, answer)
    return Guard(app, names)


async def _http(request: Request, error: Any) -> Response:
    titles = {404: "There is no such page", 401: "These pages need a token"}
    detail = "" if error.detail == "Not Found" else error.detail
    return _page(request, error.status_code, titles.get(error.status_code, "This did not work"), detail, error.headers)


async def _unread(request: Request, error: Any) -> Response:
    return _page(request, 404, "There is no such page", "The address has a part that is not what it should be.")


async def _refused(request: Request, error: Any) -> Response:
    """What the answering server has refused, and no page could say better."""
    told, headers = error.problem, LOGIN if error.status == 401 else None
    detail = f"{told['detail']} {told['repair']}".strip()
    return _page(request, error.status, told["title"] or "The answering server refused", detail, headers)


async def _away(request: Request, error: Any) -> Response:
    return _page(request, 503, "The answering server is away", f"{error} `ratchet serve` starts it.")


def _page(request: Request, status: int, title: str, detail: str, headers: Any = None) -> Response:
    shared: Pages = request.app.state.pages
    content = {"title": title, "detail": detail}
    return shared.templates.TemplateResponse(request, "error.html", content, status, {**(headers or {}), **IN_PLACE})
