"""What of a model's log is deleted: closed days that are too old, then the oldest ones until the rest is small enough.

The limits are those of the version that is live: `serve:` in <state>/serving/<model>/live.json. Without that file
nothing is deleted. The day that is open is never deleted.
"""

import json
import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from flows.serving.log import layout


def apply(folder: Path, today: date) -> None:
    """folder: of a model, in <state>/answers."""
    serve = _limits(folder)
    oldest = today - timedelta(days=serve["keep_days"]) if "keep_days" in serve else date.min
    days = [day for day in layout.closed_days(folder) if day < today]
    for day in [day for day in days if day < oldest]:
        _delete(folder, day)
        days.remove(day)
    most = serve.get("largest_gb", float("inf")) * 1e9
    size = layout.bytes_of(folder)
    while days and size > most:
        size -= layout.bytes_of(folder, days[0])
        _delete(folder, days.pop(0))


def _limits(folder: Path) -> dict[str, Any]:
    try:
        live = json.loads((folder.parents[1] / "serving" / folder.name / "live.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return dict(live.get("serve") or {})


def _delete(folder: Path, day: date) -> None:
    """The folder of a day. Lines of that day that are still written are left."""
    shutil.rmtree(folder / str(day))
