"""The champion that is live on this machine, as the watch needs it: its columns, how it reads values, its reference."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from flows.deployment import live_file
from flows.project.environment import Project
from flows.registry import reference
from pipelines.config.data import Data
from pipelines.model import predictor
from pipelines.table.summary import columns
from pipelines.table.summary.columns import DATES, NUMBERS, WORDS, Column

KINDS = {"number": NUMBERS, "category": WORDS, "date": DATES}


@dataclass(frozen=True)
class Champion:
    """A version whose folder is there. about: its model.json; described: its columns.json."""

    model: str
    number: int
    model_hash: str
    folder: Path
    about: Mapping[str, Any]
    described: Mapping[str, Any]
    sensitive: frozenset[str]

    @property
    def kind(self) -> str:
        return str(self.about["kind"])

    @property
    def watched(self) -> dict[str, str]:
        """The raw columns that are watched, by name, with their kind."""
        if self.kind == "image":
            return {reference.BRIGHTNESS: NUMBERS}
        found = {one["name"]: KINDS[one["role"]] for one in self.described["columns"]}
        return {name: kind for name, kind in found.items() if name not in {*self.sensitive, *self.joined}}

    @cached_property
    def private(self) -> frozenset[str]:
        """The columns whose values are hidden while they are read. They are compared, and no message shows them."""
        rules = self.folder / "reading" / "reading.json"
        found = json.loads(rules.read_text(encoding="utf-8")) if rules.is_file() else {}
        return frozenset(found.get("rules", {}).get("private", {}))

    @property
    def joined(self) -> list[str]:
        """The dates that are made of several columns: a row may have the parts alone."""
        return [*self.described.get("instants", {})]

    @property
    def classes(self) -> list[str]:
        return [str(name) for name in self.about["classes"]]

    def definition(self, zone: str) -> str:
        """A hash of what a summary of a day depends on: how values are read, which columns, and where days begin."""
        rules = self.folder / "reading" / "reading.json"
        content = rules.read_bytes() if rules.is_file() else b""
        return hashlib.sha256(content + json.dumps([self.watched, self.kind, zone]).encode()).hexdigest()


def of(project: Project, model: str) -> Champion | None:
    """None if no version is live here, or its folder is gone."""
    live = live_file.read(project, model)
    if live is None or live.version is None or not live.folder:
        return None
    folder = live_file.place(project, model) / live.folder
    try:
        about, described = (
            json.loads((folder / name).read_text(encoding="utf-8")) for name in ("model/model.json", "columns.json")
        )
    except (OSError, ValueError):
        return None
    hidden = {one["name"] for one in described["columns"] if one["sensitive"]} | set(live.sensitive)
    return Champion(model, live.version, live.model_hash, folder, about, described, frozenset(hidden))


def reference_of(project: Project, found: Champion, data: Data) -> list[Column]:
    """What its columns and answers looked like; [] if nobody knows.

    A version of an older Ratchet has no such file. It is made from the workspace while that has the same model.
    """
    kept = found.folder / reference.NAME
    if not kept.is_file():
        kept = project.state / "watch" / found.model / f"reference-{found.model_hash[:12]}.parquet"
    if not kept.is_file() and not _made(project, found, data, kept):
        return []
    return [one for one in columns.read(kept) if one.answer or one.name not in found.sensitive]


def _made(project: Project, found: Champion, data: Data, path: Path) -> bool:
    """Whether the workspace still has the rows of this version."""
    stages = project.data(found.model)
    try:
        if predictor.model_hash(stages / "model") != found.model_hash:
            return False
    except (OSError, ValueError):
        return False
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    reference.write(stages, data, dict(found.about), path)
    return True
