"""The facts of every model, for the pages: one record each, from the ledger, MLflow's tables and files of the state.

`read` is fast because it reads what has changed only: who asks again hands in what was known (`Known`).
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from flows.deployment import live_file
from flows.overview import declared, registry, told
from flows.overview.next_runs import Coming
from flows.overview.registry import Registered
from flows.overview.told import Decision, Event, Point, Told
from flows.project import locks
from flows.project.environment import Project
from flows.records import attempts, ledger
from flows.schedule import served
from flows.web.watch import kept
from pipelines.config import settings

Signature = tuple[int, int] | None


@dataclass(frozen=True)
class Live:
    """How the champion does on live rows, as the last watch has seen it. value, low, high: the metric on labelled rows,
    None without any. drifted: names of columns. answers: whether it has answered any row; labels: whether it has any
    label. promised: the low end of what the gate promised, None where that is not known."""

    at: str
    said: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    worse: bool = False
    promised: float | None = None
    answers: bool = False
    labels: bool = False
    drifted: tuple[str, ...] = ()
    columns: int = 0


@dataclass(frozen=True)
class Attempt:
    """An attempt to retrain: how it ended, when, and why. trigger: command, schedule, page or event."""

    outcome: str
    at: str
    reason: str
    trigger: str = ""


@dataclass(frozen=True)
class Verified:
    verdict: str
    at: str


@dataclass(frozen=True)
class ModelFacts:
    """All that the overview says of a model. Instants are ISO texts in UTC, "" for unknown ones.

    value, low, high: the metric of the champion on its test rows, with its interval where the ledger has one. points:
    the judged versions, the oldest first. alias: what is wrong with alias or ledger. registered: whether the registry
    could be looked at. settings: what is wrong with the YAML. schedule: in words, "" without one.
    """

    model: str
    champion: int | None = None
    since: str = ""
    metric: str = ""
    greater_is_better: bool = True
    margin: float = 0.0
    value: float | None = None
    low: float | None = None
    high: float | None = None
    points: tuple[Point, ...] = ()
    decision: Decision | None = None
    waits: Decision | None = None
    held: str = ""
    trial: int | None = None
    events: tuple[Event, ...] = ()
    alias: str = ""
    registered: bool = True
    settings: str = ""
    refused: Attempt | None = None
    failed: Attempt | None = None
    tick: Attempt | None = None
    running: bool = False
    verified: Verified | None = None
    live: Live | None = None
    serving: str = ""
    schedule: str = ""
    served: bool = False
    died: bool = False
    next_run: str = ""


@dataclass
class Known:
    """What a caller of `read` keeps from one time to the next: only what has changed is read. For one thread."""

    told: dict[str, tuple[Any, Told]] = field(default_factory=dict)
    files: dict[Path, tuple[Signature, Any]] = field(default_factory=dict)
    coming: Coming = field(default_factory=Coming)

    def file(self, path: Path, read: Callable[[], Any]) -> Any:
        """What `read` makes of a file, made anew if the file has another time or size."""
        now = _signature(path)
        if path not in self.files or self.files[path][0] != now:
            self.files[path] = (now, read())
        return self.files[path][1]


@dataclass(frozen=True)
class Now:
    """What is read once for all models. registered: None where the registry cannot be looked at; schedule: of each
    model that the scheduler serves, in words; running: models of which a run is at work; coming: their next runs."""

    registered: Mapping[str, Registered] | None
    schedule: Mapping[str, str]
    died: bool
    running: frozenset[str]
    coming: Mapping[str, str]


@dataclass(frozen=True)
class Machine:
    """free, total: bytes on the disk of the project."""

    free: int
    total: int


def machine(project: Project) -> Machine:
    found = shutil.disk_usage(project.root)
    return Machine(found.free, found.total)


def read(project: Project, now: datetime, known: Known | None = None) -> list[ModelFacts]:
    """The facts of every model of models/, by name. Raises RatchetError if the ledger cannot be read."""
    known, models = known or Known(), settings.models()
    registered, book = registry.read(project), ledger.of(project)
    newest = book.newest()
    keys = {model: (newest.get(model), *_followed(registered, model)) for model in models}
    stale = [model for model in models if model not in known.told or known.told[model][0] != keys[model]]
    for model, lines in book.lines_of(stale).items():
        known.told[model] = (keys[model], told.of(model, lines, *keys[model][1:]))
    schedule, held = served.running(project), locks.held(project)
    at = Now(
        registered=registered,
        schedule=schedule.get("models", {}),
        died=served.died(project) and not schedule,
        running=frozenset(name.removeprefix("model-") for name in held if name.startswith("model-")),
        coming=known.coming.of(project, now) if schedule else {},
    )
    return [_facts(project, model, known, at) for model in models]


def _facts(project: Project, model: str, known: Known, at: Now) -> ModelFacts:
    book, wanted = known.told[model][1], known.file(settings.FOLDER / f"{model}.yaml", partial(declared.of, model))
    found = (at.registered or {}).get(model, Registered())
    ticks = project.state / "ticks" / f"{model}.jsonl"
    refused, failed, last = known.file(ticks, partial(_attempts, project, model))
    points = tuple(_measured(point, wanted.metric, found) for point in book.points)
    own = next((point for point in points if point.version == book.champion), None)
    value = own.value if own else found.metrics.get(book.champion or 0, {}).get(wanted.metric)
    verified = found.verified.get(book.champion or 0)
    watched = project.state / "watch" / model / "watched.json"
    serving = live_file.place(project, model) / "live.json"
    scheduled = at.schedule.get(model, "")
    broken = scheduled if scheduled.startswith("not scheduled: ") else ""
    return ModelFacts(
        model=model,
        champion=book.champion,
        since=book.since,
        metric=wanted.metric,
        greater_is_better=wanted.greater_is_better,
        margin=wanted.margin,
        value=value,
        low=own.low if own else None,
        high=own.high if own else None,
        points=points,
        decision=book.decision,
        waits=book.waits,
        held=book.held,
        trial=book.trial,
        events=book.events,
        alias=book.problem,
        registered=at.registered is not None,
        settings=wanted.problem or broken,
        refused=refused,
        failed=failed,
        tick=last,
        running=model in at.running,
        verified=Verified(*verified) if verified else None,
        live=known.file(watched, partial(_live, project, model)),
        serving=known.file(serving, partial(_serving, project, model)),
        schedule=wanted.schedule,
        served=model in at.schedule,
        died=at.died,
        next_run=at.coming.get(model, ""),
    )


def _followed(registered: Mapping[str, Registered] | None, model: str) -> tuple[str | None, int | None]:
    """What the alias has followed, and where it is; (None, None) where the registry cannot be looked at."""
    if registered is None:
        return None, None
    found = registered.get(model, Registered())
    return found.followed, found.alias


def _measured(point: Point, metric: str, found: Registered) -> Point:
    """The same of the metric that decides now; without an interval where the ledger has none."""
    if point.value is not None and point.metric == metric:
        return point
    return replace(point, metric=metric, value=found.metrics.get(point.version, {}).get(metric), low=None, high=None)


def _attempts(project: Project, model: str) -> tuple[Attempt | None, Attempt | None, Attempt | None]:
    """What is refused, what has failed, and the last attempt that came to an end."""
    lines = attempts.read(project, model)
    last = attempts.last(lines, lambda tick: tick.outcome != "began")
    refused, failed, last_one = (_attempt(tick) for tick in (attempts.refusal(lines), attempts.failure(lines), last))
    return refused, failed, last_one


def _attempt(tick: attempts.Tick | None) -> Attempt | None:
    return Attempt(tick.outcome, tick.at, tick.reason, tick.trigger) if tick else None


def _live(project: Project, model: str) -> Live | None:
    """None if it was never watched."""
    found = kept.read(project.state, model)
    if found is None:
        return None
    quality, drift, labels = (found.get(name) or {} for name in ("quality", "drift", "labels"))
    answers, promise = found.get("answers") or {}, quality.get("promise") or {}
    return Live(
        at=str(found.get("at", "")),
        said=str(quality.get("said", "")),
        value=quality.get("value"),
        low=quality.get("low"),
        high=quality.get("high"),
        worse=bool(quality.get("worse")),
        promised=promise.get("low"),
        answers=bool(answers.get("days")),
        labels=bool(labels.get("share")),
        drifted=tuple(str(one["name"]) for one in drift.get("columns", []) if one.get("alarm")),
        columns=len(drift.get("columns", [])),
    )


def _serving(project: Project, model: str) -> str:
    """What is wrong with what is live on this machine, or ""."""
    found = live_file.read(project, model)
    return found.problem if found else ""


def _signature(path: Path) -> Signature:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
