"""/watch/{model}/: how a model does that is served, as its last watch has seen it."""

from fastapi import APIRouter, HTTPException, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from flows.web.pages.asking import Asked, Shared
from flows.web.watch import words

router = APIRouter()
DAYS = 14


@router.get("/watch/{model}/")
async def watch(model: str, request: Request, shared: Shared, answering: Asked) -> Response:
    if shared.watched is None:
        raise HTTPException(404, "These pages were started without a project: `ratchet up` starts them with one.")
    await answering.models()  # refuses a token that may not look
    found = await run_in_threadpool(shared.watched, model)
    if found is None:
        raise HTTPException(
            404, f"{model} was never watched: `ratchet watch {model}` does it, and each tick of its schedule."
        )
    return shared.templates.TemplateResponse(
        request, "watch.html", {"found": found, "words": words, "days": _days(found)}
    )


def _days(found: dict[str, object]) -> list[dict[str, object]]:
    """The last days, the newest first: answers, and live quality of those that have labels."""
    answered, quality = found["answers"], found["quality"]
    judged = {day["day"]: day for day in quality["days"]} if isinstance(quality, dict) else {}
    days = answered["days"][-DAYS:] if isinstance(answered, dict) else []
    return [{**day, "judged": judged.get(day["day"])} for day in reversed(days)]
