"""What the server reads, in a folder of a test: live.json and the versions, as flows/deployment writes them.

The models are made by hand (models.py), so no test of the server has to import TensorFlow:

    versions.promote(state, "pets")        # version 1, live
    versions.promote(state, "pets", 2)     # version 2 takes its place
    versions.retire(state, "pets")         # no champion any more
    versions.pets_row()                    # a row that it answers

`trained` makes a version of a model folder that was trained.
"""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipelines.model import predictor
from pipelines.readers.meaning import values
from tests.support.served.models import MODELS, PETS, SHOPS, TILES, WEIGHTS, Model, pets_row, shops_rows

__all__ = ["MODELS", "PETS", "SHOPS", "TILES", "WEIGHTS", "pets_row", "shops_rows"]

RULES = {"reader": 2, "missing": ["", "NA"], "dates": {}, "timezone": "UTC", "ambiguous": "refuse"}
RULES |= {"decimal": ".", "thousands": "", "marks": {}}
SINCE = "2026-11-29T08:00:00+00:00"
SERVE = {"log": True, "sample": 1.0, "keep_days": 180, "largest_gb": 5.0, "sensitive": "leave_out"}


@dataclass(frozen=True)
class Parts:
    """Folders of a model that was trained. reading: None for a version of an older Ratchet."""

    model: Path
    serving: Path
    reading: Path | None


PREDICTOR = """
import hashlib
import os
import time

import numpy as np


def check_manifest(folder, expected):
    if hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest() != expected:
        raise ValueError("this is another model")


class Predictor:
    def __init__(self, folder, expected):
        self.more = (int((folder / "model.weights.h5").read_text().split()[1]) - 1) / 10

    def model(self, arrays, training):
        ages = arrays["numbers"][:, 0]
        if (ages == 666).any():
            os._exit(9)
        if (ages == 555).any():
            time.sleep(600)
        if (ages == 13).any():
            raise ValueError("thirteen")
        codes = [["black", "brown", "white"].index(word) + 1 if word else 0 for word in arrays["categories"][:, 0]]
        found = 2 * np.where(np.isnan(ages), 7.0, ages) + codes + self.more
        return found[:, None].astype(np.float32)
"""


def promote(state: Path, model: str = "pets", version: int = 1, **changes: Any) -> Path:
    """Make a version of one of MODELS, and make it live; returns its folder.

    The answers of version n are moved by (n - 1) / 10. changes: of live.json, such as serve={"log": False}.
    """
    return point(state, model, version, make(state, model, version), **changes)


def trained(state: Path, model: str, version: int, parts: Parts, columns: dict[str, Any], examples: list[Any]) -> Path:
    """A version of a model that was trained, live; returns its folder. columns: columns.json."""
    folder = state / "serving" / model / "versions" / f"{version}-{'0' * 12}"
    for name in ("model", "serving", "reading"):
        if (source := getattr(parts, name)) is not None:
            shutil.copytree(source, folder / name)
    (folder / "columns.json").write_text(json.dumps(columns))
    (folder / "examples.json").write_text(json.dumps({"format": 1, "rows": examples}))
    seal(folder)
    return point(state, model, version, folder)


def point(state: Path, model: str, version: int, folder: Path, **changes: Any) -> Path:
    """Write the live.json that names a version's folder; returns that folder."""
    serving = folder / "serving" / "serving.json"
    about = json.loads(serving.read_text())
    columns = json.loads((folder / "columns.json").read_text()).get("columns", [])
    found = {
        "format": 1,
        "model": model,
        "version": version,
        "model_hash": digest(folder / "model" / "manifest.json"),
        "artifact_hash": folder.name.partition("-")[2] + "0" * 52,
        "serving_hash": digest(serving),
        "runtime": about["runtime"],
        "why": about["why"],
        "folder": folder.relative_to(state / "serving" / model).as_posix(),
        "files_hash": digest(folder / "files.json"),
        "since": SINCE,
        "line": version,
        "previous": "",
        "problem": "",
        "serve": SERVE,
        "sensitive": [one["name"] for one in columns if one["sensitive"]],
    }
    write(state, model, found | changes)
    return folder


def promote_keras(state: Path, model: str = "weights", version: int = 1, **changes: Any) -> Path:
    """As `promote`, but the version has no graph: a child computes it, with a predictor.py that needs no TensorFlow.

    Only for `weights`.
    """
    folder = make(state, model, version)
    (folder / "serving" / "model.onnx").unlink()
    (folder / "model" / "predictor.py").write_text(Path(predictor.__file__).read_text() + PREDICTOR)
    predictor.write_manifest(folder / "model")
    model_hash = digest(folder / "model" / "manifest.json")
    about = json.loads((folder / "serving" / "serving.json").read_text())
    about |= {"runtime": "keras", "why": "it has layers of its own", "model_hash": model_hash, "files": {}}
    (folder / "serving" / "serving.json").write_text(json.dumps(about))
    seal(folder)
    return point(state, model, version, folder, **changes)


def explained(folder: Path, background: dict[str, Any], **about: Any) -> Path:
    """Give a version explanations, as the stage `explain` writes them; `point` with it again. background: the columns
    of training rows. about: of explanations.json."""
    place = folder / "explanations"
    place.mkdir(exist_ok=True)
    pd.DataFrame(background).to_parquet(place / "background.parquet")
    content = {"format": 1, "off": False, "metric": "accuracy", "rows": 3, "importance": [], "groups": []}
    content |= {"dependence": [], "rules": None, "series": None, "pictures": [], "background": "background.parquet"}
    (place / "explanations.json").write_text(json.dumps(content | about))
    seal(folder)
    return folder


def retire(state: Path, model: str = "pets", problem: str = "") -> None:
    """The model has no champion any more."""
    write(state, model, {"format": 1, "model": model, "version": None, "problem": problem})


def write(state: Path, model: str, content: dict[str, Any]) -> None:
    """live.json, replaced at once."""
    path = state / "serving" / model / "live.json"
    partial = path.with_name(".live.partial")
    partial.write_text(json.dumps(content))
    partial.replace(path)


def make(state: Path, model: str, version: int) -> Path:
    """The folder of a version, complete; it is made anew if it is there."""
    made = MODELS[model]
    place = state / "serving" / model / "versions"
    folder = place / f"{version}-{hashlib.sha256(f'{model} {version}'.encode()).hexdigest()[:12]}"
    shutil.rmtree(folder, ignore_errors=True)
    _model(folder / "model", made, version)
    if "reader" in made.about:
        (folder / "reading").mkdir()
        (folder / "reading" / "reading.json").write_text(json.dumps({"format": 1, "rules": RULES, "instants": {}}))
        shutil.copyfile(values.__file__, folder / "reading" / "values.py")
    _serving(folder / "serving", made.graph((version - 1) / 10), digest(folder / "model" / "manifest.json"))
    (folder / "columns.json").write_text(json.dumps({"format": 1, **made.columns}))
    (folder / "examples.json").write_text(json.dumps({"format": 1, "rows": made.examples}))
    seal(folder)
    return folder


def seal(folder: Path) -> str:
    """Write files.json, after a change to a version's files; returns its hash, for point(files_hash=...)."""
    (folder / "files.json").unlink(missing_ok=True)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    content = {"format": 1, "files": {path.relative_to(folder).as_posix(): digest(path) for path in files}}
    (folder / "files.json").write_text(json.dumps(content))
    return digest(folder / "files.json")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _model(folder: Path, made: Model, version: int) -> None:
    """A model folder with a manifest; only its description and its words are real."""
    folder.mkdir(parents=True)
    layers = [
        {"class_name": "StringLookup", "config": {"name": f"category_{place}", "vocabulary": words}}
        for place, words in enumerate(made.words)
    ]
    (folder / "architecture.json").write_text(json.dumps({"config": {"layers": layers}}))
    (folder / "model.weights.h5").write_text(f"version {version}")
    (folder / "model.json").write_text(json.dumps(made.about))
    shutil.copyfile(predictor.__file__, folder / "predictor.py")
    predictor.write_manifest(folder)


def _serving(folder: Path, graph: bytes, model_hash: str) -> None:
    folder.mkdir()
    (folder / "model.onnx").write_bytes(graph)
    content = {
        "format": 1,
        "runtime": "onnx",
        "why": "",
        "model_hash": model_hash,
        "files": {"model.onnx": digest(folder / "model.onnx")},
        "checked": {"rows": 2, "largest_difference": 0.0, "scale": 1.0, "labels_changed": 0},
    }
    (folder / "serving.json").write_text(json.dumps(content))
