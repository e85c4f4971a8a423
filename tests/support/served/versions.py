"""What the server reads, in a folder of a test: live.json and the versions, as flows/deployment writes them.

The models are made by hand (graphs.py), so no test of the server has to import TensorFlow:

    served.promote(state, "pets")          # version 1, live
    served.promote(state, "pets", 2)       # version 2 takes its place
    served.retire(state, "pets")           # no champion any more
    versions.pets_row()                    # a row that it answers

MODELS: pets (a table: two classes, a date), weights (a table: a number), tiles (pictures), shops (a series).
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.model import predictor
from pipelines.readers.meaning import values
from tests.support.served import graphs

RULES = {"reader": 2, "missing": ["", "NA"], "dates": {}, "timezone": "UTC", "ambiguous": "refuse"}
RULES |= {"decimal": ".", "thousands": "", "marks": {}}
SINCE = "2026-11-29T08:00:00+00:00"
SERVE = {"log": True, "sample": 1.0, "keep_days": 180, "largest_gb": 5}


PREDICTOR = """
import hashlib
import os
from pathlib import Path

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
        if (ages == 13).any():
            raise ValueError("thirteen")
        codes = [["black", "brown", "white"].index(word) + 1 if word else 0 for word in arrays["categories"][:, 0]]
        found = 2 * np.where(np.isnan(ages), 7.0, ages) + codes + self.more
        return found[:, None].astype(np.float32)
"""


@dataclass(frozen=True)
class Model:
    """A model made by hand."""

    graph: Callable[[float], bytes]
    about: dict[str, Any]  # of model.json
    columns: dict[str, Any]  # columns.json, but for its format
    words: list[list[str]]  # that it knows, for each column of words, in the order of the graph
    examples: list[Any]


def number(name: str, least: float, most: float, whole: bool = False, sensitive: bool = False) -> dict[str, Any]:
    bounds = {"least": None, "most": None} if sensitive else {"least": least, "most": most}
    return {"name": name, "role": "number", **bounds, "words": [], "more_words": 0, "whole": whole} | _rest(sensitive)


def category(name: str, words: list[str], sensitive: bool = False) -> dict[str, Any]:
    shown = [] if sensitive else words
    about = {"name": name, "role": "category", "least": None, "most": None, "words": shown, "more_words": 0}
    return about | {"whole": False} | _rest(sensitive)


def day(name: str) -> dict[str, Any]:
    about = {"name": name, "role": "date", "least": None, "most": None, "words": [], "more_words": 0, "whole": False}
    return about | _rest(False)


def _rest(sensitive: bool) -> dict[str, Any]:
    return {"sensitive": sensitive, "missing": True}


def pets_row(**changes: Any) -> dict[str, Any]:
    """A dog, more or less."""
    return {"weight": 12.5, "age": 3, "colour": "brown", "born": "2023-05-01"} | changes


def shops_rows(hours: int = 8, shop: str = "a") -> list[dict[str, Any]]:
    """A forecast's rows: a shop that sells one more in each hour, and the last hour's sale is not known yet."""
    rows = [
        {"at": f"2026-01-01T{hour:02d}:00:00Z", "shop": shop, "warm": 5.5, "sky": "clear", "sold": float(hour)}
        for hour in range(hours)
    ]
    return [*rows[:-1], rows[-1] | {"sold": None}]


def columns(kind: str, task: str, target: str, found: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    about: dict[str, Any] = {"kind": kind, "task": task, "target": target, "label": "text", "classes": []}
    about |= {"shape": [], "window": 0, "horizon": 1, "step": 0.0, "time": "", "series": [], "lags": {}}
    return about | {"baseline": None, "columns": found, "instants": {}, "example": {}} | more


def about(kind: str, task: str, target: str, classes: list[Any], **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"format": 1, "task": task, "target": target, "label": "text", "classes": classes}
    found |= {"batch_size": 16, "hardware": {"precision": "float32"}, "kind": kind, "shape": []}
    return found | {"numbers": [], "categories": []} | more


PETS = Model(
    graphs.pets,
    about(
        "table",
        "classification",
        "animal",
        ["cat", "dog"],
        numbers=["weight", "age"],
        categories=["colour"],
        dates=["born"],
        reader=2,
    ),
    columns(
        "table",
        "classification",
        "animal",
        [number("weight", 0.5, 40.0), number("age", 0, 14, True), category("colour", graphs.COLOURS), day("born")],
        classes=["cat", "dog"],
        example=pets_row(),
    ),
    [graphs.COLOURS],
    [pets_row(), pets_row(weight=4.0, age=None), pets_row(colour="white", born="2020-01-31T12:00:00+00:00")],
)
WEIGHTS = Model(
    graphs.weights,
    about("table", "regression", "weight", [], numbers=["age"], categories=["colour"], reader=2),
    columns(
        "table",
        "regression",
        "weight",
        [number("age", 0, 14, True), category("colour", graphs.COLOURS, sensitive=True)],
        example={"age": 3, "colour": None},
    ),
    [graphs.COLOURS],
    [{"age": 3, "colour": None}, {"age": None, "colour": None}],
)
TILES = Model(
    graphs.tiles,
    about("image", "classification", "tile", [0, 1, 2], label="integer", shape=[6, 6, 1]),
    columns(
        "image",
        "classification",
        "tile",
        [],
        label="integer",
        classes=[0, 1, 2],
        shape=[6, 6, 1],
        example={"image": [[20] * 6] * 6},
    ),
    [],
    [{"image": [[20] * 6] * 6}, {"image": [[200] * 3 + [20] * 3] * 6}],
)
SHOPS = Model(
    graphs.shops,
    about(
        "sequence",
        "regression",
        "sold",
        [],
        categories=["shop"],
        dates=["at"],
        past={"window": 6, "numbers": ["warm", "past_sold"], "categories": ["sky"]},
        reader=2,
    ),
    columns(
        "sequence",
        "regression",
        "sold",
        [
            day("at"),
            number("warm", -4.0, 14.0),
            category("sky", ["clear", "cloud"]),
            category("shop", ["a", "b"]),
        ],
        window=6,
        step=3600.0,
        time="at",
        series=["shop"],
        example={"rows": shops_rows()},
    ),
    [["clear", "cloud"], ["a", "b"]],
    [{"rows": shops_rows()}, {"rows": shops_rows(3, "b")}],
)
MODELS = {"pets": PETS, "weights": WEIGHTS, "tiles": TILES, "shops": SHOPS}


def promote(state: Path, model: str = "pets", version: int = 1, **changes: Any) -> Path:
    """Make a version of one of MODELS, and make it live; returns its folder.

    The answers of version n are moved by (n - 1) / 10. changes: of live.json, such as serve={"log": False}.
    """
    return point(state, model, version, make(state, model, version), **changes)


def point(state: Path, model: str, version: int, folder: Path, **changes: Any) -> Path:
    """Write the live.json that names a version's folder; returns that folder."""
    serving = folder / "serving" / "serving.json"
    about = json.loads(serving.read_text())
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
        "problem": "",
        "serve": SERVE,
        "sensitive": [one["name"] for one in MODELS[model].columns["columns"] if one["sensitive"]],
    }
    write(state, model, found | changes)
    return folder


def promote_keras(state: Path, model: str = "weights", version: int = 1, **changes: Any) -> Path:
    """As `promote`, but the version has no graph: a child computes it, with a predictor.py that needs no TensorFlow.

    Only for `weights`.
    """
    folder = make(state, model, version)
    (folder / "serving" / "model.onnx").unlink()
    (folder / "model" / "predictor.py").write_text(PREDICTOR)
    predictor.write_manifest(folder / "model")
    model_hash = digest(folder / "model" / "manifest.json")
    about = json.loads((folder / "serving" / "serving.json").read_text())
    about |= {"runtime": "keras", "why": "it has layers of its own", "model_hash": model_hash, "files": {}}
    (folder / "serving" / "serving.json").write_text(json.dumps(about))
    seal(folder)
    return point(state, model, version, folder, **changes)


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
    (folder / "examples.json").write_text(json.dumps(made.examples))
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
