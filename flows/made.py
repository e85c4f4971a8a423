"""What the stages of a run made, read from their files, and where it was published."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.environment import Project
from pipelines import predictor


@dataclass(frozen=True)
class Made:
    """inputs_hash names the run, model_hash the version, test_hash the rows that `metrics` were measured on."""

    folder: Path
    metrics: dict[str, float]  # on the test split
    splits: dict[str, dict[str, Any]]  # name -> rows, hash, classes
    data_hash: str
    model_hash: str
    inputs_hash: str

    @property
    def test_hash(self) -> str:
        return str(self.splits["test"]["hash"])


@dataclass(frozen=True)
class Published:
    """Where in MLflow it is. Defined here, so that a run can receive it without importing MLflow."""

    version: int
    run_id: str
    experiment_id: str
    fresh: bool  # False: run and version were there already


def read(project: Project, model: str, inputs_hash: str) -> Made:
    folder = project.data(model)
    cleaned = json.loads((folder / "clean.json").read_text(encoding="utf-8"))
    return Made(
        folder=folder,
        metrics=json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["test"],
        splits=cleaned["splits"],
        data_hash=cleaned["data_hash"],
        model_hash=predictor.model_hash(folder / "model"),
        inputs_hash=inputs_hash,
    )
