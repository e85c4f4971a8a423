"""Note that the test metrics of a model are there to be read, so that the gate counts it also where it did not judge.

Whoever looks at test metrics and then chooses has used the test rows, with `dvc repro` as with `ratchet run`. A line of
.ratchet/tested/<model>.jsonl names the model and a sample of the rows; the next decision takes it into the ledger
(flows/records/used_rows.py). RATCHET_TESTED, set by `ratchet`, names the folder for every working tree of a clone.
"""

import json
import os
from pathlib import Path

FOLDER = ".ratchet/tested"


def note(model: str) -> None:
    """After `evaluate` has written data/<model>/metrics.json. A line that is there already is not written again."""
    from pipelines.model.predictor import model_hash
    from pipelines.table import row_groups, row_sample

    folder = Path("data") / model
    batches = row_groups.batches(folder / "test.parquet", ["row_id"])
    sample = row_sample.of(row for batch in batches for row in batch["row_id"].to_pylist())
    content = {"format": 1, "model_hash": model_hash(folder / "model"), "test_rows": sample.content()}
    line = json.dumps(content, sort_keys=True) + "\n"
    path = Path(os.environ.get("RATCHET_TESTED", FOLDER)) / f"{model}.jsonl"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        file.seek(0)
        if line not in file:
            file.write(line)
