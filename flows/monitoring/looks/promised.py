"""What the gate promised of the champion, kept once it was read: MLflow's store takes seconds.

<state>/watch/<model>/promise.json
"""

import hashlib
import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from flows.monitoring.live import promise
from flows.monitoring.live.promise import Champion, Promise
from flows.monitoring.looks.look import Look
from flows.project import private_files


def champion(at: Look) -> Champion | None:
    """As flows/monitoring/live/promise.py reads it. A look back keeps nothing.

    Raises IntegrityError if the files of the champion have changed, UnreachableError if MLflow is away.
    """
    if at.standing.champion is None or at.standing.moved is None:
        return None
    path, key = at.project.state / "watch" / at.model / "promise.json", _key(at)
    if (kept := _read(path, key)) is not None:
        return kept
    from flows.tracking import mlflow_runs

    with mlflow_runs.reachable(at.project):
        found = promise.champion(at.project, at.declared, at.standing)
    if found is not None and not at.past:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        private_files.write(path, {"format": 1, "key": key, "champion": found.content()})
    return found


def _key(at: Look) -> str:
    """By all that a promise depends on: the line that made the champion, and the rules of the gate."""
    moved = at.standing.moved
    about = [moved.sequence if moved else 0, moved.hash if moved else "", at.declared.raw.get("promote")]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _read(path: Path, key: str) -> Champion | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if found["key"] != key:
            return None
        kept = Champion(**found["champion"])
        given: Any = kept.promise
        since: Any = kept.since
        return replace(
            kept, since=datetime.fromisoformat(since), promise=Promise(**given) if given is not None else None
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None
