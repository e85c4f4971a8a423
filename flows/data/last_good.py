"""The last good version of a model's data: the newest one that passed every stage. The next version is compared with
its profile, and `refresh` pins the profile together with that version.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from flows.project import whole_files
from flows.project.environment import Project
from pipelines.config.settings import FORMAT
from pipelines.table import profile as profiles
from pipelines.table.profile import Profile


@dataclass(frozen=True)
class Good:
    """pin: the tag `ratchet.pin`; data_hash: the name of the version for `ratchet run --data`; at: UTC."""

    pin: str
    data_hash: str
    at: str


def note(project: Project, model: str, pin: str, data_hash: str) -> None:
    """Keep the profile of these data, because a run on them was published."""
    made = project.data(model) / "profile.json"
    if not made.exists() or ((known := of(project, model)) and (known.pin, known.data_hash) == (pin, data_hash)):
        return
    found = json.loads(made.read_text(encoding="utf-8"))
    about = {"pin": pin, "data_hash": data_hash, "at": datetime.now(UTC).isoformat(timespec="seconds")}
    whole_files.write(_path(project, model), profiles.text(about | found) + "\n")


def of(project: Project, model: str) -> Good | None:
    """None before the first published run of this clone."""
    found = _read(project, model)
    return Good(found["pin"], found["data_hash"], found["at"]) if found else None


def profile(project: Project, model: str) -> Profile | None:
    """Its profile, with `pin` and `data_hash`: the `reference` of a pin."""
    found = _read(project, model)
    return {key: value for key, value in found.items() if key != "at"} if found else None


def _read(project: Project, model: str) -> Profile | None:
    path = _path(project, model)
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    return found if found and found["format"] == FORMAT else None


def _path(project: Project, model: str) -> Path:
    return project.state / f"profile-{model}.json"
