"""What people and pages ask: which models there are, what each takes, and the description of all addresses."""

import json
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from flows.serving.engine.live import Live, Served
from flows.serving.explaining import kept
from flows.serving.http import faults, openapi
from flows.serving.http.limits import Limits
from flows.serving.log.writer import Log
from flows.serving.problem import Problem
from flows.serving.trial.counts import Counts
from flows.serving.version import Version

TITLE = "Ratchet: the answering server"
UNKNOWN = {code: words for code, words in openapi.PROBLEMS.items() if code in ("401", "403", "404")}
UNEXPLAINED = {code: words for code, words in openapi.PROBLEMS.items() if code in (*UNKNOWN, "409", "503")}
REFUSED = {code: words for code, words in UNKNOWN.items() if code != "404"}


class Png(Response):
    media_type = "image/png"


class Trial(BaseModel):
    """The version that answers beside the champion. Rows are those of the process that says this."""

    version: int
    served_as: str = Field(default="", description="The smaller form of it that answers.")
    role: str = Field(description="shadow and before answer unseen, canary answers some callers.")
    share: float = Field(description="Of the callers.")
    problem: str = Field(description="Why it does not answer now.")
    answered: int
    failed: int = Field(description="Rows that it had no answer to.")
    skipped: int = Field(description="Rows that it was not asked, because it was behind or not there.")


class Summary(BaseModel):
    """A model that is served."""

    model: str
    version: int | None = Field(description="The version that answers; null if none does.")
    model_hash: str
    serving_hash: str | None = Field(description="Of what is served beside the model; null without such files.")
    served_as: str = Field(default="", description="The smaller form that answers; empty for the version itself.")
    runtime: str = Field(description="What computes the answers: onnx or keras.")
    why: str = Field(description="Why it is not onnx.")
    since: str = Field(description="When the version became the champion.")
    problem: str = Field(description="Why the newest version is not served, or why none is.")
    log: str = Field(description="Why its answers are not logged now, although they should be.")
    trial: Trial | None = Field(default=None, description="What answers beside it.")


class Models(BaseModel):
    format: int = 1
    models: list[Summary]


class Described(Summary):
    """A model with its columns, as columns.json has them."""

    model_config = ConfigDict(extra="allow")
    format: int = 1
    columns: list[dict[str, Any]] = Field(default=[], description="The columns that it takes.")
    example: dict[str, Any] | None = Field(default=None, description="What `predict` takes: it works as it is.")


class Examples(BaseModel):
    format: int = 1
    rows: list[dict[str, Any]] = Field(description="Rows of the test split, as `predict` takes them.")


class Explanations(BaseModel):
    """What matters to a version, as explanations.json has it."""

    model_config = ConfigDict(extra="allow")
    format: int = 1


def application(served: Served, log: Log | None, limits: Limits) -> FastAPI:
    """GET /models, /models/{model}, its /examples and /explanations, and /openapi.json. It has no page: their scripts
    would come from elsewhere."""
    app = FastAPI(title=TITLE, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.add_exception_handler(Problem, _told)
    app.add_exception_handler(HTTPException, _no_address)

    def found(model: str) -> Live:
        if (live := served.models.get(model)) is None:
            raise faults.no_model(model, served.models)
        return live

    def version(model: str) -> Version:
        live = found(model)
        if live.version is None:
            raise faults.no_champion(model, live.problem)
        return live.version

    @app.get("/models", responses=openapi.responses(REFUSED))
    def models() -> Models:
        """All models that are served."""
        return Models(models=[Summary(**_summary(live, log)) for _, live in sorted(served.models.items())])

    @app.get("/models/{model}", responses=openapi.responses(UNKNOWN))
    def one(model: str) -> Described:
        """What a model takes, and which version answers."""
        live = found(model)
        columns = live.version.columns if live.version else {}
        return Described(**{**columns, **_summary(live, log)})

    @app.get("/models/{model}/examples", responses=openapi.responses(UNKNOWN))
    def examples(model: str) -> Examples:
        """Rows of the test split to try."""
        live = found(model).version
        content = json.loads((live.folder / "examples.json").read_text(encoding="utf-8")) if live else {}
        return Examples(rows=content.get("rows", []))

    @app.get("/models/{model}/explanations", responses=openapi.responses(UNEXPLAINED))
    def explanations(model: str) -> Explanations:
        """What matters to the version that answers: importances, dependence, rules, and the names of pictures."""
        return Explanations(**kept.about(version(model)))

    @app.get("/models/{model}/explanations/{picture}", responses=openapi.responses(UNEXPLAINED), response_class=Png)
    def picture(model: str, picture: str) -> Png:
        """A picture that the explanations name."""
        return Png(kept.picture(version(model), picture))

    @app.get("/openapi.json", include_in_schema=False)
    def description() -> JSONResponse:
        return JSONResponse(_description(app, served, limits))

    return app


def _summary(live: Live, log: Log | None) -> dict[str, Any]:
    version = live.version
    return {
        "model": live.name,
        "version": version.number if version else None,
        "model_hash": version.model_hash if version else "",
        "serving_hash": version.serving_hash if version else None,
        "served_as": version.variant if version else "",
        "runtime": version.runtime if version else "",
        "why": version.why if version else "",
        "since": version.since if version else "",
        "problem": live.problem,
        "log": log.problem.get(live.name, "") if log else "",
        "trial": _trial(live),
    }


def _trial(live: Live) -> Trial | None:
    told, trial = live.on_trial, live.trial
    if told is None:
        return None
    counts = trial.counts if trial else Counts(told)
    rows = {"answered": counts.answered, "failed": counts.failed, "skipped": counts.skipped}
    about = {"served_as": told.version.variant, "role": told.role, "share": told.share}
    return Trial(version=told.version.number, problem=live.trial_problem, **about, **rows)


def _description(app: FastAPI, served: Served, limits: Limits) -> dict[str, Any]:
    described = get_openapi(title=TITLE, version="1", routes=app.routes)
    schemas = described.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = openapi.PROBLEM
    for path in described["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)  # FastAPI's own form of a problem, which nobody gets
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for _, live in sorted(served.models.items()):
        if live.version is not None:
            described["paths"] |= openapi.paths(live, limits)
    return described


def _told(request: Request, error: Exception) -> Response:
    """A problem in its own form."""
    problem = error if isinstance(error, Problem) else faults.no_address(request.url.path)
    return Response(faults.told(problem)[2], problem.status, media_type=faults.MEDIA.decode())


def _no_address(request: Request, error: Exception) -> Response:
    return _told(request, faults.no_address(request.url.path))
