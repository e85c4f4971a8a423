"""What a person asks of `ratchet explain`, and where the pictures of the answer go."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from flows.predict import file_paths
from flows.project.environment import Project
from pipelines.errors import RequestError
from pipelines.explaining import ORDERS


@dataclass(frozen=True)
class Wanted(file_paths.Wanted):
    """The rows and where the explanations go, as for `ratchet predict`. method: shapley, gradients, or "" for shapley.
    orders: walks for each row. change: whether the smallest change that turns each answer is looked for."""

    method: str = ""
    orders: int = ORDERS
    seed: int = 0
    change: bool = False

    @property
    def pictures(self) -> Path:
        """The folder for pictures, beside the file."""
        return self.output.with_name(f"{self.output.stem}-pictures")


def check(project: Project, wanted: Wanted) -> None:
    """Raises RequestError for a place that will not do, DataError for rows that are in no file."""
    file_paths.check(project, wanted)
    if wanted.pictures.exists() and not (wanted.force and _ours(wanted.pictures)):
        raise RequestError(
            f"{wanted.pictures} is there already, and pictures would go there.",
            "Name another OUTPUT, or take it away."
            if wanted.force
            else "Name another OUTPUT, or add --force to replace it.",
        )


def _ours(folder: Path) -> bool:
    """Whether a folder holds nothing but pictures, so that it may be replaced."""
    return folder.is_dir() and not folder.is_symlink() and all(one.suffix == ".png" for one in folder.iterdir())


def put(partial: Path, pictures: Path, wanted: Wanted) -> None:
    """Give the whole file, and the folder of pictures if there is one, their names."""
    file_paths.put(partial, wanted)
    if pictures.is_dir():
        if _ours(wanted.pictures):
            shutil.rmtree(wanted.pictures)
        os.replace(pictures, wanted.pictures)
