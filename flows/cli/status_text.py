"""The answer of `ratchet status` in words: a table where it fits the terminal, else a block of lines for each model."""

import shutil
import textwrap

from flows.cli import terminal
from flows.cli.terminal import State

UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
NARROWEST = 40  # columns
INDENT = 12
UNANSWERED = "not retrained:"  # how a tick begins that had a reason and nothing to learn (flows/run/due.py)
EVENTS = 3  # of a model; `ratchet watch` has all


def status_text(found: State, width: int | None = None) -> str:
    """width: of the terminal, by default the one at hand; 80 where there is none."""
    width = max(NARROWEST, width or shutil.get_terminal_size().columns)
    models = found["models"]
    rows = [_row(found, entry) for entry in models]
    table = terminal.natural(rows) if rows else "models/ has no model yet: `ratchet new` makes one"
    if max(map(len, table.splitlines())) > width:
        table = "\n".join(_block(row, width) for row in rows)
    told = [f"!! {one}" for entry in models for one in _problems(entry)]
    told += [one for entry in models for one in _notes(entry)]
    told = [wrapped(one, width) for one in told]
    addresses = [f"{terminal.server(name):<9} {url}" for name, url in found.get("answering", {}).items()]
    return "\n".join([table, *told, *addresses, *terminal.login(found)])


def _row(found: State, entry: State) -> dict[str, str]:
    age = f", {ago(entry['age'])} old" if entry["champion"] else ""
    return {
        "model": entry["model"],
        "champion": f"version {entry['champion']}{age}{_served(entry)}" if entry["champion"] else "none",
        "metrics": "\n".join(f"{name} {value:.4g}" for name, value in entry["metrics"].items()),
        "data": entry["data_hash"][:8],
        "last": "\n".join(filter(None, [_last(entry), "held" if entry["held"] else "", _event(entry)])),
        "next run": _next(found, entry),
    }


def _last(entry: State) -> str:
    """What happened last: a person's move, a refusal, or the gate's decision."""
    if entry["refused"]:
        return f"refused\n{_day(entry['refused']['at'])}"
    if moved := entry["moved"]:
        return f"{moved['action']} to version {moved['to']}" if moved["to"] else f"{moved['action']}: no champion"
    decision = "waited" if entry["decision"] == "waits" and not entry["next"] else entry["decision"]
    return f"{decision}: version {entry['version']}" if decision else "never run"


def _event(entry: State) -> str:
    """A word for what live rows say."""
    return f"live: {entry['event']}" if entry["event"] else ""


def _problems(entry: State) -> list[str]:
    """What a person should do something about."""
    model = entry["model"]
    told = [entry["problem"]] if entry["problem"] else []
    told += [f"{model} is {entry['schedule']}"] if _broken(entry) else []
    live = entry["live"]
    if live and live["problem"] not in ("", entry["problem"]) and entry["champion"]:
        told.append(f"{model}: not served as it should be: {live['problem']}")
    told += [f"{model}: not watched as it should be: {one}" for one in entry["unwatched"]]
    for what in ("refused", "failed"):
        if one := entry[what]:
            told.append(f"{model} {what} on {_day(one['at'])}: {one['reason']}")
    return told


def _notes(entry: State) -> list[str]:
    """What a person should know of."""
    model, moved = entry["model"], entry["moved"]
    live = entry["live"]
    told = [f"{model}: {entry['worn']}"] if entry["worn"] else []
    if live and live["version"] and live["why"]:
        told.append(f"{model}: version {live['version']} is answered by Keras, because {live['why']}")
    told += [f"{model}: {entry['tick_reason']}"] if entry["tick_reason"].startswith(UNANSWERED) else []
    told += [f"{model}: since {one['day']}: {one['said']}" for one in entry["events"][:EVENTS]]
    told += [_approval(model, one) for one in entry.get("approvals", [])]
    if entry["next"] and entry["version"] not in [one["version"] for one in entry.get("approvals", [])]:
        told.append(f"{model}: version {entry['version']} waits: {entry['next']}")
    told += [f"{model}: {words}" for words in entry["waiting"]]
    if moved:
        to = f" to version {moved['to']}" if moved["to"] else ""
        told.append(f"{model}: {moved['action']}{to} by {moved['actor']} on {_day(moved['at'])}: {moved['reason']}")
    return told


def _approval(model: str, one: State) -> str:
    """A version that waits for persons."""
    version, until = one["version"], _day(one["until"])
    if one["state"] != "waits":
        was = "was approved" if one["state"] == "approved" else f"had to be approved until {until}"
        return f"{model}: version {version} {was}: the next run concludes it"
    has = f"{', '.join(one['approved'])} approved it, " if one["approved"] else ""
    count = f"{one['missing']} of " if len(one["others"]) > 1 else ""
    must = f"{has}{count}{', '.join(one['others'])} must approve it until {until}"
    return f"{model}: version {version} waits: {must}: `ratchet approve {model} {version}`"


def _served(entry: State) -> str:
    """What a server on this machine computes the champion's answers with."""
    live = entry["live"]
    if not live or live["version"] != entry["champion"]:
        return ""
    form = f" as {live['variant']}" if live["variant"] else ""
    return f"\nlive{form} by {'ONNX' if live['runtime'] == 'onnx' else 'Keras'}"


def _next(found: State, entry: State) -> str:
    """When, and by which schedule."""
    schedule = "not scheduled" if _broken(entry) else entry["schedule"] or "no schedule"
    if entry["running"]:
        return f"running now\n{schedule}"
    if not found["scheduler"]:
        return f"{schedule}\n(scheduler not up)" if entry["schedule"] else schedule
    return f"{_day(entry['next_run'])}\n{schedule}" if entry["next_run"] else schedule


def _broken(entry: State) -> bool:
    """Whether a model's file cannot be read: its schedule then says what is wrong."""
    return str(entry["schedule"]).startswith("not scheduled")


def _block(row: dict[str, str], width: int) -> str:
    """A model in lines of its own."""
    model, *others = row.items()
    lines = [
        f"  {name:<{INDENT - 2}}{', '.join(value.split(chr(10))).replace(', (', ' (')}"
        for name, value in others
        if value
    ]
    return "\n".join([model[1], *(wrapped(line, width, INDENT) for line in lines)])


def wrapped(text: str, width: int, indent: int = 3) -> str:
    """Lines that end between two words. A word that is longer than a line, such as a path, stays whole."""
    after = " " * indent
    return textwrap.fill(
        text, width, subsequent_indent=after, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    )


def ago(seconds: int) -> str:
    """In its largest unit: "3 d"."""
    unit, size = next((entry for entry in UNITS if seconds >= entry[1]), UNITS[-1])
    return f"{seconds // size} {unit}"


def _day(instant: str) -> str:
    return terminal.instant(instant)[:16]
