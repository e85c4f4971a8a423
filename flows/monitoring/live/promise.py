"""Promise: what the gate knew of the champion when it let it through, by its test rows.

The interval says how far its true quality may be from that of the test rows. The champion may be the best of many that
these rows have judged, and the best of many looks better than it is: so the interval pays for all of them (Bonferroni),
as "better" does in the gate (flows/promotion/statistics/budget.py).
"""

from dataclasses import asdict, dataclass
from datetime import datetime

import numpy as np

from flows.project import scratch
from flows.project.environment import Project
from flows.promotion.statistics.interval import interval
from flows.promotion.statistics.resampling import ALPHA
from flows.records import ledger
from flows.records.champion_state import Standing
from flows.records.ledger import Line
from pipelines.model.metrics import METRICS, Answers
from pipelines.model_file import Declaration


@dataclass(frozen=True)
class Promise:
    """value, low and high: the metric on `rows` test rows, in its unit. margin: how much worse is still not worse.

    worst: the largest loss or error of a row that counts, None for a metric whose losses have a bound of their own;
    declared: whether it is `promote.worst`, and not the worst test row. judged: candidates that the test rows had
    judged before.
    """

    value: float
    low: float
    high: float
    rows: int
    margin: float
    worst: float | None = None
    declared: bool = False
    judged: float = 0.0


@dataclass(frozen=True)
class Champion:
    """Which rows count: those that this version answered since it became champion. promise: None where its test rows
    were too few for one."""

    version: int
    since: datetime
    promise: Promise | None

    def content(self) -> dict[str, object]:
        """As JSON."""
        return asdict(self) | {"since": self.since.isoformat()}


def champion(project: Project, declared: Declaration, standing: Standing) -> Champion | None:
    """The champion with its promise, from the files that are kept with it; None without one. It reads MLflow's store.

    Raises IntegrityError if these files are missing or have changed, UnreachableError if the ledger cannot be read.
    """
    from flows.tracking import evidence_files, mlflow_runs  # MLflow takes seconds, and what was read once is kept

    if standing.champion is None or standing.moved is None:
        return None
    store, number = mlflow_runs.client(project), standing.champion
    lines = ledger.of(project).lines(declared.model)
    version = store.get_model_version(declared.model, str(number))
    with scratch.folder("promise") as place:
        kept = evidence_files.read(store, version, place, standing.artifacts.get(number))
    promised = of(declared, kept.answers(declared.data), judged(lines, number))
    return Champion(number, datetime.fromisoformat(standing.moved.at), promised)


def judged(lines: list[Line], version: int) -> float:
    """How many candidates the test rows had judged before this version was."""
    own = [line for line in lines if line.version == version and line.action in ("accepted", "waits", "promoted")]
    if own and "judged" in own[0].facts:
        return float(own[0].facts["judged"])
    until = own[0].sequence if own else 0
    return float(sum(1 for line in lines if line.sequence < until and "model_hash" in line.facts))


def of(declared: Declaration, answers: Answers, judged: float) -> Promise | None:
    """answers: the champion's, to its test rows."""
    rules = declared.promote
    found = interval(rules.metric, answers, ALPHA / (judged + 1))
    if found is None:
        return None
    losses, about = answers.losses(rules.metric), METRICS[rules.metric]
    worst = None
    if losses is not None and about.unbounded:
        worst = rules.worst or float(np.max(losses)) or None
    return Promise(
        found.value, found.low, found.high, found.rows, rules.margin, worst, rules.worst is not None, round(judged, 2)
    )
