"""Drift: has a column or the answers changed, against what the model knows?

    update(project, declared, now)     summaries of the days that are over, each read from the log once
    look(project, declared, day)       what has changed up to a day
    over(drift, name)                  whether a change that was noticed has ended

The rule is in rule.py. A column whose pipe looks broken is named at the first look. Rows of a series depend on each
other, so that no rate of false alarms is known: their changes are shown, and only a broken column is an alarm.
"""

from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any

from flows.monitoring.drift import broken, champion, compare, days, figures, kept, periods, rule, said
from flows.monitoring.drift.champion import Champion
from flows.monitoring.drift.figures import Figures
from flows.monitoring.drift.kept import Kept, View
from flows.monitoring.drift.periods import Lines, Period
from flows.project.environment import Project
from flows.registry.reference import CONFIDENCE
from pipelines.model_file import Declaration
from pipelines.sections.monitor import Monitor
from pipelines.table.summary.columns import DATES, Column

JUDGED = (days.ANSWER, CONFIDENCE)  # of the answers


@dataclass(frozen=True)
class Moved:
    """One column, or the answers."""

    name: str
    kind: str
    """numbers, words or dates; of `prediction` and `confidence`: answers."""
    distance: float
    """The Kolmogorov-Smirnov distance of numbers, the largest change of a share of words or of missing values."""
    p: float
    rows: int
    then: Figures
    now_: Figures
    alarm: bool
    broken: str
    """missing, unknown, constant, unit, or ""."""
    calm: bool
    """Whether neither of the two periods differs as an alarm needs."""
    said: str


@dataclass(frozen=True)
class Drift:
    """What has changed up to a day. columns: the worst first. alarms: names, of an answer `prediction` or `confidence`.
    unwatched: why, by name; of a day whose log cannot be read by its date. why: why there is no verdict, or ""."""

    day: date
    reference: str = ""
    rows: int = 0
    columns: list[Moved] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    unwatched: dict[str, str] = field(default_factory=dict)
    why: str = ""
    said: str = ""

    def content(self) -> dict[str, Any]:
        """As JSON."""
        found = asdict(self) | {"day": str(self.day)}
        return found | {"columns": [{key.rstrip("_"): one[key] for key in one} for one in found["columns"]]}


def update(project: Project, declared: Declaration, now: datetime) -> None:
    """Make the summaries of the days that are over. A model that has answered nothing costs nothing.

    now: in UTC. Raises OSError, IntegrityError for a damaged file of the log.
    """
    if not (project.state / "answers" / declared.model).is_dir():
        return
    if found := champion.of(project, declared.model):
        then = champion.reference_of(project, found, declared.data)
        days.update(project, found, then, declared.monitor.timezone, now)


def look(project: Project, declared: Declaration, day: date) -> Drift:
    """What has changed in the rows up to a day of the model's zone, by the summaries that `update` made."""
    rules, found = declared.monitor, champion.of(project, declared.model)
    if found is None:
        return _without(day, "no version is live here")
    then = champion.reference_of(project, found, declared.data)
    place = kept.folder(project, declared.model)
    summaries = Kept(place)
    columns = kept.of_rows(summaries)
    answers = _judged(Side(found, then, rules, day, kept.of_answers(summaries, found.number), answer=True))
    judged = [*_judged(Side(found, then, rules, day, columns)), *answers]
    rows = periods.rows_of(columns.get(day))
    if not judged:
        return _without(day, _why(columns, then, rules, day), rows)
    compared = _compared_with(then, rules, day)
    ordered = sorted(judged, key=lambda one: (not one.broken, not one.alarm, -one.distance, one.name))
    alarms = [one.name for one in ordered if one.alarm]
    unwatched = _unwatched(found, then, isinstance(rules.reference, int))
    unwatched |= kept.unreadable(place, day, periods.MOST_DAYS)
    if not answers:
        tested = periods.rows_of([line for line in then if line.answer])
        few = tested < periods.LEAST and not isinstance(rules.reference, int)
        what = "test rows" if few else "answers of the champion"
        unwatched[days.ANSWER] = f"there are fewer than {periods.LEAST} {what}"
    return Drift(
        day, compared, rows, ordered, alarms, unwatched, "", said.whole(day, ordered, compared, unwatched, found.kind)
    )


def over(found: Drift, name: str) -> bool:
    """Whether a change that was an alarm has ended: neither of the last two periods shows it. A column that cannot be
    judged now is not over."""
    return any(one.name == name and one.calm for one in found.columns)


# ------------------------------------------------------------------ columns, or answers


@dataclass(frozen=True)
class Side:
    """The columns of the rows, or the answers of the champion: the same looks at other lines."""

    found: Champion
    then: Lines
    rules: Monitor
    day: date
    by_day: View
    answer: bool = False

    def reference(self, earliest: Period) -> Lines:
        if isinstance(self.rules.reference, int):
            return periods.before(self.by_day, earliest, self.rules.reference)
        mine = [line for line in self.then if line.answer == self.answer]
        season = periods.of_season(mine, self.day) if self.rules.reference == "season" else []
        return season or [line for line in mine if not line.group]


def _judged(side: Side) -> list[Moved]:
    """[] without enough rows of now or then."""
    now, before = periods.two(side.by_day, side.day)
    if now is None:
        return []
    then = side.reference(before or now)
    if periods.rows_of(then) < periods.LEAST:
        return []
    names = list(dict.fromkeys(line.name for line in now.lines if not side.answer or line.name in JUDGED))
    judged = [name for name in names if _named(then, name)]
    columns = len(side.found.watched) + len(JUDGED)
    return [_one(name, columns, side, then, now, before) for name in judged]


def _one(name: str, columns: int, side: Side, then: Lines, now: Period, before: Period | None) -> Moved:
    was, mine = _named(then, name), _named(now.lines, name)
    apart = compare.apart(was, mine)
    looks = [rule.differs(apart, columns, side.rules.effect)]
    if before is not None and (earlier := _named(before.lines, name)):
        looks.append(rule.differs(compare.apart(was, earlier), columns, side.rules.effect))
    learned = all(line.version == side.found.number for line in mine) or side.answer
    pipe = broken.broken(was, mine, learned)
    alarm = bool(pipe) or (rule.drifted(looks) and side.found.kind != "sequence")
    kind = "answers" if side.answer else mine[0].kind
    private = name in side.found.private and not side.answer
    told = figures.both(was, mine, private)
    by = broken.factor(was, mine) if pipe == broken.UNIT else 0.0
    words = said.column(name, kind, pipe, alarm, apart.distance, *told, by, private)
    calm = not any(looks) and not pipe
    return Moved(name, kind, apart.distance, apart.p, compare.rows(mine), *told, alarm, pipe, calm, words)


def _named(lines: Lines, name: str) -> list[Column]:
    return [line for line in lines if line.name == name and line.rows]


# ------------------------------------------------------------------ what cannot be judged


def _without(day: date, why: str, rows: int = 0) -> Drift:
    return Drift(day, rows=rows, why=why, said=f"No verdict about drift on {day}: {why}.")


def _why(columns: View, then: Lines, rules: Monitor, day: date) -> str:
    there = periods.rows_of(kept.rows_since(columns, day, periods.MOST_DAYS))
    if there < periods.LEAST:
        return f"{there} rows in the {periods.MOST_DAYS} days up to it, and {periods.LEAST} are needed"
    if isinstance(rules.reference, int):
        return f"the {rules.reference} days before have fewer than {periods.LEAST} rows to compare with"
    if not then:
        return "nobody kept what its training rows looked like; the next version that is registered has that"
    return f"its training rows are fewer than {periods.LEAST}"


def _compared_with(then: Lines, rules: Monitor, day: date) -> str:
    """What a look is compared with, in words."""
    if isinstance(rules.reference, int):
        return "the day before" if rules.reference == 1 else f"the {rules.reference} days before"
    if rules.reference == "training":
        return "the training rows"
    rows = [line for line in then if not line.answer]
    if periods.of_season(rows, day):
        return "the same season of the training rows"
    dated = any(line.group for line in rows)
    why = f"fewer than {periods.LEAST} are of this season" if dated else "they have no date that is watched"
    return f"all training rows, because {why}"


def _unwatched(found: Champion, then: Lines, by_days: bool) -> dict[str, str]:
    """by_days: whether earlier days are the reference, and not the training rows."""
    told = dict.fromkeys(sorted(found.sensitive), "sensitive")
    told |= dict.fromkeys(found.joined, "a date that is made of several columns")
    for name, kind in found.watched.items():
        if kind == DATES:
            told[name] = "a date: only missing ones are watched, because time goes on"
        elif not by_days and not _named(then, name):
            told[name] = "nobody kept what it looked like in training"
    return told
