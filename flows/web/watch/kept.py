"""What the last watch of a model has found: a file that the pages read.

<state>/watch/<model>/watched.json
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flows.project import private_files

Watched = Callable[[str], dict[str, Any] | None]  # of a model; None if it was never watched
MODEL = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)


def write(state: Path, content: dict[str, Any]) -> None:
    """content: of a model, as `ratchet watch --json` prints it."""
    path = state / "watch" / content["model"] / "watched.json"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    private_files.write(path, {"format": 1, **content})


def read(state: Path, model: str) -> dict[str, Any] | None:
    """None if it was never watched."""
    if not MODEL.fullmatch(model):
        return None
    try:
        return dict(json.loads((state / "watch" / model / "watched.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None
