"""A project folder for one test: models declared in it, files pinned, stages run. And a small table of pets."""

import copy
import importlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

from pipelines.process import fork_server
from pipelines.readers import sources

ROOT = Path(__file__).parents[2]
PATIENCE = 300.0  # seconds for one thing to happen: one core will do, with other work beside
STAGES = ("ingest", "validate", "clean", "check", "train", "evaluate")
PETS: dict[str, Any] = {  # a small table: two numbers, a category, two classes
    "format": 1,
    "data": {
        "kind": "table",
        "task": "classification",
        "target": "animal",
        "columns": {"weight": "number", "age": "number", "colour": "category"},
    },
    "ingest": {"source": "data/incoming/pets/"},
    "validate": {},
    "clean": {"split": {"by": "hash", "seed": 0}},
    "check": {},
    "train": {"hidden": [8], "epochs": 3, "batch_size": 16, "seed": 1},
    "evaluate": {"metrics": ["accuracy", "roc_auc", "log_loss"]},
    "promote": {"metric": "accuracy", "at_least": 0.5},
    "schedule": {},
}


def pets(rows: int = 200, seed: int = 0) -> pd.DataFrame:
    """Cats weigh about 5 kg, dogs about 13; one in ten has no age, one in twenty no colour."""
    random = np.random.default_rng(seed)
    dog = random.random(rows) < 0.5
    return pd.DataFrame(
        {
            "weight": np.round(np.abs(random.normal(np.where(dog, 13.0, 5.0), 3.0)), 6),
            "age": np.where(random.random(rows) < 0.1, np.nan, random.integers(0, 15, rows)),
            "colour": np.where(random.random(rows) < 0.05, None, random.choice(["black", "brown", "white"], rows)),
            "animal": np.where(dog, "dog", "cat"),
        }
    )


def tiles(rows: int = 240, seed: int = 0) -> pd.DataFrame:
    """Images of 6 x 6 grey levels, bright on the left (0), on the right (1) or nowhere (2)."""
    random = np.random.default_rng(seed)
    tile = random.integers(0, 3, rows)
    pixels = random.integers(0, 90, (rows, 6, 6), np.uint8)
    pixels[tile == 0, :, :3] += 90
    pixels[tile == 1, :, 3:] += 90
    return pd.DataFrame({"image": [image.tobytes() for image in pixels], "tile": tile})


@dataclass
class World:
    """A project folder, in which models are declared, files pinned and stages run."""

    root: Path

    def declare(self, model: str = "pets", /, **changes: dict[str, Any]) -> None:
        """Write models/<model>.yaml: PETS, with keys of its sections changed; a section may be given as `data_`
        to replace it."""
        content = copy.deepcopy(PETS)
        for name, section in changes.items():
            content[name.removesuffix("_")] = section if name.endswith("_") else content[name] | section
        path = self.root / "models" / f"{model}.yaml"
        path.parent.mkdir(exist_ok=True)
        YAML().dump(content, path)
        if not path.with_suffix(".py").exists():
            path.with_suffix(".py").write_text('"""No code of its own."""\n')
        shutil.copyfile(ROOT / "dvc.yaml", self.root / "dvc.yaml")  # a stage looks up there what it depends on

    def declare_weights(self, **changes: dict[str, Any]) -> None:
        """The model `weights`: a regression on the table of pets."""
        columns = {"age": "number", "colour": "category", "animal": "category"}
        data = {"kind": "table", "task": "regression", "target": "weight", "columns": columns}
        metrics = {"metrics": ["mean_absolute_error", "root_mean_squared_error", "r2"]}
        gate = {"metric": "mean_absolute_error", "at_most": 9.0}
        source = {"source": "data/incoming/weights/"}
        check = {"overlap": 1.0}
        sections = {"data_": data, "ingest": source, "check": check, "evaluate": metrics, "promote_": gate}
        self.declare("weights", **sections | changes)

    def declare_tiles(self, **changes: dict[str, Any]) -> None:
        """The model `tiles`: images, with a convolution and dropout."""
        data = {"kind": "image", "task": "classification", "target": "tile", "label": "integer", "shape": [6, 6, 1]}
        train = {"network": "cnn", "filters": [4], "hidden": [16], "dropout": 0.2}
        sections = {"data_": data, "ingest": {"source": "data/incoming/tiles/"}, "train": train}
        self.declare("tiles", **sections | changes)

    def pin(self, frame: pd.DataFrame | bytes | str, name: str = "rows.csv", model: str = "pets") -> Path:
        """Put one file under data/<model>/source/ and pin it."""
        path = self.root / "data" / model / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(frame, pd.DataFrame):
            (frame.to_parquet if path.suffix == ".parquet" else frame.to_csv)(path, index=False)
        else:
            path.write_bytes(frame if isinstance(frame, bytes) else frame.encode())
        entry = {"name": name, "bytes": path.stat().st_size, "sha256": sources.file_hash(path)}
        pin = {"format": 1, "source": f"data/incoming/{model}/", "kind": "files", "files": [entry]}
        (path.parent.parent / "pin.json").write_text(json.dumps(pin))
        return path

    def copy(self, folder: Path) -> "World":
        """The same in another folder, which may be there."""
        return World(Path(shutil.copytree(self.root, folder, dirs_exist_ok=True)))

    def run(self, *stages: str, model: str = "pets") -> Path:
        """Run stages in this process; returns data/<model>."""
        for stage in stages:
            importlib.import_module(f"pipelines.{stage}").run(model)
        return self.root / "data" / model

    def command(
        self, stage: str, model: str = "pets", cores: set[int] | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """python -m pipelines STAGE MODEL, in a process of its own, on the given cores."""
        code = "import os, runpy; {}runpy.run_module('pipelines', run_name='__main__', alter_sys=True)"
        limited = code.format(f"os.sched_setaffinity(0, {cores}); " if cores else "")
        return subprocess.run(
            [sys.executable, "-c", limited, stage, model],
            env=dict(os.environ) | {"PYTHONPATH": str(ROOT)} | environment,
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )


def until(true: Callable[[], Any], told: Callable[[], Any] = lambda: "") -> Any:
    """Wait until a function gives something that counts as true, and return it. told: what an error is to say."""
    end = time.monotonic() + PATIENCE
    while not (found := true()):
        assert time.monotonic() < end, f"it never came: {told()}"
        time.sleep(0.02)
    return found


def nothings(folder: Path) -> None:
    """Empty packages with the names of the libraries that take seconds to import."""
    for name in {
        name
        for kind in fork_server.LIBRARIES
        for name in (*fork_server.LIBRARIES[kind], *fork_server.LATER.get(kind, ()))
    }:
        package = folder / name.replace(".", "/")
        package.mkdir(parents=True, exist_ok=True)
        for place in (package, package.parent):
            (place / "__init__.py").touch()
