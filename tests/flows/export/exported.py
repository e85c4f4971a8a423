"""Models of every kind, written in a format and answered in a fresh process, without a registry."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from flows.export import convert, folder, fresh, rows
from flows.export.compared import Compared, compare
from flows.export.features import architecture, unit
from flows.export.formats.onnx import quantized
from pipelines.config.data import Data
from pipelines.model.predictor import Predictor
from pipelines.onnx import build
from tests.pipelines.onnx.small import raw

NAMED = {"model": "small", "version": 1, "model_hash": "0" * 64}


def kept(loaded: Predictor, data: Data, count: int = 20) -> list[rows.Row]:
    """Rows as they are kept with a version, and as many with gaps as there are."""
    found = rows.golden(pa.Table.from_pandas(raw(data, count, seed=3)), loaded.about)
    return [*found, *rows.planted(found, loaded.about)]


def written(place: Path, model: Path, loaded: Predictor, data: Data, name: str, int8: bool = False) -> Path:
    """The folder of an export, filled. Raises NotCarried."""
    chosen, target = convert.known()[name], place / name
    target.mkdir(parents=True)
    if chosen.write is None:
        build.build(model, place / "serving", [raw(data)])
        source = (place / "serving" / "model.onnx").read_bytes()
        (target / chosen.file).write_bytes(quantized(source) if int8 else source)
    else:
        convert._write(loaded.model, chosen, target / chosen.file, int8)
    example = kept(loaded, data, 1)[0]
    folder.fill(target, folder.Content(NAMED, model, loaded.about, chosen, int8, example))
    return target


def checked(export: Path, model: Path, loaded: Predictor, data: Data, int8: bool = False) -> Compared:
    """What a fresh process answers with the folder, compared with the model itself."""
    some, work = kept(loaded, data), export.parent
    (work / "rows.json").write_text(json.dumps(some))
    found = fresh.answers(export, work / "rows.json", work, convert.known()[export.name], loaded.about)
    return compare(convert.answers(loaded, some), found, 20, unit(architecture(model)), int8)


def answers(loaded: Predictor, some: list[dict[str, Any]]) -> np.ndarray:
    return convert.answers(loaded, some)
