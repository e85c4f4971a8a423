"""Matters: what a version makes of its columns as a whole, from its explanations.json."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from flows.web import shown

MOST_BARS = 12  # columns
WIDTH, HEIGHT, EDGE = 100.0, 40.0, 2.0  # of the drawing of a curve, and around it


@dataclass(frozen=True)
class Bar:
    """How much worse the metric becomes. start, width, low, high: of bar and interval, in a drawing of WIDTH."""

    name: str
    mean: str
    interval: str
    start: float
    width: float
    low: float
    high: float


@dataclass(frozen=True)
class Curve:
    """The mean answer by the value of one column. points: of an SVG polyline; bars: of words, (word, answer, width).
    ends: the first and the last value; least, most: of the answer. words: what a person who sees no curve is told."""

    column: str
    of: str
    points: str
    bars: list[tuple[str, str, float]]
    ends: tuple[str, str]
    least: str
    most: str
    words: str


@dataclass(frozen=True)
class Matters:
    """metric, rows: on which it was measured."""

    metric: str
    rows: int
    bars: list[Bar] = field(default_factory=list)
    fewer: int = 0
    groups: list[Bar] = field(default_factory=list)
    steps: list[Bar] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    rules: str = ""
    fidelity: str = ""
    pictures: list[Mapping[str, Any]] = field(default_factory=list)


def of(about: Mapping[str, Any]) -> Matters | None:
    """about: what the answering server gives at /explanations; {} of a version without. None if nothing is said."""
    if not about:
        return None
    single = list(about.get("importance") or [])
    every = _bars(single + list(about.get("groups") or []), lambda one: " + ".join(one["columns"]))
    steps = list((about.get("series") or {}).get("steps") or [])
    curves = [found for one in _single(about.get("dependence") or []) if (found := _curve(one, about))]
    drawn = {"importance.png", "window.png"} | ({"dependence.png"} if curves or not about.get("dependence") else set())
    said = Matters(
        metric=str(about.get("metric") or ""),
        rows=int(about.get("rows") or 0),
        bars=every[: len(single)][:MOST_BARS],
        fewer=max(0, len(single) - MOST_BARS),
        groups=every[len(single) :],
        steps=_bars(steps, _step),
        curves=curves,
        rules=str((about.get("rules") or {}).get("text") or ""),
        fidelity=_fidelity(about.get("rules") or {}, bool(about.get("classes"))),
        pictures=[one for one in about.get("pictures") or [] if one["file"] not in drawn],
    )
    return said if said.bars or said.steps or said.pictures else None


def _bars(found: Sequence[Mapping[str, Any]], name: Any) -> list[Bar]:
    """All to one scale."""
    lows = [one["low"] if one.get("low") is not None else one["mean"] for one in found]
    highs = [one["high"] if one.get("high") is not None else one["mean"] for one in found]
    least, most = min([0.0, *lows]), max([0.0, *highs])
    unit = WIDTH / (most - least) if most > least else 0.0

    def at(value: float) -> float:
        return (value - least) * unit

    return [
        Bar(
            name(one),
            _short(one["mean"]),
            _interval(low, high),
            at(min(one["mean"], 0.0)),
            abs(one["mean"]) * unit,
            at(low),
            at(high),
        )
        for one, low, high in zip(found, lows, highs, strict=True)
    ]


def _step(one: Mapping[str, Any]) -> str:
    first, last = one["first"], one["last"]
    return f"{first}" if first == last else f"{first} to {last}"


def _single(found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The curves of columns that have one; with more classes the picture shows them."""
    grouped = [list(some) for _, some in groupby(found, lambda one: one["column"])]
    return [some[0] for some in grouped if len(some) == 1]


def _curve(one: Mapping[str, Any], about: Mapping[str, Any]) -> Curve | None:
    points = one.get("points") or []
    if len(points) < 2:
        return None
    share = bool(about.get("classes"))
    means = [float(point["mean"]) for point in points]
    least, most = min(means), max(means)
    said = [f"{_value(point['value'])}: {_answer(mean, share)}" for point, mean in zip(points, means, strict=True)]
    words = one.get("kind") == "word"
    top = max(most, 0.0) or 1.0
    bars = [
        (_value(point["value"]), _answer(mean, share), max(0.0, mean / top * WIDTH))
        for point, mean in zip(points, means, strict=True)
    ]
    return Curve(
        column=str(one["column"]),
        of=str(one.get("of") if one.get("of") is not None else ""),
        points="" if words else _line(points, means, one.get("kind") == "date"),
        bars=bars if words else [],
        ends=(_value(points[0]["value"]), _value(points[-1]["value"])),
        least=_answer(least, share),
        most=_answer(most, share),
        words="; ".join(said),
    )


def _line(points: Sequence[Mapping[str, Any]], means: Sequence[float], dates: bool) -> str:
    """The points of a polyline in a drawing of WIDTH and HEIGHT. Dates, which are text, lie evenly."""
    across = [float(place) for place in range(len(points))] if dates else [float(one["value"]) for one in points]
    left, wide = min(across), (max(across) - min(across)) or 1.0
    low, high = min(means), (max(means) - min(means)) or 1.0
    right = [EDGE + (value - left) / wide * (WIDTH - 2 * EDGE) for value in across]
    down = [HEIGHT - EDGE - (mean - low) / high * (HEIGHT - 2 * EDGE) for mean in means]
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in zip(right, down, strict=True))


def _fidelity(rules: Mapping[str, Any], share: bool) -> str:
    if rules.get("refused"):
        return str(rules["refused"])
    if rules.get("fidelity") is None:
        return ""
    if share:
        least = shown.percent(rules["majority"]) if rules.get("majority") is not None else ""
        same = f"They give the model's own class for {shown.percent(rules['fidelity'])} of the test rows"
        return f"{same}; always the same class gives {least}." if least else f"{same}."
    return f"They explain {shown.percent(max(0.0, rules['fidelity']))} of the variance of the model's answers (R²)."


def _value(value: Any) -> str:
    if value is None or value == "":
        return "missing"
    if isinstance(value, float):
        return shown.number(float(f"{value:.4g}"))
    return shown.instant(value) if isinstance(value, str) else shown.number(value)


def _answer(value: float, share: bool) -> str:
    return shown.percent(value) if share else shown.number(float(f"{value:.4g}"))


def _interval(low: float, high: float) -> str:
    """Both with as many places, so that the larger one has two digits that matter.

    >>> _interval(-7.9e-05, 0.0065), _interval(0.0366, 0.0757), _interval(-120.0, 3400.0)
    ('−0.0001 to 0.0065', '0.037 to 0.076', '−120 to 3400')
    """
    largest = max(abs(low), abs(high))
    places = max(0, 1 - math.floor(math.log10(largest))) if largest else 0
    said = [f"{round(value, places) + 0.0:.{places}f}".replace("-", "−") for value in (low, high)]
    return " to ".join(said)


def _short(value: float) -> str:
    return shown.number(float(f"{value:.2g}"))
