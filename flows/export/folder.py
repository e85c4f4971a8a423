"""What stands in the folder of an export: the model's file, reader.py, features.json, a row to try, how to run it."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.export import features, reader, rows
from flows.export.format import Format
from flows.package.package import check_place
from flows.report import pages
from pipelines.config.settings import FORMAT
from pipelines.model.predictor import file_hash

COPIED = ("task", "target", "label", "classes", "kind", "shape", "numbers", "categories", "dates", "past")
READABLE = (0o755, 0o644)  # of folders and files; the folder itself is its owner's alone


@dataclass(frozen=True)
class Content:
    """What a folder is made of. named: model, version and model_hash. model: the model folder; about: its model.json.
    example: a row as reader.py takes it."""

    named: dict[str, Any]
    model: Path
    about: dict[str, Any]
    format: Format
    int8: bool
    example: rows.Row

    @property
    def head(self) -> dict[str, Any]:
        """What manifest.json and features.json begin with."""
        export = {"export": self.format.name, "int8": self.int8, "file": self.format.file}
        return {"format": FORMAT, **self.named, **export}


def fill(target: Path, content: Content) -> None:
    """Write everything but manifest.json. target: a folder with the model's file.

    Raises NotCarried, naming the layer, if the steps around the network cannot be written down.
    """
    found = content.head | {name: content.about[name] for name in COPIED if name in content.about}
    if content.format.steps:
        found["steps"] = features.steps(features.architecture(content.model))
    _write(target / "features.json", json.dumps(found, ensure_ascii=False, allow_nan=False) + "\n")
    shutil.copyfile(reader.__file__, target / "reader.py")
    _write(target / "example.json", rows.text([content.example]) + "\n")
    _write(target / "README.md", pages.render("export.md.j2", **_values(target, content)))


def _values(target: Path, content: Content) -> dict[str, Any]:
    """For the template of README.md."""
    chosen, named = content.format, content.named
    bits = ", weights in eight bits" if content.int8 else ""
    facts = {
        "model": named["model"],
        "version": str(named["version"]),
        "model hash": named["model_hash"],
        "file": f"{chosen.file}, {weight(target / chosen.file) / 1000:,.1f} kB{bits}",
    }
    return named | {
        "facts": [{"fact": name, "value": value} for name, value in facts.items()],
        "runtime": chosen.runtime,
        "packages": " ".join(["numpy", *chosen.packages]),
        "file": chosen.file,
        "steps": chosen.steps,
        "about": content.about,
    }


def close(target: Path, content: Content, checked: dict[str, Any]) -> dict[str, Any]:
    """Write manifest.json, which names all other files; returns what `ratchet export` says of the folder."""
    files = {
        path.relative_to(target).as_posix(): file_hash(path) for path in sorted(target.rglob("*")) if path.is_file()
    }
    manifest = content.head | {"checked": checked, "files": files}
    _write(target / "manifest.json", json.dumps(manifest, indent=1, allow_nan=False) + "\n")
    sizes = [path.stat().st_size for path in target.rglob("*") if path.is_file()]
    return content.head | {
        "sha256": file_hash(target / "manifest.json"),
        "model_bytes": weight(target / content.format.file),
        "files": len(sizes),
        "bytes": sum(sizes),
    }


def weight(path: Path) -> int:
    """The bytes of a file, or of all files of a folder."""
    return sum(one.stat().st_size for one in ([path] if path.is_file() else path.rglob("*")) if one.is_file())


def put(target: Path, place: Path) -> None:
    """Give the whole folder its name. Raises RequestError if another one has got it meanwhile."""
    for path in target.rglob("*"):
        path.chmod(READABLE[0] if path.is_dir() else READABLE[1])  # whatever this process's umask
    check_place(place)
    os.rename(target, place)  # an empty folder is replaced


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
