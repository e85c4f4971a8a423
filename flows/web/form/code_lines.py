"""The lines that ask the same of the server: for a shell, and for Python's own library."""

import base64
import json
import pprint
import shlex
from dataclasses import dataclass
from typing import Any

LONGEST = 4000  # characters of a row that a person would paste into a terminal
VARIABLE = "RATCHET_TOKEN"  # of the environment, for those who use the lines


@dataclass(frozen=True)
class Lines:
    """file: the row as row.json in a `data:` address, "" if it stands in the lines."""

    curl: str
    python: str
    file: str = ""


def lines(url: str, row: Any, secured: bool) -> Lines:
    """The lines that send `row` to `url`. secured: they take a token from the environment."""
    content = json.dumps(row, ensure_ascii=False)
    if len(content) <= LONGEST:
        literal = pprint.pformat(row, width=88, sort_dicts=False)
        return Lines(_curl(url, f"--data-raw {shlex.quote(content)}", secured), _python(url, literal, secured))
    address = "data:application/json;base64," + base64.b64encode(content.encode()).decode("ascii")
    return Lines(_curl(url, "--data @row.json", secured), _python(url, 'json.load(open("row.json"))', secured), address)


def _curl(url: str, data: str, secured: bool) -> str:
    token = f' -H "Authorization: Bearer ${VARIABLE}"' if secured else ""
    return f"curl -sS {shlex.quote(url)}{token} -H 'Content-Type: application/json' \\\n  {data}"


def _python(url: str, row: str, secured: bool) -> str:
    modules = ["json", *(["os"] if secured else []), "urllib.request"]
    token = f', "Authorization": "Bearer " + os.environ["{VARIABLE}"]' if secured else ""
    return "\n".join(
        [
            *(f"import {module}" for module in modules),
            f"\nrow = {row}",
            f'headers = {{"Content-Type": "application/json"{token}}}',
            f"request = urllib.request.Request({url!r}, json.dumps(row).encode(), headers)",
            "with urllib.request.urlopen(request) as answer:",
            "    print(json.load(answer))",
        ]
    )
