"""What people read: the answers of the commands in words. `--json` prints the same answers as they are."""

import textwrap
from typing import Any

State = dict[str, Any]


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
            f"  next      {found['next']}",
        ]
    )


def plan(found: State) -> str:
    lines = [f"{found['model']}: {found['source']}"]
    for stage in found["stages"]:
        seconds = f"{stage['seconds']:6.1f} s last time" if stage["seconds"] is not None else "never timed here"
        lines.append(f"  {stage['name']:<10}{stage['state']:<9}{seconds:<20}{'; '.join(stage['reasons'])}".rstrip())
    return "\n".join(lines)


def verify(found: State) -> str:
    from flows import certificate

    return "\n".join(
        f"{one['model']} version {one['version']}: {one['verdict']}. {certificate.sentence(one)}\n"
        f"  commit    {one['commit'][:12]}{', a tree that differed from its branch' if one['dirty'] else ''}\n"
        f"  took      {one['seconds']:.1f} s\n"
        f"  next      the certificate lies with the version in MLflow, as verification/certificate.md"
        for one in certificates(found)
    )


def compare(found: State) -> str:
    from flows import comparison

    parts = [f"{comparison.title(found)}\n{textwrap.fill(comparison.sentence(found), 118)}"]
    for table in comparison.tables(found):
        shown = _table(table.rows, table.grey) if table.rows else ""
        note = textwrap.fill(table.note, 118, initial_indent="  ", subsequent_indent="  ")
        parts.append("\n".join(filter(None, [table.title, shown, note])))
    parts += [f"written to {found['page']}"] if found["page"] else []
    return "\n\n".join(parts)


def servers(found: State) -> str:
    lines = [f"{server['name']:<9} {server['url']}" for server in found["servers"]]
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
                "schedule": entry["schedule"],
            }
        )
        problems += [f"!! {entry['problem']}"] if entry["problem"] else []
    return "\n".join([_table(rows), *problems])


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
            "when": line["at"][:19].replace("T", " "),
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
    console = Console(width=max(120, Console().width))
    with console.capture() as capture:
        console.print(table, markup=False)
    return capture.get().rstrip()
