"""Half precision: computed in processes of its own, and refused where oneDNN would end the process."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from flows.promotion import trial
from flows.registry import served
from pipelines.errors import TrainingError
from pipelines.hardware import device
from pipelines.process import fork_server
from tests.pipelines.config.test_user_code import BUILD
from tests.support.world import ROOT, World, pets

pytestmark = pytest.mark.usefixtures("hardware")


@pytest.mark.long
def test_in_a_process_of_its_own_it_is_trained_evaluated_and_loaded():
    """tests/support/started/half_precision.py, whatever this process has told oneDNN, and whoever set what for it."""
    hostile = {"ONEDNN_MAX_CPU_ISA": "AVX2", "TF_ENABLE_ONEDNN_OPTS": "1"}
    script = "tests/support/started/half_precision.py"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", script]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | hostile, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


LAYERS = {
    "a layer": 'keras.layers.Dense(3, dtype="float16", name="half")(start)',
    "a policy": 'keras.layers.Dense(3, dtype="mixed_bfloat16", name="half")(start)',
    "an operation": 'keras.ops.cast(keras.ops.multiply(keras.ops.cast(start, "bfloat16"), 2), "float32")',
    "inside another": 'keras.Sequential([keras.layers.Dense(3, dtype="float16", name="half")])(start)',
    "wrapped": "keras.layers.Flatten()(keras.layers.TimeDistributed(keras.layers.Dense(3, dtype='float16', "
    "name='half'))(keras.layers.Reshape((-1, 1))(start)))",
}


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS.keys())
def test_a_layer_of_ones_own_in_half_precision_is_refused_in_float32(world: World, layer):
    code = BUILD.replace(
        'keras.layers.Dense(settings.values["width"], activation="swish", name="mine")(start)',
        f'keras.layers.Dense(4, dtype="float32")({layer})',
    )
    assert code != BUILD
    (world.root / "models/pets.py").write_text(code)
    world.pin(pets(60))
    world.run("ingest", "validate", "clean", "check")
    with pytest.raises(
        TrainingError, match=r"The layer '(half|cast.*)' computes in half .* `precision: mixed_float16`"
    ):
        world.run("train")
    assert not (world.root / "data/pets/model").exists()


def test_a_model_that_does_not_say_that_it_computes_in_half_precision_is_not_loaded(tmp_path):
    """As it could be trained before such layers were refused."""
    layer = {"class_name": "Dense", "config": {"name": "half", "dtype": {"config": {"name": "float16"}}}}
    (tmp_path / "architecture.json").write_text(json.dumps({"config": {"layers": [layer]}}))
    about = {"hardware": device.Hardware().model_dump()}
    (tmp_path / "model.json").write_text(json.dumps(about))
    with pytest.raises(TrainingError, match="The layer 'half' computes in half precision"):
        device.of_model(tmp_path, "auto")
    about["hardware"]["precision"] = "mixed_float16"
    (tmp_path / "model.json").write_text(json.dumps(about))
    assert device.of_model(tmp_path, "auto").precision == "mixed_float16"


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("instructions", ["AVX2", "AVX512_CORE", "ALL"])
def test_a_process_for_half_precision_leaves_onednn_out_whatever_it_may_use(precision, instructions):
    found = device.variables(device.Hardware(precision=precision, instructions=instructions))
    assert found["TF_ENABLE_ONEDNN_OPTS"] == "0"


def test_this_process_which_computes_in_float32_refuses_to_be_settled_for_half_precision():
    with pytest.raises(TrainingError, match="This process imported TensorFlow for another device"):
        device.prepare(device.Hardware(precision="mixed_bfloat16", device="cpu"), seed=0)


@pytest.mark.parametrize(("champion", "asked"), [("mixed_float16", False), ("float32", True)])
def test_a_rival_in_another_precision_is_not_tried_in_the_warm_process_of_the_run(
    made, tmp_path, monkeypatch, champion, asked
):
    """That has imported TensorFlow for the candidate, and looks only once: the gate failed."""
    monkeypatch.chdir(made.root)
    monkeypatch.setenv(fork_server.VARIABLE, "a folder")
    rival = shutil.copytree(made.root / "data/pets/model", tmp_path / "model")
    about = json.loads((rival / "model.json").read_text())
    about["hardware"]["precision"] = champion
    (rival / "model.json").write_text(json.dumps(about))
    score = {"candidate": str(made.root / "data/pets/model"), "champion": str(rival)}
    assert (fork_server.VARIABLE in trial._environment(trial.Request("pets", score=score))) == asked


class TestServed:
    """In a process of plain MLflow, which may hold several models."""

    def test_after_a_model_in_float32_half_precision_is_refused(self, monkeypatch):
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
        monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
        import tensorflow as tf

        if tf.config.list_physical_devices("GPU"):
            pytest.skip("a GPU computes half precision whatever oneDNN may use")
        with pytest.raises(RuntimeError, match=r"mixed_float16, and oneDNN may use AVX2 at most .* of its own"):
            served._settle("mixed_float16")
        served._settle("float32")

    def test_where_onednn_is_off_or_may_use_everything_it_is_loaded(self, monkeypatch):
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
        served._settle("mixed_bfloat16")
        monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
        monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS")
        served._settle("mixed_bfloat16")
