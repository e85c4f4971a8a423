"""The files kept with a registered version, to judge it later: its rows, its predictions, golden rows.

evidence/rows.parquet         row_id and split of every row that it was trained, tuned and tested on
evidence/predictions.parquet  its predictions for its test rows
evidence/golden.parquet       raw rows of the test split, predicted again before a promotion; sensitive values are left
                              out, and taken from the test split itself then
evidence/columns.json         its columns as a caller needs them (flows/registry/columns.py)
evidence/reference.parquet    how its columns and answers were distributed (flows/registry/reference.py)
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from flows.records.outputs import StageOutputs
from flows.registry import columns, model_registry, reference
from flows.registry.model_registry import ModelVersion
from flows.tracking.mlflow_runs import MlflowClient
from pipelines.config.data import Data
from pipelines.errors import IntegrityError
from pipelines.evaluate import device_of
from pipelines.model.metrics import Answers
from pipelines.table import row_groups
from pipelines.table.splits import SPLITS

GOLDEN_ROWS = 200
FOLDER = "evidence"


@dataclass(frozen=True)
class Kept:
    """rows: row_id -> split; predictions: as evaluate wrote them."""

    rows: pd.Series
    predictions: pd.DataFrame
    device: str = "cpu"  # of the predictions: cpu or gpu

    def fitted(self, row_ids: pd.Series) -> pd.Series:
        """Which of some rows the model was trained or tuned on [rows, bool]."""
        return row_ids.isin(self.rows.index[self.rows != "test"])

    def tested(self, row_ids: pd.Series) -> pd.Series:
        """Which of some rows were among its own test rows [rows, bool]."""
        return row_ids.isin(self.rows.index[self.rows == "test"])

    def answers(self, data: Data) -> Answers:
        return Answers.read(self.predictions, data.label)


def write(found: StageOutputs, data: Data, into: Path) -> Path:
    """The folder of the kept files, made under `into`."""
    folder = into / FOLDER
    folder.mkdir()
    schema = pa.schema([("row_id", pa.string()), ("split", pa.string())])
    with row_groups.Writer(folder / "rows.parquet", schema) as out:
        for split in SPLITS:
            for batch in row_groups.batches(found.folder / f"{split}.parquet", ["row_id"]):
                names = pa.array([split] * batch.num_rows)
                out.write(pa.RecordBatch.from_arrays([batch["row_id"], names], schema=schema))
    shutil.copyfile(found.folder / "predictions.parquet", folder / "predictions.parquet")
    first = next(row_groups.batches(found.folder / "test.parquet", ["row_id", *data.kept])).slice(0, GOLDEN_ROWS)
    row_groups.write(folder / "golden.parquet", first.schema, [first])
    return folder


def write_columns(found: StageOutputs, data: Data, instants: dict[str, list[str]], folder: Path) -> None:
    """Add columns.json to the folder of the kept files. instants: the dates that are made of several columns."""
    profile = json.loads((found.folder / "profile.json").read_text(encoding="utf-8"))
    content = columns.describe(data, found.folder / "model", instants, profile, golden=None)
    (folder / columns.NAME).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_reference(found: StageOutputs, data: Data, folder: Path) -> None:
    """Add reference.parquet to the folder of the kept files."""
    about = json.loads((found.folder / "model" / "model.json").read_text(encoding="utf-8"))
    reference.write(found.folder, data, about, folder / reference.NAME)


def read(store: MlflowClient, version: ModelVersion, into: Path, recorded: str | None = None) -> Kept:
    """recorded: see model_registry.fetch. Raises IntegrityError if the files are missing or have changed."""
    folder = model_registry.fetch(store, version, into, recorded) / FOLDER
    try:
        rows = pq.read_table(folder / "rows.parquet").to_pandas()
        path = folder / "predictions.parquet"
        return Kept(rows.set_index("row_id")["split"], pq.read_table(path).to_pandas(), device_of(path))
    except (OSError, KeyError, pa.ArrowException) as error:
        raise IntegrityError(
            f"The files kept with version {version.version} of {version.name} cannot be read: {error}.",
            "So nobody knows which rows it was trained on. Restore the artifact store from a backup.",
        ) from error
