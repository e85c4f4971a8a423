"""A package on another machine: its README is followed in an empty environment, and it answers as the model did."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import requests

from tests.support import golden
from tests.support.clone import answer, environment, ratchet
from tests.support.golden import MODELS

pytestmark = pytest.mark.long
HEAVY = ("tensorflow", "keras", "mlflow", "prefect", "dvc", "pandas", "pyarrow")


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    golden.three(folder)
    return folder


@pytest.fixture(scope="module")
def packages(project, tmp_path_factory) -> dict[str, Path]:
    """Of each model, the folder that `ratchet package` writes for its champion."""
    place = tmp_path_factory.mktemp("packages")
    for model in MODELS:
        found = answer(project, "package", model, str(place / model))
        assert found["version"] == 1
    return {model: place / model for model in MODELS}


@pytest.fixture(scope="module")
def python(packages, tmp_path_factory) -> Path:
    """That of an environment which the README's own lines have made."""
    folder = packages[MODELS[0]]
    start = (folder / "README.md").read_text().split("## Start")[1]
    make, install, serve = re.findall(r"```sh\n(.*?)```", start, re.DOTALL)[0].splitlines()
    assert serve == ".venv/bin/python serve.py"
    make = make.replace("python3", sys.executable, 1)
    begun = time.monotonic()
    for line in (make, install):
        subprocess.run(line.split(), cwd=folder, env=environment(), check=True, capture_output=True)
    size = sum(path.stat().st_size for path in (folder / ".venv").rglob("*") if path.is_file())
    print(f"environment: {size / 1e6:.0f} MB, made in {time.monotonic() - begun:.0f} s")
    return folder / ".venv" / "bin" / "python"


@contextmanager
def served(python: Path, package: Path, *options: str) -> Iterator[str]:
    """The address of a server that was started as the README says."""
    port = free_port()
    begun = time.monotonic()
    command = [str(python), "serve.py", "--port", str(port), *options]
    process = subprocess.Popen(command, cwd=package, env={"PATH": "/usr/bin:/bin"}, stderr=subprocess.PIPE, text=True)
    url = f"http://127.0.0.1:{port}"
    try:
        while not ready(url):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < begun + 60
            time.sleep(0.02)
        print(f"ready after {time.monotonic() - begun:.2f} s")
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/ready", timeout=5).status_code == 200
    except requests.ConnectionError:
        return False


def rows(project: Path, model: str) -> list[dict[str, Any]]:
    """The rows of the test split, as somebody sends them."""
    table = pd.read_parquet(project / "data" / model / "test.parquet").drop(columns="row_id")
    if "image" in table:
        return [{"image": np.frombuffer(one, np.uint8).reshape(8, 8).tolist()} for one in table["image"]]
    return json.loads(table.to_json(orient="records", double_precision=15))


@pytest.mark.parametrize("model", MODELS)
def test_it_answers_the_test_split_as_the_model_was_evaluated(project, packages, python, model):
    evaluated = pd.read_parquet(project / "data" / model / "predictions.parquet")
    with served(python, packages[model]) as url:
        found = requests.post(f"{url}/models/{model}/predict", json=rows(project, model), timeout=60).json()
    assert (found["model"], found["version"]) == (model, 1)
    assert len(found["answers"]) == len(evaluated)
    if model == "diabetes":
        told = [one["prediction"] for one in found["answers"]]
        np.testing.assert_allclose(told, evaluated["prediction"], rtol=0, atol=1e-5 * evaluated["actual"].std())
        return
    names = [name for name in evaluated if name.startswith("probability_")]
    told = [[one["probabilities"][name.removeprefix("probability_")] for name in names] for one in found["answers"]]
    np.testing.assert_allclose(told, evaluated[names], rtol=0, atol=1e-5)
    assert [one["prediction"] for one in found["answers"]] == evaluated["prediction"].tolist()


def test_the_examples_and_the_row_of_the_readme_are_answered(packages, python):
    for model in MODELS:
        with served(python, packages[model]) as url:
            one = json.loads((packages[model] / "example.json").read_text())
            assert requests.post(f"{url}/models/{model}/predict", json=one, timeout=10).status_code == 200
            many = requests.get(f"{url}/models/{model}/examples", timeout=10).json()["rows"]
            said = requests.post(f"{url}/models/{model}/predict", json=many, timeout=60).json()
            assert len(said["answers"]) == len(many) > 50
            assert said["logged"] is False


def test_the_environment_has_nothing_of_a_training(python):
    code = f"import importlib.util as u; print([n for n in {HEAVY} if u.find_spec(n)])"
    done = subprocess.run([str(python), "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_folder_that_is_not_empty_stays_as_it_is(project, packages):
    before = sorted(packages["digits"].rglob("*"))
    done = ratchet(project, "package", "digits", str(packages["digits"]))
    assert done.returncode == 2
    assert "is not empty" in done.stderr
    assert sorted(packages["digits"].rglob("*")) == before


def test_a_version_that_is_not_there_is_refused_and_leaves_nothing(project, tmp_path):
    done = ratchet(project, "package", "digits", str(tmp_path / "package"), "--version", "99")
    assert done.returncode == 2
    assert "99" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_nearly_one_is_suggested(project, tmp_path):
    done = ratchet(project, "package", "digit", str(tmp_path / "package"))
    assert done.returncode == 2
    assert "Did you mean 'digits'?" in done.stderr
