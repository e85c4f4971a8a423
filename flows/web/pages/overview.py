"""/: every model in one line, the worst first, where the pages know a project; else the models that are served."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from flows.web.pages import models
from flows.web.pages.asking import Asked, Shared

router = APIRouter()


@router.get("/")
async def overview(request: Request, shared: Shared, answering: Asked, q: str = "") -> Response:
    if shared.overview is None:
        return await models.models(request, shared, answering)
    if shared.login:
        await answering.models()  # refuses a token that may not look
    content: dict[str, Any] = dict(await run_in_threadpool(shared.overview, datetime.now(UTC)))
    wanted = q.strip().lower()
    rows = [row for row in content["rows"] if wanted in row["search"]]
    content |= {"rows": rows, "all": len(content["rows"]), "q": q.strip()}
    return shared.templates.TemplateResponse(request, "overview.html", content)
