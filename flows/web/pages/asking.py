"""Who asks, and whom the pages ask: what every page has in common."""

import base64
import binascii
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from starlette.templating import Jinja2Templates

from flows.web.answering import Answering
from flows.web.labelling import Labelling
from flows.web.overviewed import Overview
from flows.web.watch.kept import Watched

LOGIN = {"WWW-Authenticate": 'Basic realm="Ratchet: any name, and your token as the password", charset="UTF-8"'}


@dataclass(frozen=True)
class Pages:
    """What all pages share. login: a person gives a token of their own, which the answering server checks.
    labelling, watched, overview: None where these pages know no project.
    """

    answering: Answering
    templates: Jinja2Templates
    login: bool = False
    labelling: Labelling | None = None
    watched: Watched | None = None
    overview: Overview | None = None


def pages(request: Request) -> Pages:
    found: Pages = request.app.state.pages
    return found


def answering(request: Request) -> Answering:
    """The answering server, asked with the token of the person if these pages want one. Raises HTTPException(401)."""
    shared = pages(request)
    if not shared.login:
        return shared.answering
    return replace(shared.answering, token=_token(request.headers.get("authorization", "")))


def _token(header: str) -> str:
    kind, _, given = header.partition(" ")
    try:
        token = base64.b64decode(given, validate=True).decode().partition(":")[2] if kind.lower() == "basic" else ""
    except (binascii.Error, UnicodeDecodeError):
        token = ""
    if not token or not token.isascii() or not token.isprintable():
        raise HTTPException(401, "These pages need a token: `ratchet token NAME` makes one.", LOGIN)
    return token


Shared = Annotated[Pages, Depends(pages)]
Asked = Annotated[Answering, Depends(answering)]
