"""The last good version of a model's data: the newest one that passed every stage. The next version is compared with
its profile, and `refresh` pins the profile together with that version. It pins the edges of its split by time too,
before which none of the next version may lie.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.project import whole_files
from flows.project.environment import Project
from pipelines.config.settings import FORMAT
from pipelines.table import profile as profiles
from pipelines.table.profile import Profile

BESIDE = ("at", "rows_raw", "splits", "edges")  # what is kept beside the profile


@dataclass(frozen=True)
class Good:
    """pin: the tag `ratchet.pin`; data_hash: the name of the version for `ratchet run --data`; at: UTC.

    rows: of raw.parquet; splits: the hash of each. Both are 0 and {} where an older Ratchet noted it.
    """

    pin: str
    data_hash: str
    at: str
    rows: int = 0
    splits: dict[str, str] = field(default_factory=dict)


def note(project: Project, model: str, pin: str, data_hash: str) -> None:
    """Keep the profile and the split of these data, because a run on them was published."""
    made = project.data(model) / "profile.json"
    if not made.exists():
        return
    known, about = _read(project, model) or {}, {"pin": pin, "data_hash": data_hash}
    about |= _split(project.data(model) / "clean.json")
    if all(known.get(key) == value for key, value in about.items()) and ("edges" in known) == ("edges" in about):
        return
    same = (known.get("pin"), known.get("data_hash")) == (pin, data_hash)
    about["at"] = known["at"] if same else datetime.now(UTC).isoformat(timespec="seconds")
    found = json.loads(made.read_text(encoding="utf-8"))
    whole_files.write(_path(project, model), profiles.text(about | found) + "\n")


def _split(report: Path) -> dict[str, Any]:
    """What clean.json says of the split: {} where it is not there."""
    if not report.exists():
        return {}
    found = json.loads(report.read_text(encoding="utf-8"))
    hashes = {name: split["hash"] for name, split in found["splits"].items()}
    edges = {"edges": found["edges"]} if "edges" in found else {}
    return {"rows_raw": found["rows"]["raw"], "splits": hashes} | edges


def of(project: Project, model: str) -> Good | None:
    """None before the first published run of this clone."""
    found = _read(project, model)
    if found is None:
        return None
    rows, splits = found.get("rows_raw", 0), found.get("splits", {})
    return Good(found["pin"], found["data_hash"], found["at"], rows, splits)


def profile(project: Project, model: str) -> Profile | None:
    """Its profile, with `pin` and `data_hash`: the `reference` of a pin. None if it is not kept: after `ratchet forget`
    the columns are not."""
    found = _read(project, model) or {}
    return {key: value for key, value in found.items() if key not in BESIDE} if "columns" in found else None


def edges(project: Project, model: str) -> dict[str, Any] | None:
    """The edges of its split by time, if they move: the `edges` of a pin."""
    return (_read(project, model) or {}).get("edges")


def _read(project: Project, model: str) -> Profile | None:
    path = _path(project, model)
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    return found if found and found["format"] == FORMAT else None


def _path(project: Project, model: str) -> Path:
    return project.state / f"profile-{model}.json"
