"""Step: look at the version beside the champion, and end its trial if the live rows decide.

A shadow or a canary ends in promotion or rejection; a shadow that passes becomes a canary, if the YAML has one. Until
then it is undecided, and says how many more labels would decide. The champion before stops answering after so many
rows; whenever it is shown that the champion is worse than it by more than the margin, the champion goes back, and its
version is vetoed: no run promotes it again, so nothing swings to and fro.

Each end is one line of the ledger; doing it again changes nothing, and what a kill has kept from following a line
follows at the next step (acts.py). Without a trial a step reads the ledger, and nothing else.
"""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from flows.project.environment import Project
from flows.records import ledger
from flows.records.beside import BEFORE, Beside
from flows.records.champion_state import Standing, stand
from flows.records.ledger import Line
from flows.rollout import acts, judged
from flows.rollout.judged import Judged
from pipelines.model_file import Declaration

Outcome = Literal[
    "none",
    "running",
    "undecided",
    "canary begins",
    "waits",
    "promoted",
    "rejected",
    "rolled back",
    "before ends",
    "overtaken",
]
UNDECIDED = "still undecided: {}"


@dataclass(frozen=True)
class Step:
    """What a step found and did. overtaken: somebody else moved the champion meanwhile; the next step looks anew. line:
    the number of the line that it wrote. rows: those after which a trial is judged at the latest. champion: after it.
    """

    outcome: Outcome
    said: str = ""
    version: int | None = None
    role: str = ""
    champion: int | None = None
    rows: int = 0
    line: int | None = None
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether it moved the champion or turned a candidate down."""
        return self.outcome in ("promoted", "rejected", "rolled back")

    def content(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def step(project: Project, declared: Declaration, now: datetime, past: bool = False) -> Step:
    """now: UTC. past: only look, change nothing. Raises RatchetError if ledger or registry cannot be reached, or the
    alias was changed outside Ratchet; then nothing was decided."""
    lines = ledger.of(project).lines(declared.model)
    if not past:
        acts.complete(project, declared.model, lines)
    standing = stand(lines, now if past else None)
    earlier, candidate = standing.trials.earlier, standing.trials.candidate
    if standing.champion is None or (earlier is None and candidate is None):
        return Step("none", champion=standing.champion)
    if earlier is not None and declared.serve.rollback == "automatic":
        found = _of_before(project, declared, standing, earlier, now, past)
        if found.outcome != "none":
            return found
    elif standing.beside and standing.beside.role == BEFORE and not past:
        return _before_ends(project, declared, standing, "the YAML asks for no automatic rollback any more", 0, {})
    if candidate is None:
        return Step("none", champion=standing.champion)
    return _of_candidate(project, declared, standing, candidate, now, past)


def _of_before(
    project: Project, declared: Declaration, standing: Standing, earlier: Beside, now: datetime, past: bool
) -> Step:
    """`none` if nothing came of it and the champion before no longer answers."""
    champion, rows = int(standing.champion or 0), declared.serve.before_rows
    found = judged.unseen(project.state, declared, champion, earlier, now)
    about = _about(earlier, champion, rows, found)
    if found.passed is False and not past:
        reason = f"worse on live rows: {found.said}"
        line = acts.roll_back(project, declared.model, champion, earlier.version, reason, found)
        return _done("rolled back", reason, about | {"champion": earlier.version}, line)
    if standing.trials.before is None:
        return Step("none")
    if found.answered >= rows and not past:
        told = f"version {earlier.version} has answered {found.answered:,} rows beside the champion"
        return _before_ends(project, declared, standing, f"{told}; {found.said}", rows, found.content())
    return Step("running", f"{found.said}; {found.answered:,} of {rows:,} rows", **about)


def _before_ends(
    project: Project, declared: Declaration, standing: Standing, why: str, rows: int, figures: dict[str, Any]
) -> Step:
    """It no longer answers. What it has answered still counts, when labels come."""
    before = standing.beside
    line = acts.end_before(project, standing, declared.model, why)
    about: dict[str, Any] = {"version": before.version if before else None, "role": BEFORE, "rows": rows}
    return _done("before ends", why, about | {"champion": standing.champion, "figures": figures}, line)


def _of_candidate(
    project: Project, declared: Declaration, standing: Standing, candidate: Beside, now: datetime, past: bool
) -> Step:
    champion, serve = int(standing.champion or 0), declared.serve
    wanted = serve.shadow if candidate.role == "shadow" else serve.canary
    if wanted is None:
        told = f"the YAML has no {candidate.role} any more: the next run promotes version {candidate.version}"
        return Step("undecided", told, candidate.version, candidate.role, champion)
    look = judged.unseen if candidate.role == "shadow" else judged.by_callers
    found = look(project.state, declared, champion, candidate, now)
    about = _about(candidate, champion, wanted.rows, found)
    if found.passed is None or past:
        late = found.answered >= wanted.rows and found.passed is None
        said = UNDECIDED.format(_missing(found)) if late else f"{found.said}; {_progress(found, wanted.rows)}"
        return Step("undecided" if late else "running", said, **about)
    return _ended(project, declared, standing, candidate, found, about)


def _ended(
    project: Project,
    declared: Declaration,
    standing: Standing,
    candidate: Beside,
    found: Judged,
    about: dict[str, Any],
) -> Step:
    if not found.passed:
        line = acts.reject(project, standing, declared.model, candidate, found)
        return _done("rejected", f"worse on live rows: {found.said}", about, line)
    if acts.goes_on(declared, candidate):
        line = acts.begin_canary(project, standing, declared.model, candidate, found)
        return _done("canary begins", found.said, about, line)
    line = acts.promote(project, declared, standing, candidate, found)
    if line is not None and line.action == "waits":
        return _done("waits", line.reason, about, line)
    return _done("promoted", found.said, about | {"champion": candidate.version}, line)


def _about(beside: Beside, champion: int, rows: int, found: Judged) -> dict[str, Any]:
    named = {"version": beside.version, "role": beside.role, "champion": champion}
    return named | {"rows": rows, "figures": found.content()}


def _done(outcome: Outcome, said: str, about: dict[str, Any], line: Line | None) -> Step:
    if line is None:
        return Step("overtaken", "somebody else decided at the same time: the next look is anew")
    return Step(outcome, said, line=line.sequence, **about)


def _missing(found: Judged) -> str:
    more = f"about {found.missing:,} more labelled rows would decide" if found.missing else "more labelled rows decide"
    return f"{more}; {found.labelled:,} of {found.answered:,} rows are labelled; {found.said}"


def _progress(found: Judged, rows: int) -> str:
    return f"{found.answered:,} of {rows:,} rows answered, {found.labelled:,} labelled"
