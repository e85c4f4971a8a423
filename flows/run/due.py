"""Due: whether a tick retrains, and why. It depends on the pin, the last training, and the rules in the YAML."""

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from flows.data import pin_file
from flows.graph import provenance
from flows.graph.pipeline import Graph
from flows.monitoring.reasons import reasons
from flows.project.environment import Project
from flows.project.plain_words import many
from flows.promotion import waiting
from flows.records import attempts
from flows.records.attempts import Tick
from flows.records.champion_state import JUDGED, Standing, stand
from flows.records.ledger import Line
from pipelines.model_file import Declaration
from pipelines.readers import sources
from pipelines.sections.schedule import Schedule


@dataclass(frozen=True)
class Case:
    """The facts for a tick. `trained`, `failed` and `began` are the last of their kind in this working tree."""

    rules: Schedule
    data: str  # the pinned version; "" if there is none
    rows: int
    definition: str
    trained: Tick | None  # a model was made and judged
    before: Tick | None  # whatever happened last, skipped ticks left out
    champion_at: str  # when the champion was first judged; "" if there is none
    now: datetime
    reasons: tuple[str, ...] = ()  # that come from live rows (flows/monitoring/reasons.py)
    released: bool = False  # whether what `trained` made waits, and its files are committed now
    ripe: str = ""  # which version has its approvals or has waited for them too long, and is not concluded yet

    @property
    def champion_days(self) -> float | None:
        if not self.champion_at:
            return None
        return (self.now - datetime.fromisoformat(self.champion_at)).total_seconds() / 86400


def gather(project: Project, graph: Graph, declared: Declaration, lines: list[Line], flow_run: str) -> Case:
    """lines: of the ledger; flow_run: the current one, which has already noted that it began."""
    pin = pin_file.pinned(declared.model)
    here = [
        tick
        for tick in attempts.read(project, declared.model)
        if tick.tree == str(project.root) and tick.flow_run != flow_run
    ]
    standing, now = stand(lines), datetime.now(UTC)
    champion = standing.champion
    trained = attempts.last(here, lambda tick: tick.outcome in attempts.CONCLUDED)
    judged = next((line for line in reversed(lines) if line.action in JUDGED), None)
    of_persons = judged is not None and waiting.of_persons(judged)  # a commit does not release it
    waits = trained is not None and trained.outcome == "waits" and not of_persons
    first = next((line.at for line in lines if line.version == champion), "") if champion else ""
    return Case(
        rules=declared.schedule,
        data=pin_file.version(pin) if pin else "",
        rows=pin_file.rows(pin) if pin else 0,
        definition=definition(graph, declared),
        trained=trained,
        before=attempts.last(here, lambda tick: tick.outcome != "skipped"),
        champion_at=first,
        now=now,
        released=waits and not provenance.uncommitted(project, declared.model, graph.sources()),
        ripe=_ripe(standing, now),
    )


def _ripe(standing: Standing, now: datetime) -> str:
    for wait in standing.approvals.waiting.values():
        if wait.enough:
            return f"version {wait.version} has been approved"
        if wait.expired(now):
            return f"version {wait.version} has waited too long for approval"
    return ""


def with_reasons(case: Case, project: Project, declared: Declaration, lines: list[Line]) -> Case:
    """The same with the reasons that come from live rows. A person's command needs none."""
    return replace(case, reasons=tuple(reasons(project, declared, lines, case.now)))


def refused(project: Project, graph: Graph, declared: Declaration) -> str:
    """The version of the data that the last tick refused under the same definition, or ""."""
    here = [tick for tick in attempts.read(project, declared.model) if tick.tree == str(project.root)]
    before = attempts.last(here, lambda tick: tick.outcome not in ("skipped", "began", "stopped"))
    same = before and before.outcome == "refused" and before.definition == definition(graph, declared)
    return before.data if before and same else ""


def definition(graph: Graph, declared: Declaration) -> str:
    """The hash of everything besides the data that decides about a model: code, settings, gate."""
    inputs = graph.inputs()
    for stage in inputs.values():
        stage["files"].pop(str(sources.pin_path(declared.model)), None)
    content = [inputs, declared.raw["promote"]]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def due(case: Case) -> tuple[bool, str]:
    """Whether to retrain, and the reason in words."""
    trained, before = case.trained, case.before
    same = before is not None and (before.data, before.definition) == (case.data, case.definition)
    if not case.data:
        return False, "no data are pinned"
    if before is not None and before.outcome == "refused" and same:
        return False, f"nothing has changed since it failed on {_day(before.at)}: {before.reason}"
    if before is not None and before.outcome in ("began", "failed"):
        return True, "the last run died" if before.outcome == "began" else "the last run failed, and may work now"
    if before is not None and before.outcome == "stopped":
        return True, f"the last run was {before.reason}"
    if trained is None:
        return True, "it has not been trained here before"
    if trained.definition != case.definition:
        return True, f"code, settings or gate have changed since {_day(trained.at)}"
    if case.ripe:
        return True, case.ripe
    if case.released:
        return True, f"the version of {_day(trained.at)} waits, and its files are committed now"
    if trained.data == case.data:
        return False, _nothing_new(case, trained)
    wanted, found = _of_rows(case, trained)
    return (True, "; ".join([*case.reasons, found])) if case.reasons else (wanted, found)


def _nothing_new(case: Case, trained: Tick) -> str:
    """A reason from live rows that cannot be answered is told: the same rows would make the same model."""
    if not case.reasons:
        return f"no new rows since {_day(trained.at)}{_age(case)}"
    return f"not retrained: nothing new to learn since {_day(trained.at)}; {'; '.join(case.reasons)}"


def _of_rows(case: Case, trained: Tick) -> tuple[bool, str]:
    """Whether enough of the data are new, when they differ from the trained ones."""
    new, rules = case.rows - trained.rows, case.rules
    if new <= 0:
        return True, f"the data have changed since {_day(trained.at)}"
    found = f"{new:,} new row{'s' if new > 1 else ''} since {_day(trained.at)}"
    wanted = [many(rules.new_rows, "row")] if rules.new_rows else []
    wanted += [f"{rules.new_percent:g} %"] if rules.new_percent else []
    if not wanted or new >= (rules.new_rows or float("inf")):
        return True, found
    if rules.new_percent and 100 * new >= rules.new_percent * trained.rows:
        return True, f"{found}, {100 * new / max(1, trained.rows):.1f} %"
    if rules.champion_days and (case.champion_days or 0) > rules.champion_days:
        return True, f"{found}{_age(case)}"
    return False, f"{found}, fewer than {' or '.join(wanted)}{_age(case)}"


def _age(case: Case) -> str:
    """ ", champion 3 days old, limit 30"."""
    if case.champion_days is None:
        return ""
    limit = f", limit {case.rules.champion_days:g}" if case.rules.champion_days else ""
    return f", champion {case.champion_days:.0f} days old{limit}"


def _day(instant: str) -> str:
    return f"{instant[:10]} {instant[11:16]}"
