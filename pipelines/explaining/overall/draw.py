"""Pictures of importance, dependence and the window, from the content of explanations.json: the same bytes again."""

from pathlib import Path
from typing import Any

from pipelines import visible_text
from pipelines.explaining import plain_figure

MOST_BARS = 20
DOTS = 100  # per inch
LETTERS = 28  # of a name beside a bar
BLUE, GREY = "C0", "0.6"


def importance(found: dict[str, Any], path: Path) -> None:
    """Bars with their intervals, the most important first; a group of columns beside its members has another colour."""
    entries = sorted([*found["groups"], *found["importance"]], key=lambda entry: -entry["mean"])[:MOST_BARS]
    figure = plain_figure.new(8, 1.6 + 0.32 * len(entries), layout="constrained")
    told = f"worse {found['metric']} when shuffled: {found['rows']:,} test rows, intervals of 95 %"
    axes = figure.add_subplot(xlabel=told, title="Importance of columns")
    _bars(axes, entries, [_named(entry["columns"]) for entry in entries])
    plain_figure.save(figure, path, DOTS)


def window(found: dict[str, Any], path: Path) -> None:
    """The parts of a window, from the oldest steps to the newest."""
    entries = found["series"]["steps"][::-1]
    figure = plain_figure.new(8, 3.6, layout="constrained")
    told = "steps before the forecast begins"
    axes = figure.add_subplot(xlabel=told, ylabel=f"worse {found['metric']}", title="Which part of the window matters")
    for place, entry in enumerate(entries):
        axes.bar(place, entry["mean"], color=BLUE)
        if entry["low"] is not None:
            axes.vlines(place, entry["low"], entry["high"], color="0.2", linewidth=1)
    names = [f"{e['last']}" if e["first"] == e["last"] else f"{e['last']}-{e['first']}" for e in entries]
    axes.set_xticks(range(len(entries)), names, rotation=0 if len(entries) < 13 else 60)
    axes.axhline(0, color=GREY, linewidth=0.8)
    plain_figure.save(figure, path, DOTS)


def dependence(found: dict[str, Any], path: Path) -> None:
    """A small picture for each column; a line for each class if there are several."""
    columns = list(dict.fromkeys(entry["column"] for entry in found["dependence"]))
    wide = min(3, len(columns))
    high = -(-len(columns) // wide)
    figure = plain_figure.new(3.2 * wide, 2.6 * high, layout="constrained")
    axes = None
    for place, column in enumerate(columns):
        axes = figure.add_subplot(high, wide, place + 1, title=_short(column), sharey=axes)  # one scale for all
        for entry in (entry for entry in found["dependence"] if entry["column"] == column):
            _curve(axes, entry)
        if place == 0:
            of = [_short(str(entry["of"])) for entry in found["dependence"] if entry["column"] == column]
            axes.set_ylabel(f"probability of {of[0]}" if found["classes"] and len(of) == 1 else "mean answer")
            if len(of) > 1:
                axes.legend(of, fontsize="x-small")
    plain_figure.save(figure, path, DOTS)


def _curve(axes: Any, entry: dict[str, Any]) -> None:
    values, means = [point["value"] for point in entry["points"]], [point["mean"] for point in entry["points"]]
    if entry["kind"] == "number":
        axes.plot(values, means, marker=".")
        axes.locator_params(axis="x", nbins=4)
        return
    names = [_short(str(value)[:10] if entry["kind"] == "date" else str(value), 16) or "missing" for value in values]
    axes.plot(range(len(values)), means, marker=".", linestyle="-" if entry["kind"] == "date" else "none")
    every = max(1, len(names) // 5)
    axes.set_xticks(
        range(0, len(names), every), names[::every], rotation=30 if max(map(len, names)) > 4 else 0, fontsize="x-small"
    )


def _bars(axes: Any, entries: list[dict[str, Any]], names: list[str]) -> None:
    for place, entry in enumerate(entries):
        axes.barh(place, entry["mean"], color=GREY if len(entry["columns"]) > 1 else BLUE)
        if entry["low"] is not None:
            axes.hlines(place, entry["low"], entry["high"], color="0.2", linewidth=1)
    axes.set_yticks(range(len(entries)), names)
    axes.invert_yaxis()
    axes.axvline(0, color=GREY, linewidth=0.8)


def _named(columns: list[str]) -> str:
    told = f"{len(columns)} together: " if len(columns) > 1 else ""
    return told + _short(", ".join(columns))


def _short(text: str, letters: int = LETTERS) -> str:
    seen = visible_text.line(text)
    return seen if len(seen) <= letters else f"{seen[: letters - 1]}…"
