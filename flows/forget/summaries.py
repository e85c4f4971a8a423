"""Summaries of columns (pipelines/table/summary): their points and words are values of single rows.

A point that tells of a person goes with its count: the summary has a step less, and stays true of all other values.
"""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flows.forget.traces import Traces

BESIDE = {"points": ("below", "right"), "words": ("counts",)}  # a list of values, and lists with an entry for each
EXACT = "exact"  # whether no value lies between the points


def is_one(path: Path) -> bool:
    try:
        return path.suffix == ".parquet" and set(BESIDE) <= set(pq.read_schema(path).names)
    except (OSError, pa.ArrowException):
        return False


def scrub(path: Path, target: Path, traces: Traces) -> None:
    """The summary at `path`, without what tells of a person, at `target`."""
    table = pq.read_table(path)
    lines = [_scrubbed(line, traces) for line in table.to_pylist()]
    pq.write_table(pa.Table.from_pylist(lines, schema=table.schema), target, compression="zstd")


def _scrubbed(line: dict[str, Any], traces: Traces) -> dict[str, Any]:
    for values, others in BESIDE.items():
        found = line[values] or []
        kept = [place for place, value in enumerate(found) if not traces.in_value(value)]
        if len(kept) < len(found):
            line |= {values: [found[place] for place in kept]}
            line |= {
                name: [line[name][place] for place in kept] for name in others if len(line[name] or []) == len(found)
            }
            line |= {EXACT: False} if EXACT in line and values == "points" else {}
    return line
