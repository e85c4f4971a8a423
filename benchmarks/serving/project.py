"""A clone with registered models that are live, and the rows that servers are asked for."""

import base64
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
CHURN = "churn"  # the model that `ratchet new` makes


class Clone:
    """A clone of this repository. What is there already is not made again."""

    def __init__(self, folder: Path):
        self.root, self.state = folder, folder / ".ratchet"
        if not (folder / ".git").exists():
            subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)

    @property
    def environment(self) -> dict[str, str]:
        """For what is started there: MLflow's own server finds the store and its programs."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "MLFLOW_"))}
        return kept | {
            "PATH": f"{BIN}{os.pathsep}{kept['PATH']}",
            "PYTHONPATH": str(self.root),
            "MLFLOW_TRACKING_URI": f"sqlite:///{self.root}/mlflow/mlflow.db",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }

    def python(self, *arguments: str) -> None:
        """Run `python ARGUMENTS` there. What it says goes to standard error. Raises CalledProcessError."""
        subprocess.run([sys.executable, *arguments], cwd=self.root, env=self.environment, check=True, stdout=sys.stderr)

    def make(self, model: str, table: Path | None) -> None:
        """Train a model, register it and make it live. table: the rows of CHURN."""
        if self.live(model).exists():
            return
        if model == CHURN and not (self.root / "models" / f"{CHURN}.yaml").exists():
            assert table is not None, "churn needs --data: telco-churn.csv"
            self.python("-m", "flows.cli", "new", CHURN, "--data", str(table), "--target", "Churn")
        self.python("-m", "flows.cli", "run", model)
        self.python("-m", "flows.deployment", "ensure", model)

    def live(self, model: str) -> Path:
        return self.state / "serving" / model / "live.json"

    def version(self, model: str) -> dict[str, Any]:
        """What live.json says."""
        return dict(json.loads(self.live(model).read_text()))

    def rows(self, model: str) -> list[dict[str, Any]]:
        """Golden rows of the test split, as the address `predict` takes them."""
        folder = self.live(model).parent / self.version(model)["folder"]
        return list(json.loads((folder / "examples.json").read_text())["rows"])


def bodies(rows: list[dict[str, Any]], mlflow: bool) -> bytes:
    """One body a line, each with one row. No server has to decode a PNG: a picture is sent as its values."""
    content = [{"dataframe_records": [of_mlflow(row)]} if mlflow else _with(row, np.ndarray.tolist) for row in rows]
    return b"\n".join(json.dumps(one, separators=(",", ":")).encode() for one in content)


def of_mlflow(row: dict[str, Any]) -> dict[str, Any]:
    """MLflow takes a picture as the bytes of its values, in base64."""
    return _with(row, lambda values: base64.b64encode(values.tobytes()).decode())


def _with(row: dict[str, Any], picture: Callable[[np.ndarray], Any]) -> dict[str, Any]:
    """The row, with its picture in that form. picture: of uint8 [height, width] or [height, width, channels]."""
    if "image" not in row:
        return row
    found = row["image"]
    if isinstance(found, str):
        found = Image.open(io.BytesIO(base64.b64decode(found)))
    return {"image": picture(np.asarray(found, np.uint8))}
