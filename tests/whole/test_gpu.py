"""GPU: what only a real one can show. Without one these tests are skipped, and say why there is none."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from flows.promotion import trial
from pipelines.hardware import gpus
from tests.support.clone import answer, clone, command, edit, git, ratchet

SIGHT = gpus.look()
needs_one = pytest.mark.skipif(not gpus.usable(SIGHT), reason=f"no GPU: {gpus.why_none(SIGHT)[0]}")
pytestmark = [pytest.mark.long, needs_one]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A clone in which digits was trained, evaluated and published on a GPU."""
    folder = clone(tmp_path_factory.mktemp("gpu"))
    edit(folder / "models" / "digits.yaml", "device: auto", "device: gpu")
    edit(folder / "models" / "digits.yaml", "evaluate: {", "evaluate: {device: gpu, ")
    assert answer(folder, "run", "digits")["decision"] == "accepted"
    return folder


@pytest.fixture(scope="module")
def run(project):
    """The run of its champion."""
    uri = f"sqlite:///{project}/mlflow/mlflow.db"
    store = MlflowClient(uri, uri)
    return store.get_run(str(store.get_model_version_by_alias("digits", "champion").run_id))


def test_a_run_says_which_gpu_it_used(run):
    (first, *_) = gpus.usable(SIGHT)
    assert run.data.tags["ratchet.device"].startswith(f"GPU 0: {first.name}, compute {gpus.dotted(first.compute)}, ")


def test_what_the_gpu_did_and_its_energy_are_metrics(run):
    watched = {name for name in run.data.metrics if name.startswith("system/gpu_0_")}
    assert {f"system/gpu_0_{what}" for what in ("utilization_percentage", "power_usage_watts")} <= watched
    assert run.data.metrics["energy/watt_hours"] > 0
    assert "GPU: counter (NVML)" in run.data.tags["ratchet.energy_method"]


def test_a_model_of_a_gpu_is_rebuilt_byte_for_byte(project):
    assert answer(project, "verify", "digits")["verdict"] == "identical"


def test_a_model_of_a_gpu_predicts_on_a_cpu_within_the_tolerance(project, tmp_path):
    found = []
    for kind in ("cpu", "gpu"):
        output = tmp_path / f"{kind}.parquet"
        said = answer(project, "predict", "digits", "data/digits/test.parquet", str(output), "--device", kind)
        assert said["device"] == kind
        found.append(pd.read_parquet(output).filter(like="probability_"))
    assert np.abs(found[0] - found[1]).to_numpy().max() <= trial.ACROSS["float32"]


def test_a_champion_that_was_evaluated_on_a_gpu_is_compared_with_a_model_evaluated_on_a_cpu(project, tmp_path):
    folder = other(project, tmp_path)
    edit(folder / "models" / "digits.yaml", "evaluate: {device: gpu, ", "evaluate: {device: cpu, ")
    edit(folder / "models" / "digits.yaml", "seed: 7", "seed: 8")
    git(folder, "commit", "-qam", "another seed")
    done = ratchet(folder, "run", "digits", "--json")
    assert json.loads(done.stdout)["decision"] in ("accepted", "rejected"), done.stderr


def test_dropout_and_convolutions_give_the_same_bytes_twice(project, tmp_path):
    folder, manifests = other(project, tmp_path), []
    edit(folder / "models" / "digits.yaml", "network: mlp ", "network: cnn\n  filters: [16, 32]\n  dropout: 0.2\n")
    for _ in range(2):
        done = command(folder, "pipelines", "train", "digits")
        assert done.returncode == 0, done.stderr
        manifests.append((folder / "data" / "digits" / "model" / "manifest.json").read_bytes())
    assert manifests[0] == manifests[1]


def other(project, place):
    """A copy to be changed."""
    return shutil.copytree(project, place / "project", symlinks=True)


OWN = """
import keras


def build(settings):
    start = keras.Input(settings.shape)
    flat = keras.layers.Flatten()(start)
    levels = keras.ops.cast(keras.ops.clip(4 * flat, 0, 7), "int32")
    counts = keras.ops.cast(keras.ops.bincount(levels, minlength=8), "float32")
    values = keras.layers.Concatenate()([flat, keras.layers.Reshape((8,))(counts)])
    return keras.Model(start, keras.layers.Dense(settings.outputs, "softmax")(values))
"""


def test_an_operation_without_a_deterministic_form_is_named(project, tmp_path):
    folder = other(project, tmp_path)
    (folder / "models" / "digits.py").write_text(OWN)
    edit(folder / "models" / "digits.yaml", "seed: 7", "seed: 7\n  xla: off")
    done = command(folder, "pipelines", "train", "digits")
    assert done.returncode == 1
    assert "An operation has no deterministic form on this device: " in done.stderr
    assert "Bincount" in done.stderr
