"""Kept: the explanations that a version was registered with, for those who look: explanations.json and its pictures."""

import hashlib
import json
from typing import Any

from flows.serving.engine.loading import FILES
from flows.serving.problem import Problem
from flows.serving.version import Version

FOLDER, ABOUT = "explanations", "explanations.json"


def about(version: Version) -> dict[str, Any]:
    """The content of explanations.json, which holds no value of a sensitive column. Raises Problem if there is none."""
    found: dict[str, Any] = json.loads(_content(version, ABOUT))
    if found.get("off"):
        raise without(version)
    return found


def picture(version: Version, name: str) -> bytes:
    """A PNG that explanations.json names. Raises Problem if it names none of this name."""
    if name not in {one["file"] for one in about(version).get("pictures") or []}:
        told = f"Version {version.number} of {version.model} has no such picture."
        raise Problem(
            404, "no-picture", "No such picture", told, "GET its explanations: they name those that there are."
        )
    return _content(version, name)


def without(version: Version) -> Problem:
    """The problem of a version that has no explanations."""
    told = f"Version {version.number} of {version.model} was made without explanations."
    repair = "The next version has them, unless its YAML says `explain: off`."
    return Problem(409, "no-explanations", "No explanations", told, repair)


def _content(version: Version, name: str) -> bytes:
    """A file of the folder, as it was recorded. Raises Problem."""
    try:
        content = (version.folder / FOLDER / name).read_bytes()
        recorded = json.loads((version.folder / FILES).read_text(encoding="utf-8"))["files"]
    except FileNotFoundError:
        raise without(version) from None
    if hashlib.sha256(content).hexdigest() != recorded.get(f"{FOLDER}/{name}"):
        told = f"A file of version {version.number} of {version.model} is not the recorded one."
        raise Problem(503, "damaged", "The explanations are damaged", told, "Promote the version again, or roll back.")
    return content
