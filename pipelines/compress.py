"""Compress: smaller variants of the model, each with its answers to the test rows. The gate does not wait for it.

    python -m pipelines compress digits

    data/<model>/model/, serving/, predictions.parquet, train.parquet, validation.parquet, test.parquet
        ->  data/<model>/compressed/: compressed.json, and a folder for each variant

Each variant is a candidate beside its parent: whether it may answer in its place is not decided here
(flows/compression/). One that cannot be made of this model is no error: compressed.json says why.
"""

import json
import shutil
from pathlib import Path

from pipelines.compressing.settings import Compress
from pipelines.config import settings
from pipelines.config.settings import FORMAT
from pipelines.config.stage import Stage
from pipelines.errors import IntegrityError
from pipelines.model.predictor import check_manifest, file_hash, model_hash

FOLDER, NAME, SERVING = "compressed", "compressed.json", "serving.json"
REPAIR = "Restore it with `dvc checkout --force`, or make it anew with `dvc repro --force`."


STAGE = Stage("compress", Compress, after="explain", preload="networks", numeric=True, after_gate=True)


def run(model: str) -> None:
    raw, folder = settings.read(model), Path("data") / model
    config = settings.parse(model, "compress", raw.get("compress", {}), Compress)
    try:
        check_manifest(folder / "model")
    except (ValueError, OSError) as error:
        raise IntegrityError(f"{error}.", REPAIR) from error
    partial = folder / f".{FOLDER}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    found = {}
    if config.wanted:
        from pipelines.compressing import make  # seconds to import, and most models ask for no variant

        found = make.made(model, list(raw["evaluate"]["metrics"]), config, partial)
    content = {
        "format": FORMAT,
        "model_hash": model_hash(folder / "model"),
        "serving_hash": file_hash(folder / "serving" / SERVING),
        "variants": found,
    }
    (partial / NAME).write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    partial.rename(folder / FOLDER)
