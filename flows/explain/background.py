"""The rows that an answer is compared with: what it adds up from is the mean answer to them.

They are those of the version's `background.parquet`, drawn from its training rows by the stage `explain`. A version
without one, of an older Ratchet or of a YAML with `explain: off`, has its golden rows: rows of its test split, kept
with it to check its answers. They come from the same data and are the same for ever, so they do as well.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flows.deployment import version_folder
from flows.deployment.serving_files import with_every_column
from flows.registry.model_registry import ModelVersion
from pipelines.errors import RequestError

NAME = "background.parquet"


@dataclass(frozen=True)
class Background:
    """rows: raw rows with every feature column, those that were left out as missing. of: what they are, in words."""

    rows: pa.Table
    of: str


def of_version(version: ModelVersion, fetched: Path, explanations: Path | None, about: dict[str, Any]) -> Background:
    """fetched: the checked files of the version. explanations: the checked folder of its explanations, if it has one.
    about: its model.json. Raises RequestError if there are no rows at all."""
    if explanations is not None and (explanations / NAME).is_file():
        return Background(_whole(pq.read_table(explanations / NAME), about), "rows of the training split")
    golden = version_folder.golden(fetched)
    if golden is None or not len(golden):
        raise RequestError(
            f"Version {version.version} of {version.name} was registered without rows to compare an answer with.",
            f"A version of today has some: `ratchet run {version.name}` registers one after a change.",
        )
    return Background(_whole(golden, about), "golden rows of the test split: the version has no explanations")


def _whole(rows: pa.Table, about: dict[str, Any]) -> pa.Table:
    return rows if about["kind"] == "image" else with_every_column(rows, about)
