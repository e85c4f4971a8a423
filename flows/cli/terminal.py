"""What people read: the answers of the commands in words. `--json` prints the same answers as they are."""

import sys
import textwrap
from collections.abc import Callable
from typing import Any

State = dict[str, Any]
MOST_NAMES = 8  # of files, in one line


def certificates(found: State) -> list[State]:
    """Of `ratchet verify`: one, or one for each champion."""
    return list(found.get("certificates", [found]))


def run(found: State) -> str:
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in found["metrics"].items())
    champion = f"version {found['champion']}" if found["champion"] else "none"
    return "\n".join(
        [
            "",
            f"{found['model']}: {found['decision']}: {found['reason']}.",
            f"  version   {found['version']}, champion: {champion}",
            f"  test      {metrics}",
            f"  took      {found['seconds']:.1f} s",
            *_untracked(found["untracked"]),
            f"  next      {found['next']}",
        ]
    )


def _untracked(names: list[str]) -> list[str]:
    """What of the tree of a run nobody has committed: it is pushed with the refs of the runs."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    told = f"not committed, and in the run's own commit: {', '.join(names[:MOST_NAMES])}{more}"
    return [f"  recorded  {told}"] if names else []


def new(found: State) -> str:
    if not found["written"]:
        return str(found["yaml"]).rstrip()
    return f"{found['path']} is written: read it, correct what is wrong, then `ratchet run {found['model']}`."


def plan(found: State) -> str:
    lines = [f"{found['model']}: {found['source']}"]
    for stage in found["stages"]:
        seconds = f"{stage['seconds']:6.1f} s last time" if stage["seconds"] is not None else "never timed here"
        lines.append(f"  {stage['name']:<10}{stage['state']:<9}{seconds:<20}{'; '.join(stage['reasons'])}".rstrip())
    return "\n".join(lines)


def verify(found: State) -> str:
    from flows.verify import verdict

    return "\n".join(
        f"{one['model']} version {one['version']}: {one['verdict']}. {verdict.sentence(one)}\n"
        f"  commit    {one['commit'][:12]}{', a tree that differed from its branch' if one['dirty'] else ''}\n"
        f"  took      {one['seconds']:.1f} s\n"
        f"  next      the certificate lies with the version in MLflow, as verification/certificate.md"
        for one in certificates(found)
    )


def compare(found: State) -> str:
    from flows.compare import render

    parts = [f"{render.title(found)}\n{textwrap.fill(render.sentence(found), 118)}"]
    for table in render.tables(found):
        shown = _table(table.rows, table.grey) if table.rows else ""
        note = textwrap.fill(table.note, 118, initial_indent="  ", subsequent_indent="  ")
        parts.append("\n".join(filter(None, [table.title, shown, note])))
    parts += [f"written to {found['page']}"] if found["page"] else []
    return "\n\n".join(parts)


def predict(found: State) -> str:
    columns = found["columns"]
    shown = ", ".join(columns) if len(columns) <= 8 else f"{', '.join(columns[:7])} and {len(columns) - 7} more"
    lines = [f"{found['model']} version {found['version']}: {found['rows']:,} rows predicted."]
    lines += [f"!! {found['problem']}."] if found["problem"] else []
    lines += [f"  written   {found['output']}: {shown}"]
    lines += [f"  ahead     {found['added']:,} of them are after the last known rows"] if found["added"] else []
    lines += [f"  left out  {count:,} rows: {why}" for why, count in found["left_out"].items()]
    if found["ignored"]:
        lines += [f"  ignored   columns that the model does not know: {', '.join(map(repr, found['ignored']))}"]
    return "\n".join([*lines, f"  device    {found['hardware']}", f"  took      {found['seconds']:.1f} s"])


def servers(found: State) -> str:
    lines = [f"{server['name']:<9} {server['url']}" for server in found["servers"]]
    lines += _login(found)
    lines += [f"{'warm':<9} all libraries stay loaded, runs begin at once"] if found["warm"] else []
    served = found["schedule"]
    for model, words in served.get("models", {}).items():
        lines.append(f"{'schedule':<9} {model}: {words or 'none'} (branch {served['branch']})")
    lines += [f"{'schedule':<9} {found['problem'] or 'not started'}"] if not served else []
    return "\n".join([*lines, "stop them with: ratchet down"])


def status(found: State) -> str:
    rows, problems = [], []
    for entry in found["models"]:
        metrics = "\n".join(f"{name} {value:.4g}" for name, value in entry["metrics"].items())
        last = f"{entry['decision']}: version {entry['version']}" if entry["decision"] else "never run"
        rows.append(
            {
                "model": entry["model"],
                "champion": f"version {entry['champion']}" if entry["champion"] else "none",
                "metrics": metrics,
                "age": entry["age"],
                "data": entry["data_hash"][:8],
                "last decision": last + (", held" if entry["held"] else ""),
                "next run": _next(found, entry),
            }
        )
        problems += [f"!! {entry['problem']}"] if entry["problem"] else []
        problems += [f"!! {entry['model']} is {entry['schedule']}"] if _broken(entry) else []
    ticks = [
        f"{entry['model']}: last tick {_instant(entry['tick_at'])} {entry['tick']}: {entry['tick_reason']}"
        for entry in found["models"]
        if entry["tick"]
    ]
    return "\n".join([_table(rows), *problems, *(["", *ticks] if ticks else []), *_login(found)])


def _login(found: State) -> list[str]:
    """The address that logs in, where only the person reads it: what is no terminal may be a log."""
    if not found.get("login"):
        return []
    return [f"{'log in':<9} {found['login'] if sys.stdout.isatty() else '`ratchet status`, in a terminal, says where'}"]


def data(found: State) -> str:
    if "event" in found:
        return f"{found['model']}: the scheduler was told ({found['event']})"
    if "data" not in found:
        return _two_data(found)
    rows = [
        {
            "data": one["data_hash"][:8],
            "first used": _instant(one["first_used"]),
            "rows": _count(one["rows"]),
            "versions": ", ".join(map(str, one["versions"])) or "none",
            "champion": "yes" if one["champion"] else "",
            "cached": "yes" if one["cached"] else "no",
            "source": one["source"] or "not known",
        }
        for one in found["data"]
    ]
    return _table(rows) if rows else f"{found['model']}: no run has been published yet"


def _two_data(found: State) -> str:
    a, b, rows = found["a"], found["b"], found["rows"]
    lines = [f"{found['model']}: data {b['data_hash'][:8]} beside {a['data_hash'][:8]}"]
    lines += [f"  {key}         {_used(found[key])}" for key in "ab"]
    lines += [f"  rows      only in a {rows['only_a']:,}, only in b {rows['only_b']:,}, in both {rows['both']:,}"]
    lone = [entry for entry in found["columns"] if not (entry["a"] and entry["b"])]
    for key in "ab":
        if names := ", ".join(entry["column"] for entry in lone if entry[key]):
            lines += [f"  columns   only in {key}: {names}"]
    if lone:
        lines += ["            so no row can be in both: the same row has the same columns"]
    tables = [_columns(found, ("number", "image"), _of_numbers), _columns(found, ("integer", "text"), _of_values)]
    return "\n\n".join(filter(None, ["\n".join(lines), *tables]))


def _used(one: State) -> str:
    champion = ", the champion's" if one["champion"] else ""
    parts = [f"{one['data_hash'][:8]}{champion}: {_count(one['rows'])} rows"]
    parts += [f"first used {_instant(one['first_used'])}", _versions(one["versions"]) if one["versions"] else ""]
    return ", ".join(filter(None, [*parts, one["source"]]))


def _columns(found: State, kinds: tuple[str, ...], cells: Callable[[State], dict[str, str]]) -> str:
    """The statistics of the columns of these kinds: a line for a and one for b where they differ, else one, dim."""
    rows: list[dict[str, str]] = []
    grey: set[int] = set()
    for entry in found["columns"]:
        for side in ("a", "b") if entry["differs"] else ("a, b",):
            if (of := entry[side[0]]) and of["kind"] in kinds:
                grey |= set() if entry["differs"] else {len(rows)}
                head = {"column": entry["column"], "in": side, "differs": "yes" if entry["differs"] else ""}
                kind = of["kind"].replace("image", "brightness")  # of an image that is what the numbers are about
                rows.append(head | {"kind": kind, "missing": f"{of['missing']:,}"} | cells(of))
    return _table(rows, frozenset(grey)) if rows else ""


def _of_numbers(of: State) -> dict[str, str]:
    names = {"mean": "mean", "deviation": "standard_deviation", "smallest": "smallest", "largest": "largest"}
    return {name: "none" if of[key] is None else f"{of[key]:.4g}" for name, key in names.items()}


def _of_values(of: State) -> dict[str, str]:
    named = [(" ".join(str(entry["value"]).split()), entry["share"]) for entry in of["frequent"]]
    shown = [f"{text if len(text) <= 24 else text[:21] + '...'} {share:.1%}" for text, share in named]
    return {"distinct": f"{of['distinct']:,}", "most frequent": ", ".join(shown) or "none"}


def _next(found: State, entry: State) -> str:
    """When, and by which schedule."""
    schedule = "not scheduled" if _broken(entry) else entry["schedule"] or "no schedule"
    if entry["running"]:
        return f"running now\n{schedule}"
    if not found["scheduler"]:
        return f"{schedule}\n(scheduler not up)" if entry["schedule"] else schedule
    return f"{_instant(entry['next_run'])}\n{schedule}" if entry["next_run"] else schedule


def _broken(entry: State) -> bool:
    """Whether a model's file cannot be read: its schedule then says what is wrong."""
    return str(entry["schedule"]).startswith("not scheduled")


def doctor(found: State) -> str:
    lines = [f"{'ok ' if check['ok'] else '!! '} {check['name']:<12} {check['found']}" for check in found["checks"]]
    fixes = [f"   fix {check['name']}: {check['fix']}" for check in found["checks"] if not check["ok"]]
    return "\n".join([*lines, *fixes])


def move(found: State) -> str:
    """Of `ratchet rollback` and `promote`."""
    before = f"version {found['from']}" if found["from"] else "none"
    return "\n".join(
        [
            f"{found['model']}: {found['action']}: the champion is version {found['champion']}.",
            f"  before    {before}",
            f"  reason    {found['reason']}",
            f"  next      `ratchet history {found['model']}` shows every move,",
            f"            `ratchet restore {found['model']}` brings the workspace to the champion's data",
        ]
    )


def prune(found: State) -> str:
    lines = []
    for one in found["models"]:
        verb = "would prune" if found["dry_run"] else "pruned"
        gone = f"{verb} {_versions(one['versions'])}" if one["versions"] else "nothing to prune"
        freed = f", {one['bytes'] / 1e6:.1f} MB" if one["versions"] or one["bytes"] else ""
        kept = _versions(one["kept"]) if one["kept"] else "no version"
        lines += [f"{one['model']}: {gone}{freed}; kept {kept}", *(f"!! {left}" for left in one["left"])]
    return "\n".join([*lines, "Of data only this clone's cache is pruned: DVC's remotes are left alone."])


def history(found: State) -> str:
    if "at" in found:
        return f"{found['model']} at {found['at']}: {_version(found['champion'])}"
    rows = [
        {
            "line": str(line["sequence"]),
            "when": _instant(line["at"]),
            "who": line["actor"] if not line["actor"].startswith("gate") else "gate",
            "what": f"{line['action']} {line['version'] or ''}".rstrip(),
            "champion": _moved(line),
            "why": line["reason"],
        }
        for line in found["lines"]
    ]
    problem = [f"!! {found['problem']}"] if found["problem"] else []
    return "\n".join([*problem, _table(rows) if rows else f"{found['model']}: nothing has been decided yet"])


def _moved(line: State) -> str:
    before, after = line["from_version"], line["to_version"]
    return f"{before or 'none'} -> {after or 'none'}" if before != after else f"{after or 'none'}"


def _versions(numbers: list[int]) -> str:
    """ "version 3", "versions 3, 4"."""
    return f"version{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def _instant(text: str) -> str:
    """ "2026-11-24T10:00:00+00:00" -> "2026-11-24 10:00:00"."""
    return text[:19].replace("T", " ")


def _count(number: int | None) -> str:
    return "not known" if number is None else f"{number:,}"


def _version(number: int | None) -> str:
    return f"version {number}" if number else "no champion"


def _table(rows: list[dict[str, str]], grey: frozenset[int] = frozenset()) -> str:
    """Columns side by side, the last one wrapped. grey: the numbers of rows that are shown dim."""
    from rich.console import Console
    from rich.table import Table

    *names, last = rows[0]
    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(name, no_wrap=True)
    table.add_column(last, overflow="fold")
    for number, row in enumerate(rows):
        table.add_row(*row.values(), style="dim" if number in grey else "")
    console = Console(width=max(120, Console().width), emoji=False)  # a class may be called :x:
    with console.capture() as capture:
        console.print(table, markup=False)
    return capture.get().rstrip()
