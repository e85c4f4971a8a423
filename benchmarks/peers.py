"""The same work in other tools, each in its own words: called by benchmarks/overhead.py.

Digits 64-128-10, 30 epochs, batches of 32, Adam: read a table, split it, train, evaluate, log to MLflow. A peer gets a
virtual environment of its own beside the one of this project, whose TensorFlow, Keras and MLflow it uses, so that only
the tools differ. pip installs it from the index that it is configured for. A peer that cannot be installed is left out,
and said to be.
"""

import os
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE = 600  # seconds for one command

WORK = """
import os

import keras
import mlflow
import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split


def read():
    return pd.read_csv("digits.csv")


def split(table):
    rest, test = train_test_split(table, test_size=0.2, stratify=table["target"], random_state=1)
    train, validation = train_test_split(rest, test_size=0.25, stratify=rest["target"], random_state=1)
    return train, validation, test


def arrays(table):
    return table.drop(columns="target").to_numpy("float32"), table["target"].to_numpy()


def fit(train, validation):
    keras.utils.set_random_seed(7)
    x, y = arrays(train)
    normal = keras.layers.Normalization()
    normal.adapt(x)
    layers = [keras.Input((64,)), normal, keras.layers.Dense(128, "relu"), keras.layers.Dense(10, "softmax")]
    model = keras.Sequential(layers)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=30, batch_size=32, validation_data=arrays(validation), verbose=0)
    return model


def accuracy(model, test):
    return float(model.evaluate(*arrays(test), verbose=0)[1])


def log(found):
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    with mlflow.start_run():
        mlflow.log_params({"epochs": 30, "batch_size": 32})
        mlflow.log_metric("accuracy", found)
    assert found > 0.9, found
"""

KEDRO = {
    "pyproject.toml": """
[tool.kedro]
package_name = "peer"
project_name = "peer"
kedro_init_version = "1.7.0"
source_dir = "src"
""",
    "conf/base/catalog.yml": "{}\n",
    "conf/base/parameters.yml": "{}\n",
    "conf/local/credentials.yml": "{}\n",
    "conf/base/mlflow.yml": "server: {mlflow_tracking_uri: sqlite:///mlflow.db}\n",
    "src/peer/__init__.py": "",
    "src/peer/settings.py": "",
    "src/peer/work.py": WORK,
    "src/peer/pipeline_registry.py": """
import mlflow
from kedro.pipeline import node, pipeline

from peer import work


def log(found):
    mlflow.log_metric("accuracy", found)
    assert found > 0.9, found


def register_pipelines():
    steps = [
        node(work.read, None, "table"),
        node(work.split, "table", ["train", "validation", "test"]),
        node(work.fit, ["train", "validation"], "model"),
        node(work.accuracy, ["model", "test"], "accuracy"),
        node(log, "accuracy", None),
    ]
    return {"__default__": pipeline(steps)}
""",
}

DVC = {
    "work.py": WORK,
    "prepare.py": """
import work

for name, part in zip(("train", "validation", "test"), work.split(work.read()), strict=True):
    part.to_csv(f"{name}.csv", index=False)
""",
    "train.py": """
import pandas as pd
import work

work.fit(pd.read_csv("train.csv"), pd.read_csv("validation.csv")).save("model.keras")
""",
    "evaluate.py": """
import json

import keras
import pandas as pd
import work

found = work.accuracy(keras.saving.load_model("model.keras"), pd.read_csv("test.csv"))
work.log(found)
with open("metrics.json", "w") as file:
    json.dump({"accuracy": found}, file)
""",
    "dvc.yaml": """
stages:
  prepare:
    cmd: python prepare.py
    deps: [prepare.py, work.py, digits.csv]
    outs: [train.csv, validation.csv, test.csv]
  train:
    cmd: python train.py
    deps: [train.py, work.py, train.csv, validation.csv]
    outs: [model.keras]
  evaluate:
    cmd: python evaluate.py
    deps: [evaluate.py, work.py, model.keras, test.csv]
    metrics: [metrics.json]
""",
}

ZENML = {
    "work.py": WORK,
    "run.py": """
from typing import Annotated

import keras
import pandas as pd
import work
from zenml import pipeline, step

Three = tuple[Annotated[pd.DataFrame, "train"], Annotated[pd.DataFrame, "validation"], Annotated[pd.DataFrame, "test"]]


@step
def prepare() -> Three:
    train, validation, test = work.split(work.read())
    return train, validation, test  # ZenML counts the artifacts by this line


@step
def fit(train: pd.DataFrame, validation: pd.DataFrame) -> Annotated[str, "model"]:
    work.fit(train, validation).save("model.keras")
    return "model.keras"


@step
def evaluate(model: str, test: pd.DataFrame) -> Annotated[float, "accuracy"]:
    found = work.accuracy(keras.saving.load_model(model), test)
    work.log(found)
    return found


@pipeline
def retrain() -> None:
    train, validation, test = prepare()
    evaluate(fit(train, validation), test)


if __name__ == "__main__":
    retrain()
""",
}


@dataclass(frozen=True)
class Peer:
    """packages: exact versions. prepare: commands that a person types once; run: the one that is timed."""

    name: str
    packages: tuple[str, ...]
    files: dict[str, str]
    run: tuple[str, ...]
    prepare: tuple[tuple[str, ...], ...] = ()
    variables: dict[str, str] = field(default_factory=dict)


PEERS = (
    Peer(
        "Kedro 1.7.0 + kedro-mlflow 2.0.3",
        ("kedro==1.7.0", "kedro-mlflow==2.0.3", "kedro-datasets==9.6.0"),
        KEDRO,
        ("kedro", "run"),
    ),
    Peer(
        "DVC 3.67.1, plain",
        ("dvc==3.67.1",),
        DVC,
        ("dvc", "repro"),
        (("git", "init", "-q"), ("dvc", "init", "-q")),
    ),
    Peer(
        "ZenML 0.98.0, its local stack",
        ("zenml[local]==0.98.0",),
        ZENML,
        ("python", "run.py"),
        (("zenml", "init"),),
        {"ZENML_ANALYTICS_OPT_IN": "false", "AUTO_OPEN_DASHBOARD": "false"},
    ),
)


class NotThere(Exception):
    """The peer cannot be installed here."""


def measured(peer: Peer, folder: Path, rounds: int) -> tuple[float, list[float]]:
    """Seconds of the first run in an empty folder, and of `rounds` more in which nothing has changed.

    Raises NotThere. Byte code is written by a run before, which does not count.
    """
    binaries = _installed(peer, folder / "venv")
    for name in ("warm", "timed"):
        _write(peer, folder / name)
        for command in peer.prepare:
            _seconds(peer, binaries, folder / name, command)
        first = _seconds(peer, binaries, folder / name, peer.run)
    return first, [_seconds(peer, binaries, folder / "timed", peer.run) for _ in range(rounds)]


def _installed(peer: Peer, venv: Path) -> Path:
    """The folder of the commands of a virtual environment, which sees the packages of this one after its own."""
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (venv / "lib" / name / "site-packages" / "beside.pth").write_text(sysconfig.get_path("purelib") + "\n")
    command = [str(venv / "bin" / "python"), "-m", "pip", "install", "-q", *peer.packages]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    if done.returncode:
        raise NotThere(next(iter(done.stderr.strip().splitlines()[-1:]), "pip gave no reason"))
    return venv / "bin"


def _write(peer: Peer, folder: Path) -> None:
    from sklearn.datasets import load_digits

    for name, text in peer.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.lstrip())
    table = load_digits(as_frame=True).frame
    table.to_csv(folder / "digits.csv", index=False)


def _seconds(peer: Peer, binaries: Path, folder: Path, command: tuple[str, ...]) -> float:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "MLFLOW_", "ZENML_"))}
    path = [str(binaries), sysconfig.get_path("scripts"), kept["PATH"]]
    variables = kept | peer.variables | {"PATH": os.pathsep.join(path), "DO_NOT_TRACK": "true"}
    variables |= {"ZENML_CONFIG_PATH": str(folder / ".zenconfig"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=PATIENCE)
    if done.returncode:
        raise RuntimeError(f"{peer.name}: {' '.join(command)}: {(done.stderr or done.stdout)[-2000:]}")
    return time.perf_counter() - start
