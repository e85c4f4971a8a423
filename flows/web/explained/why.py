"""Why: the explanation of one answer as bars and sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from flows.web import shown
from flows.web.form.fields import spelled

MOST_BARS = 12  # columns that have a bar of their own
ROUNDING = 1e-6  # of the largest contribution: less is the arithmetic of single precision
WIDTH = 100.0  # of the drawing in which a bar lies


@dataclass(frozen=True)
class Bar:
    """What one column adds. start, width: of the bar in a drawing of WIDTH; up: whether it adds to the answer."""

    name: str
    value: str
    added: str
    start: float
    width: float
    up: bool


@dataclass(frozen=True)
class Patch:
    """What one patch of a picture adds: its box in pixels, and how strongly, 0 to 1."""

    left: int
    top: int
    width: int
    height: int
    strength: float
    up: bool
    title: str


@dataclass(frozen=True)
class Why:
    """zero: where the bars begin, in their drawing. patches: of a picture, in place of bars. sum, otherwise, made:
    sentences, "" if there is nothing to say."""

    bars: list[Bar] = field(default_factory=list)
    patches: list[Patch] = field(default_factory=list)
    zero: float = 0.0
    sum: str = ""
    otherwise: str = ""
    made: str = ""


def of(explained: Mapping[str, Any], row: Any, target: str) -> Why:
    """explained: of the answering server. row: what was asked, whose values stand beside the bars. target: what the
    model predicts."""
    grid = explained.get("grid")
    parts = dict(explained["contributions"])
    share = explained["output"] is not None
    bars, zero = ([], 0.0) if grid else _bars(parts, row, share)
    return Why(
        bars=bars,
        patches=_patches(parts, grid, share) if grid else [],
        zero=zero,
        sum=_sum(explained, share, row),
        otherwise="" if grid else _otherwise(explained, target),
        made=_made(explained),
    )


def added(value: float, share: bool) -> str:
    """A contribution with its sign: of a probability in percentage points.

    >>> added(0.1234, True), added(-12.5, False), added(-0.00001, True)
    ('+12.3', '−12.5', '0.0')
    """
    if share:
        text = f"{value * 100:+.1f}"
        return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")
    text = shown.number(abs(float(f"{value:.4g}")))
    return f"{'−' if value < 0 else '+'}{text}" if text != "0" else "0"


def _number(value: float) -> str:
    return shown.number(float(f"{value:.5g}"))


def _bars(parts: dict[str, float], row: Any, share: bool) -> tuple[list[Bar], float]:
    """The columns that add most, the rest as one; and where zero is."""
    ranked = sorted(parts.items(), key=lambda one: -abs(one[1]))
    kept, rest = ranked[:MOST_BARS], ranked[MOST_BARS:]
    entries = [(name, _value(row, name), value) for name, value in kept]
    if rest:
        entries.append((f"{len(rest)} more columns", "", sum(value for _, value in rest)))
    largest = max(abs(value) for _, _, value in entries)
    entries = [(name, said, value if abs(value) > ROUNDING * largest else 0.0) for name, said, value in entries]
    least, most = min(0.0, *(one[2] for one in entries)), max(0.0, *(one[2] for one in entries))
    unit = WIDTH / (most - least) if most > least else 0.0
    bars = [
        Bar(name, value, added(given, share), (min(given, 0.0) - least) * unit, abs(given) * unit, given >= 0)
        for name, value, given in entries
    ]
    return bars, -least * unit


def _value(row: Any, name: str) -> str:
    """The value of a column, as it was sent; "" of a series, whose columns have many."""
    if not isinstance(row, dict) or name not in row:
        return ""
    return "missing" if row[name] is None else spelled(row[name])


def _patches(parts: dict[str, float], grid: Mapping[str, Sequence[int]], share: bool) -> list[Patch]:
    tops, lefts = grid["tops"], grid["lefts"]
    boxes = [
        (left, top, right - left, bottom - top) for top, bottom in pairwise(tops) for left, right in pairwise(lefts)
    ]
    most = max((abs(value) for value in parts.values()), default=0.0) or 1.0
    return [
        Patch(*box, abs(value) / most, value >= 0, f"{name}: {added(value, share)}")
        for box, (name, value) in zip(boxes, parts.items(), strict=True)
    ]


def _sum(explained: Mapping[str, Any], share: bool, row: Any) -> str:
    """Of the base and the answer."""
    base, answer, series = explained["base"], explained["answer"], isinstance(row, dict) and "rows" in row
    picture = "grid" in explained
    others = f"{explained['background']} {'other pictures' if picture else 'series' if series else 'training rows'}"
    own = "This picture changes" if picture else f"The values of {'these rows' if series else 'this row'} change"
    what = f"probability of {_name(explained['output'])}" if share else "answer"
    start, end = (shown.percent if share else _number)(base), (shown.percent if share else _number)(answer)
    points = " points" if share else ""
    return (
        f"On average over {others} the {what} is {start}. {own} it by {added(answer - base, share)}{points}, to {end}."
    )


def _otherwise(explained: Mapping[str, Any], target: str) -> str:
    found = explained.get("counterfactual")
    if not found:
        return str(explained.get("why") or "")
    changes = [
        f"{'the last ' if one.get('step') else ''}{one['column']} were {_name(one['after'])} "
        f"instead of {_name(one['before'])}"
        for one in found["changes"]
    ]
    what = target or "the answer"
    prediction = found["prediction"]
    said = _number(prediction) if isinstance(prediction, float) else _name(prediction)
    return f"If {' and '.join(changes)}, {what} would be {said}."


def _made(explained: Mapping[str, Any]) -> str:
    if explained["exact"]:
        return "Shapley values, exact for these rows."
    return f"Shapley values, the mean over {explained['orders']} orders of the columns (seed {explained['seed']})."


def _name(value: Any) -> str:
    return "missing" if value is None else shown.number(value)
