"""Candidates whose test metrics were there to be read, as `evaluate` noted them (pipelines/model/used_rows.py)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flows.project.environment import Project
from pipelines.table import row_sample
from pipelines.table.row_sample import RowSample


@dataclass(frozen=True)
class Seen:
    model_hash: str
    rows: RowSample


def folder(project: Project) -> Path:
    return project.state / "tested"


def read(project: Project, model: str) -> Iterator[Seen]:
    """In the order in which they were evaluated. A line that a crash has cut off is left out."""
    path = folder(project) / f"{model}.jsonl"
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            content = json.loads(line)
            rows = row_sample.read(content["test_rows"])
            if rows is not None:
                yield Seen(str(content["model_hash"]), rows)
        except (ValueError, KeyError, TypeError):
            continue
