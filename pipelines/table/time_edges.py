"""Time edges: the instants from which rows validate and test, computed from the rows themselves.

A window of a split by time is a share of the rows, or a span of time back from the newest row, never from the clock.
So the edges are a function of the rows. They move on with the data, and never back: what they were with the version of
the data before is in the pin, and where the rows ask for less, those edges hold. Rows of the same instant are never
parted.
"""

import json
import math
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.errors import DataError

UNITS = {"min": "minutes", "h": "hours", "d": "days", "w": "weeks"}
SPAN = re.compile(rf"([1-9]\d{{0,6}})({'|'.join(UNITS)})")
FEWEST_TEST_ROWS = 10  # with fewer rows no comparison of two models says anything
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Window = float | str  # a share of the rows, or a span


@dataclass(frozen=True)
class Moving:
    """A declared split by time that moves with the data."""

    column: str
    validation: Window
    test: Window


@dataclass(frozen=True)
class Edges:
    """The first instants of validation and of test, in microseconds since 1970."""

    validation_from: int
    test_from: int

    def not_before(self, other: "Edges | None") -> "Edges":
        """Each of the two edges, or that of `other` where it is later."""
        if other is None:
            return self
        return Edges(max(self.validation_from, other.validation_from), max(self.test_from, other.test_from))

    def content(self, moving: Moving) -> dict[str, Any]:
        """As clean.json and the pin hold them: with what they were computed for."""
        return asdict(moving) | {"validation_from": text(self.validation_from), "test_from": text(self.test_from)}


def check_window(window: Any) -> Any:
    """The window, or None. Raises ValueError for what is neither a share nor a span."""
    number = isinstance(window, int | float) and not isinstance(window, bool)
    if window is None or (number and 0 < window < 1) or (isinstance(window, str) and SPAN.fullmatch(window)):
        return window
    raise ValueError(
        f"{window!r} is neither a share of the rows, such as 0.2, nor a span of time, such as 90d ({', '.join(UNITS)})"
    )


def text(microseconds: int) -> str:
    """An instant as ISO text in UTC, as `ingest` writes it."""
    return (EPOCH + timedelta(microseconds=microseconds)).isoformat()


def microseconds(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)


def carried(pin: Path, moving: Moving) -> Edges | None:
    """The edges of the version of the data before. None where there are none, or of another declaration: whoever
    declares another window has the edges computed anew."""
    found = json.loads(pin.read_text(encoding="utf-8")).get("edges") if pin.exists() else None
    return of_content(found, moving)


def of_content(found: dict[str, Any] | None, moving: Moving) -> Edges | None:
    """found: as of `Edges.content`."""
    if not found or {**found, **asdict(moving)} != found:
        return None
    first, second = (datetime.fromisoformat(found[name]) for name in ("validation_from", "test_from"))
    return Edges(microseconds(first), microseconds(second))


def later(one: dict[str, Any] | None, other: dict[str, Any] | None) -> dict[str, Any] | None:
    """Of two contents the later edges; of two declarations the first one's."""
    if not one or not other:
        return one or other
    moving = Moving(one["column"], one["validation"], one["test"])
    mine = of_content(one, moving)
    return mine.not_before(of_content(other, moving)).content(moving) if mine else one


def of(times: np.ndarray, moving: Moving) -> Edges | None:
    """The edges that the rows ask for. times: microseconds since 1970 of the rows that are used, in any order.

    None where the rows cannot be parted so: where one of the windows takes in every row.
    """
    ordered = np.sort(times)
    test = _first(ordered, moving.test, len(ordered), int(ordered[-1]) if len(ordered) else 0)
    if test <= 0:
        return None
    newest = int(ordered[test]) - 1
    validation = _first(ordered[:test], moving.validation, len(ordered), newest)
    return Edges(int(ordered[validation]), int(ordered[test])) if validation > 0 else None


def _first(ordered: np.ndarray, window: Window, rows: int, newest: int) -> int:
    """The place of the first row in a window at the end of `ordered`, where rows of that instant begin.

    rows: of which a share is meant; newest: the last instant of a span.
    """
    if not len(ordered):
        return 0
    if isinstance(window, str):
        place = int(np.searchsorted(ordered, newest - _length(window), side="right"))
    else:
        place = len(ordered) - math.ceil(round(rows * window, 6))
    place = min(max(place, 0), len(ordered) - 1)
    return int(np.searchsorted(ordered, ordered[place], side="left"))


def _length(span: str) -> int:
    """In microseconds."""
    count, unit = SPAN.fullmatch(span).groups()  # type: ignore[union-attr]  # checked when it was declared
    return timedelta(**{UNITS[unit]: int(count)}) // timedelta(microseconds=1)


def settle(times: np.ndarray, moving: Moving, former: Edges | None, where: str, hidden: bool = False) -> Edges:
    """The edges of these rows, none of them before `former`. times: as of `of`.

    hidden: whether messages show no instant. Raises DataError where a split would be empty, or the test split smaller
    than any comparison needs.
    """
    found = of(times, moving)
    if (settled := found.not_before(former) if found else former) is None:
        raise DataError(*_too_short(times, moving, where, hidden))
    tested = int((times >= settled.test_from).sum())
    if tested < FEWEST_TEST_ROWS:
        moved = found is None or found.test_from < settled.test_from
        raise DataError(*(_held if moved else _few)(times, moving, settled, tested, where, hidden))
    return settled


def _too_short(times: np.ndarray, moving: Moving, where: str, hidden: bool) -> tuple[str, str]:
    instants = len(np.unique(times))
    told = f"the rows have {instants} instant{'s' if instants != 1 else ''}" + (
        f", from {text(int(times.min()))} to {text(int(times.max()))}" if instants and not hidden else ""
    )
    return (
        f"validation: {moving.validation} and test: {moving.test} leave no row to train on: {told}, and rows of one "
        "instant are not parted.",
        f"Add rows, or write smaller windows under clean.split in {where}.",
    )


def _few(times: np.ndarray, moving: Moving, edges: Edges, tested: int, where: str, hidden: bool) -> tuple[str, str]:
    """Where the newest rows are too few: a wrong date, or too small a window."""
    ordered = np.sort(times)
    first = len(ordered) - tested
    gap = timedelta(microseconds=int(ordered[first] - ordered[first - 1]))
    older = f"{gap.days:,} days" if gap.days > 1 else str(gap)
    newest = [text(int(at)) for at in np.unique(ordered[first:])[::-1][:3]]
    told = f" The newest rows are of {', '.join(newest)}; the row before them is {older} older."
    rule = f"rule: expect_column_values_to_not_match_regex, column: {moving.column}, regex: '^{newest[0][:10]}'"
    aside = "" if hidden else f": {{{rule}, level: quarantine}}"
    return (
        f"{_tested(tested)} The window is test: {moving.test}.{'' if hidden else told}",
        f"If such a date is wrong, correct it in the source, or set its row aside under validate.rules{aside}. Else "
        f"write a larger window or a share, such as test: 0.2, in {where}.",
    )


def _held(times: np.ndarray, moving: Moving, edges: Edges, tested: int, where: str, hidden: bool) -> tuple[str, str]:
    """Where the edge of an earlier version of the data leaves too few rows."""
    told = f" The test begins at {text(edges.test_from)}, as with the data before, since no edge moves back."
    told = " The test begins where it began with the data before, since no edge moves back." if hidden else told
    told += f" The newest row is of {text(int(times.max()))}." if len(times) and not hidden else ""
    return (
        f"{_tested(tested)}{told}",
        "Bring the rows back that are gone, or add newer ones. If the data before were wrong, train on those before "
        "them (`ratchet run MODEL --data HASH`; `ratchet data MODEL` lists them), and then on these. Or write other "
        f"windows under clean.split in {where}: then both edges are computed anew.",
    )


def _tested(rows: int) -> str:
    are = f"{rows} row{'s' if rows != 1 else ''}"
    return f"The test split has {are}, and the gate needs {FEWEST_TEST_ROWS} to compare two models."
