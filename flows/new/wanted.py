"""Wanted: what a person asks of `ratchet new`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Wanted:
    """What a person says: the rest is found out."""

    model: str
    data: Path
    target: str
    names: list[str]
    group: list[str]
    kind: str = ""  # table or sequence, where the rows could be either
    horizon: int = 1  # rows ahead, of a sequence
    force: bool = False
    dry_run: bool = False
    commit: bool = False
    given: dict[str, Any] = field(default_factory=dict)  # keys of `ingest:` that say how a file is written
