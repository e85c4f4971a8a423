"""A run that finds nothing changed: the same checks and records as those of a flow, without a Prefect server.

Only where the last run of this tree ended in order, on the same data, code, settings and gate. Every stage is compared
with its inputs and outputs, MLflow is asked whether run, version and decision are there, and the alias is compared with
the ledger. Whatever is not as it should be is left to the flow, which says so.
"""

import time
from dataclasses import dataclass, replace
from typing import Any

from flows.compression import variants, waiting
from flows.data import last_good
from flows.data.arrivals import unended
from flows.deployment import freshness, live_file
from flows.graph import lockfile, provenance
from flows.promotion.waiting import Experiment
from flows.records import attempts, ledger, outputs
from flows.records.attempts import Tick
from flows.records.champion_state import stand
from flows.records.ledger import Line
from flows.records.outputs import StageOutputs
from flows.report import findings
from flows.run import due, remote_calls
from flows.run.context import RunContext
from flows.run.first_look import one_tree
from flows.run.first_look.early import Early
from flows.run.first_look.one_tree import Tree
from pipelines.errors import RatchetError


@dataclass(frozen=True)
class Step:
    name: str
    seconds: float
    note: str = ""


class Changed(Exception):
    """There is something to do."""


@dataclass(frozen=True)
class Found:
    """That nothing has changed. answer: what `ratchet run --json` prints; tick: the line to record."""

    steps: list[Step]
    answer: dict[str, Any]
    tick: Tick

    def record(self, run: RunContext, flow_run: str = "") -> None:
        """flow_run: its id in Prefect, where a server was up."""
        attempts.write(run.project, replace(self.tick, flow_run=flow_run))


def look(run: RunContext, early: Early) -> Found | None:
    """Shown to the person; None if there is something to do. Nothing is changed then, but that DVC's cache gets objects
    back that it had lost."""
    try:
        last = _before(run, early)
        steps = [Step("refresh", 0.0, early.refreshed[1])]
        with lockfile.kept(run.project, early.graph), one_tree.held(run.project, early.graph, lambda: False) as tree:
            steps += _stages(run, early)
            signed = early.graph.check_outputs(early.graph.order())
        found = outputs.read(run.project, run.model, tree.inputs, signed)
        return _told(run, early, last, found, tree, steps)
    except (Changed, RatchetError):  # an error is for the flow: it shows it
        return None


def _before(run: RunContext, early: Early) -> Tick:
    """The last run, if this one may find what that one left. Raises Changed."""
    lines = attempts.read(run.project, run.model)
    died = bool(lines) and lines[-1].outcome == "began"  # in whichever tree: the flow tells of it
    if run.request.data or early.refreshed[0] != "Unchanged" or died:
        raise Changed
    decided = ledger.of(run.project).lines(run.model)
    case = due.gather(run.project, early.graph, run.declared, decided, flow_run="")
    last = case.trained
    if last is None or last != case.before or last.outcome in ("waits", "on trial", "expired") or case.ripe:
        raise Changed
    if (last.data, last.definition) != (case.data, case.definition):
        raise Changed
    if not freshness.fresh(run.project, run.model, decided) or _unmade(run, early) or _unjudged(run, decided):
        raise Changed
    return last


def _unmade(run: RunContext, early: Early) -> bool:
    """Whether the champion has no serving files, though there is a stage that makes them."""
    live = live_file.read(run.project, run.model)
    return live is not None and live.unmade and bool(early.graph.after_gate())


def _unjudged(run: RunContext, decided: list[Line]) -> bool:
    """Whether smaller forms of the champion wait for a judgement."""
    made, live = variants.read(run.project, run.model), live_file.read(run.project, run.model)
    if made is None or live is None or live.version is None or made.model_hash != live.model_hash:
        return False
    test_hash = outputs.test_hash(run.project, run.model)
    return waiting.of(made, run.declared, test_hash, stand(decided), live.version)


def _stages(run: RunContext, early: Early) -> list[Step]:
    """Raises Changed at the first stage that would run."""
    steps = []
    for stage in early.graph.order():
        start, name = time.monotonic(), stage.partition("@")[0]
        if not early.graph.unchanged(stage):
            raise Changed
        steps.append(Step(name, time.monotonic() - start, findings.warnings(run.project.data(run.model), name)))
    return steps


def _told(run: RunContext, early: Early, last: Tick, found: StageOutputs, tree: Tree, steps: list[Step]) -> Found:
    """Shown, if MLflow has it all. Raises Changed if it has not."""
    start = time.monotonic()
    experiment = Experiment(not run.request.promote, tree.uncommitted)
    known = run.mlflow.call(remote_calls.known, run.project, run.declared, found, experiment)
    if known is None:
        raise Changed
    published, decided = known
    asked = time.monotonic() - start
    last_good.note(run.project, run.model, last.data, found.data_hash)
    tick = replace(last, outcome="unchanged", reason=decided["reason"], trigger=run.request.trigger, flow_run="")
    decision = [Step("publish", asked, f"version {published.version}"), Step("decide", 0.0, "unchanged")]
    later = len(steps) - len(early.graph.after_gate())
    steps = [*steps[:later], *decision, *steps[later:]]
    for notice in early.graph.notices:
        run.shown.notice(notice)
    for step in steps:
        run.shown.end(step.name, "Unchanged", step.seconds, step.note)
    stages = [
        {"name": step.name, "state": "Unchanged", "seconds": round(step.seconds, 2)}
        for step in steps
        if step.name not in ("refresh", "publish", "decide")
    ]
    told = {
        "format": 1,
        "model": run.model,
        **decided,
        "version": published.version,
        "run_id": published.run_id,
        "model_hash": found.model_hash,
        "data_hash": found.data_hash,
        "test_hash": found.test_hash,
        "metrics": found.metrics,
        "stages": stages,
        "unreached": "",  # no row is new
        "waiting": unended.told(run.project, run.declared.ingest),
        "untracked": provenance.added(run.project, tree.hash),
        "uncommitted": tree.uncommitted,
        "seconds": 0.0,
    }
    return Found(steps, told, tick)
