"""Build the files for serving of one model folder, without a project.

    python -m pipelines.onnx MODEL_FOLDER ROWS_PARQUET OUT

    MODEL_FOLDER, ROWS_PARQUET (raw rows for the check)  ->  OUT: serving.json, maybe model.onnx

It prints what serving.json holds. Exit status: 0 done, whichever runtime serves the model; 1 failed; 2 wrong arguments.
"""

import json
import sys
from pathlib import Path

from pipelines.errors import DataError, IntegrityError, RatchetError, RequestError


def main(arguments: list[str]) -> int:
    try:
        if len(arguments) != 3:
            raise RequestError("Run it with: python -m pipelines.onnx MODEL_FOLDER ROWS_PARQUET OUT.")
        model, rows, out = map(Path, arguments)
        print(json.dumps(_built(model, rows, out)))
    except RatchetError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.status
    return 0


def _built(model: Path, rows: Path, out: Path) -> dict:
    from pipelines.hardware import device
    from pipelines.model.predictor import check_manifest
    from pipelines.onnx.build import build
    from pipelines.table import row_groups

    try:
        check_manifest(model)
    except (ValueError, OSError) as error:
        raise IntegrityError(f"{error}.", "Fetch the model again.") from error
    device.prepare(device.of_model(model, "cpu"), seed=0)
    try:
        return build(model, out, (batch.to_pandas() for batch in row_groups.batches(rows)))
    except ValueError as error:
        raise DataError(f"{rows} does not hold rows of the model in {model}: {error}.") from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
