"""Variants: the smaller forms of a model that the stage `compress` has made (pipelines/compress.py), as they lie there.

data/<model>/compressed/compressed.json            what was made, and what could not be
data/<model>/compressed/<variant>/                 serving.json with its ONNX file, predictions.parquet; where ONNX
                                                   does not carry it, model/
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.project.environment import Project
from flows.registry import serving_folder
from flows.registry.serving_folder import Serving
from pipelines.errors import IntegrityError
from pipelines.model import predictor

FOLDER, ABOUT = "compressed", "compressed.json"
MODEL = "model"  # the folder of a variant that ONNX does not carry
WEIGHTS = ("architecture.json", "model.weights.h5")  # of such a folder: what a server loads
AGAIN = "Remove data/{0}/compressed, and `ratchet run {0}` makes it again."


@dataclass(frozen=True)
class Variant:
    """One that was made. about: its entry in compressed.json; serving: its checked files."""

    name: str
    folder: Path
    about: dict[str, Any]
    serving: Serving

    @property
    def model(self) -> Path | None:
        """The model folder that answers, where ONNX does not carry it."""
        return None if self.serving.runtime == "onnx" else self.folder / MODEL

    @property
    def model_hash(self) -> str:
        """Of that folder; "" where there is none."""
        return predictor.model_hash(self.model) if self.model else ""

    @property
    def predictions(self) -> Path:
        """Its answers to the test rows, in the form of predictions.parquet of `evaluate`."""
        return self.folder / "predictions.parquet"

    @property
    def bytes(self) -> int:
        """Of what is served."""
        return size(self.serving, self.model)


@dataclass(frozen=True)
class Made:
    """What the stage has made of one model. hash: of compressed.json; failed: variant -> why it could not be made."""

    hash: str
    model_hash: str
    variants: list[Variant]
    failed: dict[str, str]

    @property
    def asked(self) -> bool:
        """Whether the YAML asks for a smaller form."""
        return bool(self.variants or self.failed)


def read(project: Project, model: str) -> Made | None:
    """None if the stage has not run. Raises IntegrityError if a file is not what it should be."""
    folder = project.data(model) / FOLDER
    if not (folder / ABOUT).is_file():
        return None
    try:
        content = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        model_hash, entries = str(content["model_hash"]), dict(content["variants"])
        failed = {name: str(entry["why"]) for name, entry in entries.items() if entry.get("why")}
        made = [_variant(folder / name, entry, model_hash) for name, entry in entries.items() if name not in failed]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        told = " ".join(f"{type(error).__name__} {error}".split())[:300]
        raise IntegrityError(f"The smaller forms in {folder} cannot be used: {told}.", AGAIN.format(model)) from error
    return Made(predictor.file_hash(folder / ABOUT), model_hash, made, failed)


def _variant(folder: Path, about: dict[str, Any], model_hash: str) -> Variant:
    """Raises ValueError, OSError or KeyError if a file is not what compressed.json says."""
    serving = serving_folder.check(folder, model_hash)
    if serving.hash != about["serving_hash"]:
        raise ValueError(f"{folder / serving_folder.ABOUT} is not the file that {ABOUT} names")
    found = Variant(folder.name, folder, about, serving)
    if found.model:
        predictor.check_manifest(found.model)
    return found


def size(serving: Serving, model: Path | None) -> int:
    """The bytes of what a server loads to answer: the ONNX file, else the network and its weights."""
    named = [serving.folder / name for name in serving.names if name != serving_folder.ABOUT] if serving.folder else []
    return sum(path.stat().st_size for path in ([model / name for name in WEIGHTS] if model else named))
