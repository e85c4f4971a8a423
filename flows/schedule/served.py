"""What the scheduler serves, as it has written it into the state folder (flows/schedule/serve.py)."""

import json
from pathlib import Path
from typing import Any

import psutil

from flows.project import locks
from flows.project.environment import Project

LOCK = "schedule"  # that a scheduler holds


def ready(project: Project) -> Path:
    """The file that lists the served models and the process. It exists while the scheduler serves them."""
    return project.state / "schedule.json"


def running(project: Project) -> dict[str, Any]:
    """What the scheduler serves, {} if there is none: `pid`, `branch`, `models` (each one's schedule in words)."""
    found = _read(project)
    return found if found and LOCK in locks.held(project) and psutil.pid_exists(found["pid"]) else {}


def died(project: Project) -> bool:
    """Whether there was a scheduler that ended without taking its file away: it was killed, or the machine stopped."""
    return bool(_read(project)) and not running(project)


def _read(project: Project) -> dict[str, Any]:
    try:
        return dict(json.loads(ready(project).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
