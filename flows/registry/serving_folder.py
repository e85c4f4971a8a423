"""A folder of files for serving: serving.json, and what it names. It is checked before anything of it is used."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.errors import IntegrityError
from pipelines.model.predictor import file_hash

FOLDER = "serving"
ABOUT = "serving.json"
PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")  # the name of a file: never a path


@dataclass(frozen=True)
class Serving:
    """folder: the checked files; None if there are none. why: why they are not used, or why they are not ONNX.

    variant: the smaller form that they are; "" for the version itself. model, model_hash: its checked model folder,
    where ONNX does not carry it.
    """

    folder: Path | None
    hash: str | None
    runtime: str
    why: str
    names: tuple[str, ...] = ()  # of the checked files in the folder; nothing else of it is used
    variant: str = ""
    model: Path | None = None
    model_hash: str = ""

    @property
    def missing(self) -> bool:
        return self.folder is None


def none(why: str) -> Serving:
    """Without serving files the model itself answers."""
    return Serving(None, None, "keras", why)


def named(folder: Path, about: str, model_hash: str, what: str, keys: Collection[str] = ()) -> dict[str, Any]:
    """The content of the JSON file `about` of a folder, when all files that it names are there as it names them.

    model_hash: of the version that they belong to. what: they are, in words. keys: that it must have besides. Raises
    IntegrityError.
    """
    try:
        content = dict(json.loads((folder / about).read_text(encoding="utf-8")))
        if absent := [key for key in keys if key not in content]:
            raise KeyError(absent[0])
        if content["model_hash"] != model_hash:
            raise ValueError(f"they were made of the model {content['model_hash'][:12]}")
        for name, digest in dict(content["files"]).items():
            if not PLAIN.fullmatch(name) or file_hash(folder / name) != digest:
                raise ValueError(f"{name[:80]} is not the file that {about} names")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"{what} in {folder} cannot be used: {' '.join(str(error).split())[:300]}.",
            "`ratchet run` makes them again.",
        ) from error
    return content


def check(folder: Path, model_hash: str) -> Serving:
    """The serving files in a folder. Raises IntegrityError if they are not what serving.json names, or another model's.

    model_hash: of the version that they are for.
    """
    about = named(folder, ABOUT, model_hash, "The serving files", ("runtime", "why"))
    names = (*about["files"], ABOUT)
    return Serving(folder, file_hash(folder / ABOUT), str(about["runtime"]), str(about["why"]), names)
