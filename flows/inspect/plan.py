"""Plan: what `ratchet run` would do, stage by stage, and why. Nothing is run, fetched or written.

It also says whether the test rows of the last run can show an equal candidate to be one, before anything is trained.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.data import refresh
from flows.data.arrivals import unended
from flows.deployment import freshness, live_file
from flows.graph import lockfile
from flows.graph.pipeline import Graph
from flows.labels import learned
from flows.project.environment import Project
from flows.records import stage_times
from flows.run import rhythm
from pipelines import model_file
from pipelines.errors import RatchetError
from pipelines.model_file import Declaration
from pipelines.sections.promote import Promote

Entry = dict[str, Any]
SELDOM = 0.05  # a chance to pass that is as good as none


@dataclass
class Step:
    """One stage. state: reuse (its outputs are there, or in DVC's run cache), run, or blocked."""

    name: str
    state: str
    reasons: list[str]
    seconds: float | None  # how long its last run here took
    anew: list[str] = field(default_factory=list)  # outputs that will or may change


def plan(project: Project, model: str) -> dict[str, Any]:
    """What would happen to each stage. Raises RequestError for an unknown model."""
    declared = model_file.check(model)
    rhythm.check(model, declared.schedule)
    with Graph(project, model) as graph:
        try:
            fresh = [refresh.news(project, graph, declared), learned.news(project, declared, datetime.now(UTC))]
            news, failure = "; ".join(filter(None, fresh)), ""
        except RatchetError as error:
            news, failure = "", error.what
        steps = _steps(project, graph, news, failure)
    stages = [{key: value for key, value in asdict(step).items() if key != "anew"} for step in steps]
    found = {"format": 1, "model": model, "source": news or failure or _nothing(project, declared), "stages": stages}
    return found | {"power": power(project.data(model) / "clean.json", declared.promote), "live": live(project, model)}


def live(project: Project, model: str) -> str:
    """What a run makes live on this machine though no stage has to run, or "".

    Where nothing was ever made live, no ledger is opened: a plan writes nothing.
    """
    found = live_file.read(project, model)
    if found is None or freshness.fresh(project, model):
        return ""
    return "what is live on this machine is not as ledger and YAML say: a run makes it so"


def _nothing(project: Project, declared: Declaration) -> str:
    return "; ".join(["nothing new", *unended.told(project, declared.ingest)])


def power(cleaned: Path, rules: Promote) -> dict[str, Any] | None:
    """How often an equal candidate would pass on the test rows of the last run; None where that is often enough, where
    nothing is known, or where only a better one shall pass."""
    if not cleaned.exists() or rules.margin <= 0:
        return None
    classes = json.loads(cleaned.read_text(encoding="utf-8"))["splits"]["test"].get("classes")
    if not classes:
        return None
    from flows.promotion.statistics import power

    passes = power.before_training(rules.metric, list(classes.values()), rules.margin)
    if passes is None or passes >= power.FULL:
        return None
    rarest, rows = power.scarce(rules.metric, classes)
    needed = power.scarce_rows_needed(rules.metric, classes, rules.margin)
    found = {"metric": rules.metric, "margin": rules.margin, "class": rarest, "rows": rows}
    return found | {"equal_passes": round(passes, 3), "rows_needed": needed, "said": _said(found, passes, needed)}


def _said(found: dict[str, Any], passes: float, needed: int | None) -> str:
    """In one sentence."""
    from flows.promotion.statistics.power import DISAGREE, FULL

    within = f"within {found['margin']:g} of {found['metric']}"
    more = f"about {needed:,} are needed" if needed else "no number of rows would change that"
    if found["class"] is None:
        said = f"on {found['rows']:,} test rows an equal candidate that disagrees on {DISAGREE:.0%} of them"
        more = f"about {needed:,} test rows are needed for {FULL:.0%}" if needed else more
        return f"{said} passes {passes:.0%} of the time at margin {found['margin']:g}; {more}"
    rows = f"with {found['rows']:,} test row{'s' if found['rows'] != 1 else ''} of class {found['class']!r}"
    if passes < SELDOM:
        return f"{rows} no candidate can be shown equal {within}; {more}"
    return f"{rows} an equal candidate is shown equal {within} {passes:.0%} of the time; {more}"


def _steps(project: Project, graph: Graph, news: str, failure: str) -> list[Step]:
    recorded, needs, seconds = (
        lockfile.effective(project, graph.model),
        graph.needs(),
        stage_times.last(project, graph.model),
    )
    steps: dict[str, Step] = {}
    settled: set[str] = set()  # outputs that are as recorded, or will be restored so
    for stage in graph.order():
        before = [steps[needed] for needed in sorted(needs[stage])]
        name, now, entry = stage.partition("@")[0], graph.state(stage), recorded.get(stage)
        anew = [path for step in before for path in step.anew if path in now["deps"]]
        here = [] if before else list(filter(None, [news]))
        why, lost = here + changes(entry, now, anew, settled), losses(entry, now)
        missing = [path for path, there in now["deps"].items() if not there and path not in {*anew, *settled}]
        stopped = [f"{step.name} is blocked" for step in before if step.state == "blocked"]
        stopped += [f"{path} is missing" for path in missing if not here] + [failure] * bool(failure and not before)
        step = Step(name, "reuse", why + lost, seconds.get(name))
        if stopped:
            step.state, step.reasons = "blocked", stopped
        elif why or lost:
            if not anew and not here and graph.in_run_cache(stage):
                step.reasons.append("the result is in DVC's cache")
            else:
                step.state = "run"
            step.anew = list(now["outs"]) if why or step.state == "run" else []
        settled |= set(now["outs"]) - set(step.anew) if not stopped else set()
        steps[stage] = step
    return list(steps.values())


def changes(recorded: Entry | None, now: Entry, anew: list[str], settled: set[str]) -> list[str]:
    """Why the result of a stage would change, in words. recorded: its entry in dvc.lock; now: Graph.state; anew:
    dependencies that an earlier stage will make again; settled: dependencies that are as recorded."""
    if recorded is None:
        return ["it has never run"]
    found = [f"the command {recorded['cmd']!r} -> {now['cmd']!r}"] * (recorded["cmd"] != now["cmd"])
    found += _parameters(recorded.get("params", {}), now["params"])
    found += _files(
        recorded, {path: value for path, value in now["deps"].items() if path not in {*anew, *settled}}, "deps"
    )
    return found + [f"{', '.join(anew)} {'is' if len(anew) == 1 else 'are'} made anew"] * bool(anew)


def losses(recorded: Entry | None, now: Entry) -> list[str]:
    """What happened to the outputs of a stage since they were made."""
    return _files(recorded, now["outs"], "outs") if recorded else []


def _files(recorded: Entry, now: dict[str, str], kind: str) -> list[str]:
    known = {entry["path"]: entry["md5"] for entry in recorded.get(kind, [])}
    words = {path: "is gone" if not value else "changed" if path in known else "is new" for path, value in now.items()}
    return [f"{path} {words[path]}" for path, value in now.items() if value != known.get(path, "")]


def _parameters(recorded: Entry, now: Entry) -> list[str]:
    before, after = ({key: v for content in files.values() for key, v in _flat(content)} for files in (recorded, now))
    return [
        f"parameter {key} {_shown(before, key)} -> {_shown(after, key)}"
        for key in {**before, **after}
        if before.get(key, ...) != after.get(key, ...)
    ]


def _flat(content: Entry, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """{"train": {"epochs": 3}} -> ("train.epochs", 3)"""
    for key, value in content.items():
        yield from _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(f"{prefix}{key}", value)]


def _shown(values: Entry, key: str) -> str:
    return str(values[key]) if key in values else "(not set)"
