"""What the stages of a run made, read from their files, and where it was published."""

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
    """inputs_hash names the run, model_hash the version, test_hash the rows that `metrics` were measured on."""

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
        """Raises IntegrityError, naming the first file that is no longer what the stages made."""
        if moved := seal.changed(self.signed):
            raise IntegrityError(
                f"{moved[0]} changed after the stages had made it: what was to be published is not what was made.",
                "Nothing was decided. Run again when nothing writes into the project's folder.",
            )


@dataclass(frozen=True)
class Published:
    """Where in MLflow it is. Defined here, so that a run can receive it without importing MLflow."""

    version: int
    run_id: str
    experiment_id: str
    fresh: bool  # False: run and version were there already


def read(project: Project, model: str, inputs_hash: str, signed: dict[Path, seal.Signature | None]) -> StageOutputs:
    """signed: of the outputs, from when they were compared with dvc.lock."""
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


def page(folder: Path) -> list[Path]:
    """The files of the page about data that broke a rule (flows/report/failure_page.py), if there is one."""
    return sorted((folder / "failed").glob("page*"))
