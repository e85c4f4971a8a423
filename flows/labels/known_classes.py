"""The classes that the champion knows, as its folder on this machine says."""

import json
from pathlib import Path

from flows.serving.engine import live_file
from pipelines.errors import IntegrityError
from pipelines.model_file import Declaration


def of(state: Path, declared: Declaration) -> frozenset[str] | None:
    """Their texts; None for a regression, and where no version is live here."""
    if declared.data.task != "classification":
        return None
    try:
        version = live_file.read(state / "serving" / declared.model).version
        if version is None:
            return None
        about = json.loads((version.folder / "columns.json").read_text(encoding="utf-8"))
        return frozenset(map(str, about["classes"]))
    except (OSError, ValueError, KeyError, IntegrityError):
        return None
