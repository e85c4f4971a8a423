"""/models/: the models that are served."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from flows.web.pages.asking import Asked, Shared

router = APIRouter()


@router.get("/models/")
async def models(request: Request, shared: Shared, answering: Asked) -> Response:
    found = sorted(await answering.models(), key=lambda one: str(one["model"]))
    content = {"models": found, "server": answering.url, "labelling": shared.labelling is not None}
    watched = {one["model"] for one in found if shared.watched and shared.watched(str(one["model"]))}
    content |= {"watched": watched}
    return shared.templates.TemplateResponse(request, "models.html", content)
