"""The answer of `ratchet watch` in words, for a terminal of 80 columns."""

import shutil
from collections.abc import Iterator
from typing import Any

from flows.cli import terminal
from flows.cli.answer import State
from flows.cli.status_text import NARROWEST, wrapped

INDENT = 11
DAYS = 7  # that are shown
COLUMNS = 10  # of drift


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
    yield _line("answers", _answers(one["answers"]), width)
    yield _line("labels", _labels(one["labels"]), width)
    yield _line("quality", _quality(one.get("quality")), width)
    yield _line("expected", (one.get("expected") or {}).get("said", ""), width)
    if one.get("trial"):
        yield _line("trial", one["trial"]["said"], width)
    yield _line("drift", _drift(one.get("drift")), width)
    yield from _moved(one.get("drift") or {}, width)
    yield from _by_day(one)


def _line(name: str, text: str, width: int) -> str:
    return wrapped(f"{name:<{INDENT}}{text or '-'}", width, INDENT)


def _answers(found: State) -> str:
    mean = f"{found['a_day']:,} rows a day" if found["a_day"] is not None else ""
    last = found["days"][-1] if found["days"] else None
    return "; ".join(filter(None, [mean, f"{last['rows']:,} on {last['day']}" if last else ""]))


def _labels(found: State | None) -> str:
    if found is None:
        return "none yet: `ratchet label` takes them"
    share = "no answered row" if found["share"] is None else f"{share_of(found['share'])} of {rows(found['answered'])}"
    delay = found["delay"]
    late = (
        f"half within {span(delay['median'])}, 9 of 10 within {span(delay['p90'])}"
        if delay["median"] is not None
        else ""
    )
    counted = {"never served": found["never_served"], "corrected": found["corrected"], "asked for": found["asked"]}
    others = [f"{number:,} {name}" for name, number in counted.items() if number]
    aside = ", ".join(f"{number:,} {why}" for why, number in found["aside"].items())
    others += [f"kept aside: {aside}"] if aside else []
    return "; ".join(filter(None, [share, late, ", ".join(others), found["said"]]))


def _quality(found: State | None) -> str:
    return found["said"] if found else "not known without labels"


def _drift(found: State | None) -> str:
    """The table below it has the rest."""
    if not found or not found["columns"]:
        return found["said"] if found else "not known"
    alarms = len(found["alarms"])
    verdict = f"{alarms} of {len(found['columns'])}" if alarms else "none"
    told = f"{verdict} on {found['day']}, compared with {found['reference']}"
    others = [f"{name}: {why}" for name, why in found["unwatched"].items()]
    return "; ".join([told, *([f"not watched: {', '.join(others)}"] if others else [])])


def _moved(found: State, width: int) -> Iterator[str]:
    """Each column then and now, the worst first."""
    shown = found.get("columns", [])[:COLUMNS]
    if not shown:
        return
    lines = [
        {
            "column": one["name"],
            "": one["broken"] or ("drifted" if one["alarm"] else ""),
            "moved": f"{one['distance']:.2f}",
            "then": figures(one["then"]),
            "now": figures(one["now"]),
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
            line |= {"labelled": f"{found['rows']:,}" if found else "-", quality["metric"]: interval(found)}
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


def interval(found: State | None) -> str:
    """ "0.912 (0.897 to 0.927)"."""
    if not found or found["value"] is None:
        return "-"
    ends = [found["low"], found["high"]]
    shown = [("?" if end is None else f"{end:.3g}") for end in ends]
    return f"{found['value']:.3g}" + (f" ({shown[0]} to {shown[1]})" if ends != [None, None] else "")


def figures(found: dict[str, Any]) -> str:
    """What a column looks like, short: a median with its range, or the share of its most moved word."""
    if found.get("median") is not None:
        return f"{found['median']:.3g} ({found['low']:.3g} to {found['high']:.3g})"
    if found.get("shares"):
        word, share = next(iter(found["shares"].items()))
        return f"{word[:12]!r} {share_of(share)}"
    return f"missing {share_of(found['missing'])}" if "missing" in found else ""


def rows(number: int) -> str:
    """ "1 row", "2,031 rows"."""
    return f"{number:,} answered row{'' if number == 1 else 's'}"


def share_of(share: float) -> str:
    """ "41 %", "0.4 %"."""
    percent = 100 * share
    return f"{percent:.1f} %" if 0 < percent < 1 else f"{percent:.0f} %"


def span(seconds: float) -> str:
    """A time in its unit: "36 h", "3.5 d"."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.0f} s"
