"""The outputs of a run's stages, read from their files, and where they were published."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flows.project.environment import Project
from pipelines.errors import IntegrityError
from pipelines.model import predictor
from pipelines.process import seal


@dataclass(frozen=True)
class StageOutputs:
    """inputs_hash names the run, model_hash the version, test_hash the rows of `metrics`."""

    folder: Path
    metrics: dict[str, float]  # on the test split
    splits: dict[str, dict[str, Any]]  # name -> rows, hash, classes
    data_hash: str
    model_hash: str
    inputs_hash: str
    signed: dict[Path, seal.Signature | None] = field(default_factory=dict)  # the files, when they were last read

    @property
    def test_hash(self) -> str:
        return str(self.splits["test"]["hash"])

    def check(self) -> None:
        """Raises IntegrityError, naming the first file that has changed since its stage."""
        if moved := seal.changed(self.signed):
            raise IntegrityError(
                f"{moved[0]} changed after its stage made it, so the model cannot be published as it was made.",
                "Nothing was decided. Run again when nothing writes into the project's folder.",
            )


@dataclass(frozen=True)
class Published:
    """Its place in MLflow. Defined here, so that a run can receive it without importing MLflow."""

    version: int
    run_id: str
    experiment_id: str
    fresh: bool  # False: run and version were there already


def read(project: Project, model: str, inputs_hash: str, signed: dict[Path, seal.Signature | None]) -> StageOutputs:
    """signed: the signatures of the outputs at their comparison with dvc.lock."""
    folder = project.data(model)
    cleaned = json.loads((folder / "clean.json").read_text(encoding="utf-8"))
    return StageOutputs(
        folder=folder,
        metrics=json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["test"],
        splits=cleaned["splits"],
        data_hash=cleaned["data_hash"],
        model_hash=predictor.model_hash(folder / "model"),
        inputs_hash=inputs_hash,
        signed=signed,
    )


def test_hash(project: Project, model: str) -> str:
    """Of the test rows that the stages have made."""
    cleaned = json.loads((project.data(model) / "clean.json").read_text(encoding="utf-8"))
    return str(cleaned["splits"]["test"]["hash"])


def page(folder: Path) -> list[Path]:
    """The files of the page about broken rules (flows/report/failure_page.py); [] if there is none."""
    return sorted((folder / "failed").glob("page*"))
