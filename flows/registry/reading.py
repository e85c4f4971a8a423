"""How the raw rows of a version are read: by reading.json and a copy of readers/meaning/values.py, beside the model.

The registered model reads each value by them (served.py), as `ingest` read the rows that it learned from.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from pipelines.config.settings import FORMAT
from pipelines.ingest import Ingest
from pipelines.readers.meaning import values

NAME = "reading"  # of the folder, among the artifacts of a version
TAG = "ratchet.reader"


def content(ingest: Ingest) -> dict[str, Any]:
    """The keys of `ingest:` that matter for a single row, as reading.json holds them."""
    keys = ("reader", "missing", "dates", "timezone", "ambiguous", "decimal", "thousands", "marks")
    rules = {key: getattr(ingest.rules, key) for key in keys}
    rules |= {"missing": list(ingest.missing)} | ({"private": ingest.hidden} if ingest.hidden else {})
    hashed = {"hash_key": ingest.hash_key} if ingest.hidden else {}
    return {"format": FORMAT, "rules": rules, "instants": ingest.instants, **hashed}


def write(found: dict[str, Any], folder: Path) -> Path:
    """The folder, made anew."""
    folder.mkdir(parents=True)
    (folder / "reading.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    shutil.copyfile(values.__file__, folder / "values.py")
    return folder
