"""What earlier parts and nights found: a line of JSON for each case, in a file for each seed and commit.

.ratchet/faults/<commit>-<seed>.jsonl. A commit whose files were edited has the hash of the edits in its name.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from faults.survival import TOTALS, Report
from faults.world import ROOT, git

FOLDER = ROOT / ".ratchet" / "faults"


def file(seed: int) -> Path:
    """Where the results of this seed belong."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    edits = git(ROOT, "diff", "HEAD") + git(ROOT, "ls-files", "-o", "--exclude-standard")
    edited = f"-{hashlib.sha256(edits.encode()).hexdigest()[:6]}" if edits else ""
    return FOLDER / f"{git(ROOT, 'rev-parse', '--short=10', 'HEAD').strip()}{edited}-{seed}.jsonl"


def note(path: Path, number: int, report: Report) -> None:
    """number: of the case in the list that its seed gives."""
    case = report.case
    line = {"number": number, "name": case.name, "subject": case.subject, "faults": len(case.faults)}
    line |= {"random": not case.faults[0].point, "seconds": round(report.seconds, 1), "problems": report.problems}
    with path.open("a", encoding="utf-8") as out:
        out.write(json.dumps(line) + "\n")


def read(paths: list[Path]) -> list[dict[str, Any]]:
    """The last line of each case of each file."""
    found: dict[tuple[Path, str, str], dict[str, Any]] = {}
    for path in paths:
        for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
            line = json.loads(text)
            found[path, line["subject"], line["name"]] = line
    return list(found.values())


def table(lines: list[dict[str, Any]]) -> str:
    """Totals by subject."""
    names = ["faults", "at random", "survived", *TOTALS.values()]
    rows = [f"| subject | {' | '.join(names)} |", f"| --- |{' ---: |' * len(names)}"]
    for subject in [*dict.fromkeys(line["subject"] for line in lines), "all"]:
        mine = [line for line in lines if subject in (line["subject"], "all")]
        kinds = [sum(any(kind == k for k, _ in line["problems"]) for line in mine) for kind in TOTALS]
        well = sum(line["faults"] for line in mine if not line["problems"])
        values = [sum(line["faults"] for line in mine), sum(line["random"] for line in mine), well, *kinds]
        rows.append(f"| {subject} | {' | '.join(map(str, values))} |")
    return "\n".join(rows)


def all_files() -> list[Path]:
    return sorted(FOLDER.glob("*.jsonl"))
