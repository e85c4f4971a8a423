"""The answer of `ratchet watch` in words, for a terminal of 80 columns."""

import shutil
from collections.abc import Iterator

from flows.cli import terminal
from flows.cli.answer import State
from flows.cli.status_text import NARROWEST, wrapped
from flows.web.watch import words

INDENT = 11
DAYS = 7  # that are shown
COLUMNS = 10  # of drift
WIDE = 100  # letters of a terminal that shows ranges too


def watch_text(found: State, width: int | None = None) -> str:
    """width: of the terminal, by default the one at hand."""
    width = max(NARROWEST, width or shutil.get_terminal_size().columns)
    if not found["models"]:
        return "No model has answered a row that was kept: `ratchet serve` answers."
    return "\n\n".join("\n".join(_model(one, width)) for one in found["models"])


def _model(one: State, width: int) -> Iterator[str]:
    champion = f"version {one['champion']} is champion" if one["champion"] else "no champion"
    yield f"{one['model']}: {champion}; looked at up to the end of {one['day']}"
    if one["answers"] is None:
        yield _line("answers", "no row was answered and kept" if one["champion"] else "", width)
    else:
        yield from _parts(one, width)
    yield from _events(one, width)
    yield from (wrapped(f"!! {problem}", width) for problem in one["problems"])


def _parts(one: State, width: int) -> Iterator[str]:
    yield _line("answers", words.answers(one["answers"]), width)
    yield _line("labels", words.labels(one["labels"]), width)
    yield _line("quality", _quality(one.get("quality")), width)
    yield _line("expected", (one.get("expected") or {}).get("said", ""), width)
    if one.get("trial"):
        yield _line("trial", one["trial"]["said"], width)
    yield _line("drift", words.drift(one.get("drift")), width)
    yield from _moved(one.get("drift") or {}, width)
    yield from _by_day(one)


def _line(name: str, text: str, width: int) -> str:
    return wrapped(f"{name:<{INDENT}}{text or '-'}", width, INDENT)


def _quality(found: State | None) -> str:
    return found["said"] if found else "not known without labels"


def _moved(found: State, width: int) -> Iterator[str]:
    """Each column then and now, the worst first."""
    shown = found.get("columns", [])[:COLUMNS]
    if not shown:
        return
    lines = [
        {
            "column": one["name"],
            "": words.verdict(one),
            "moved": f"{one['distance']:.2f}",
            "then": words.figures(one["then"], width < WIDE),
            "now": words.figures(one["now"], width < WIDE),
        }
        for one in shown
    ]
    yield from (f"{'':<{INDENT}}{line}"[:width].rstrip() for line in terminal.natural(lines).splitlines())
    left = len(found["columns"]) - len(shown)
    if left:
        yield f"{'':<{INDENT}}and {left} more: --json"


def _by_day(one: State) -> Iterator[str]:
    """The last days: answers, and live quality of those that have labels."""
    quality = one.get("quality") or {}
    judged = {day["day"]: day for day in quality.get("days", [])}
    lines = []
    for day in one["answers"]["days"][-DAYS:]:
        line = {"day": day["day"], "answers": f"{day['rows']:,}"}
        if quality:
            found = judged.get(day["day"])
            line |= {"labelled": f"{found['rows']:,}" if found else "-", quality["metric"]: words.interval(found)}
        lines.append(line)
    yield from (f"{'':<{INDENT}}{line}" for line in terminal.natural(lines).splitlines())


def _events(one: State, width: int) -> Iterator[str]:
    for number, event in enumerate(one["events"]):
        yield _line("" if number else "events", f"since {event['day']}: {event['said']}", width)
    over = [event for event in one["new"] if event["action"] == "over"]
    for number, event in enumerate(over):
        yield _line("" if number else "over", event["said"], width)
    if not one["events"] and one["answers"] is not None:
        yield _line("events", "none is open", width)
