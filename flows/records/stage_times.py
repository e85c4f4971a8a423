"""The duration of each stage's last run on this machine, for `ratchet plan`."""

import json
from pathlib import Path

from flows.project import whole_files
from flows.project.environment import Project


def note(project: Project, model: str, stage: str, seconds: float) -> None:
    """Only the holder of the model's lock may call this."""
    content = {"format": 1, "stages": last(project, model) | {stage: seconds}}
    whole_files.write(_path(project, model), json.dumps(content, indent=2))


def last(project: Project, model: str) -> dict[str, float]:
    """stage -> seconds; a stage that never ran here is not in it."""
    try:
        return dict(json.loads(_path(project, model).read_text(encoding="utf-8"))["stages"])
    except (OSError, ValueError, KeyError):
        return {}


def _path(project: Project, model: str) -> Path:
    return project.state / f"times-{model}.json"
