"""One column in two versions of the data, as a picture, and as the lines of a table: drawn from their profiles."""

import io
from typing import Any

import numpy as np

from pipelines import visible_text
from pipelines.table.profile import Column, Profile

BARS = 24  # of numbers
MOST_WORDS = 10  # that are drawn and listed
WIDE = 4  # how many times the span of the inner 98 of 100 values may be, before the outer ones go into the last bars
OLD, NEW = "#b8c0cc", "#1f5fa8"


def png(before: Profile | None, now: Profile, name: str, bounds: list[float]) -> bytes:
    """bounds: numbers to be marked. b"" where there is nothing to draw."""
    a, b = (found["columns"].get(name) if found else None for found in (before, now))
    if b is None or not (b.get("quantiles") or b.get("words")):
        return b""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 2.8), layout="constrained")
    axes = figure.add_subplot(title=_written(name))
    axes.spines[["top", "right"]].set_visible(False)
    pair = [column if column and column["kind"] == b["kind"] else None for column in (a, b)]
    (_draw_numbers if b["kind"] == "number" else _draw_words)(axes, pair)
    for number, bound in enumerate(bounds):
        axes.axvline(bound, color="#c0392b", linestyle="--", linewidth=1.2, label="" if number else "bound of the rule")
    if len(axes.get_legend_handles_labels()[0]) > 1:
        axes.legend(fontsize=8, frameon=False)
    out = io.BytesIO()
    with visible_text.unwarned():
        figure.savefig(out, format="png", dpi=100, metadata={"Software": None})
    return out.getvalue()


def _written(text: str) -> str:
    """A name as it can be seen, and without a formula in it."""
    return visible_text.line(text).replace("$", r"\$")


def _draw_numbers(axes: Any, pair: list[Column | None]) -> None:
    known = [np.array(column["quantiles"]) for column in pair if column and column.get("quantiles")]
    low, high = min(q[0] for q in known), max(q[-1] for q in known)
    inner = min(q[1] for q in known), max(q[-2] for q in known)
    if high - low > WIDE * (inner[1] - inner[0]) > 0:
        low, high = max(low, inner[0] - (inner[1] - inner[0])), min(high, inner[1] + (inner[1] - inner[0]))
        axes.set_xlabel("rarer values beyond the axis are counted in its outer bars", fontsize=8)
    edges = np.linspace(low, high if high > low else low + 1, BARS + 1)
    for column, label, color in zip(pair, ("last good version", "now"), (OLD, NEW), strict=True):
        if column and column.get("quantiles"):
            shares = _shares(np.array(column["quantiles"]), edges)
            filled = {"color": color} if label != "now" else {"edgecolor": color, "facecolor": "none", "linewidth": 1.6}
            axes.stairs(shares, edges, fill=label != "now", label=label, **filled)
    axes.set_ylabel("% of rows")


def _shares(quantiles: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Per cent of the values between edges; what lies outside of all belongs to the outer bars."""
    open_ended = np.concatenate([[-np.inf], edges[1:-1], [np.inf]])
    return np.histogram(quantiles, open_ended)[0] * 100 / len(quantiles)


def _draw_words(axes: Any, pair: list[Column | None]) -> None:
    names = words(*pair)
    places = np.arange(len(names))
    for column, label, color, shift in zip(pair, ("last good version", "now"), (OLD, NEW), (-0.2, 0.2), strict=True):
        if column:
            shares = [100 * column.get("words", {}).get(name, 0) / max(1, column.get("known", 0)) for name in names]
            axes.bar(places + shift, shares, 0.4, color=color, label=label)
    short = [name if len(name) <= 14 else f"{name[:13]}…" for name in names]
    turned = {"rotation": 30, "ha": "right"} if sum(map(len, short)) > 60 else {}
    axes.set_xticks(places, list(map(_written, short)), fontsize=8, **turned)
    axes.set_ylabel("% of values")


def words(a: Column | None, b: Column | None) -> list[str]:
    """Of two columns of words those that are shown: the most frequent of either."""
    shares: dict[str, float] = {}
    for column in (a, b):
        for name, count in (column or {}).get("words", {}).items():
            shares[name] = max(shares.get(name, 0.0), count / max(1, (column or {}).get("known", 0)))
    return sorted(shares, key=lambda name: (-shares[name], name))[:MOST_WORDS]


def table(before: Profile | None, now: Profile, name: str) -> list[dict[str, str]]:
    """Rows: what, last good version, now."""
    pair = [(found, found["columns"].get(name)) if found else (None, None) for found in (before, now)]
    cells = [_statistics(found, column, words(*(one for _, one in pair))) for found, column in pair]
    return [
        {"": what, "last good version": cells[0].get(what, "-"), "now": cells[1].get(what, "-")}
        for what in cells[0] | cells[1]
    ]


def _statistics(found: Profile | None, column: Column | None, names: list[str]) -> dict[str, str]:
    if found is None or column is None:
        return {}
    told = {"rows": f"{found['rows']:,}", "missing": f"{column['missing'] / max(1, found['rows']):.2%}"}
    if quantiles := column.get("quantiles"):
        last = len(quantiles) - 1
        places = {"smallest": 0, "lower quartile": last // 4, "median": last // 2, "upper quartile": 3 * last // 4}
        told |= {what: f"{quantiles[place]:.6g}" for what, place in (places | {"largest": last}).items()}
        told |= {"mean": f"{column['mean']:.6g}"} if column["mean"] is not None else {}
    if "words" in column:
        told["distinct"] = f"{column['distinct']:,}"
        told |= {f"“{name}”": f"{column['words'].get(name, 0) / max(1, column['known']):.2%}" for name in names}
    return told
