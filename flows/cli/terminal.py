"""What the answers of several commands share, as people read them. `--json` prints the same answers as they are."""

import sys
from typing import Any

State = dict[str, Any]


SERVERS = {"serving": "answers", "web": "pages"}  # what a person does there


def server(name: str) -> str:
    """A server, as a person reads it."""
    return SERVERS.get(name, name)


def login(found: State) -> list[str]:
    """The address that logs in, where only the person reads it: what is no terminal may be a log."""
    if not found.get("login"):
        return []
    return [f"{'log in':<9} {found['login'] if sys.stdout.isatty() else '`ratchet status`, in a terminal, says where'}"]


def versions(numbers: list[int]) -> str:
    """ "version 3", "versions 3, 4"."""
    return f"version{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def instant(text: str) -> str:
    """ "2026-11-24T10:00:00+00:00" -> "2026-11-24 10:00:00"."""
    return text[:19].replace("T", " ")


def count(number: int | None) -> str:
    return "not known" if number is None else f"{number:,}"


def table(rows: list[dict[str, str]], grey: frozenset[int] = frozenset()) -> str:
    """Columns side by side, the last one wrapped. grey: the numbers of rows that are shown dim."""
    from rich.console import Console

    return _drawn(rows, grey, max(120, Console().width))


def natural(rows: list[dict[str, str]]) -> str:
    """Columns side by side, as wide as their content."""
    return _drawn(rows, frozenset(), sum(max(map(len, column)) for column in zip(*map(_cells, rows), strict=True)))


def _cells(row: dict[str, str]) -> list[str]:
    return [" " * (max(map(len, (name, *cell.split("\n")))) + 2) for name, cell in row.items()]


def _drawn(rows: list[dict[str, str]], grey: frozenset[int], width: int) -> str:
    from rich.console import Console
    from rich.table import Table

    *names, last = rows[0]
    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(name, no_wrap=True)
    table.add_column(last, overflow="fold")
    for number, row in enumerate(rows):
        table.add_row(*row.values(), style="dim" if number in grey else "")
    console = Console(width=width, emoji=False)  # a class may be called :x:
    with console.capture() as capture:
        console.print(table, markup=False)
    return "\n".join(line.rstrip() for line in capture.get().rstrip().split("\n"))
