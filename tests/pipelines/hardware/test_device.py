"""Device: what is chosen is told with its reason, what is recorded is replayed, whatever the user has set."""

import json
import subprocess
import sys

import pytest

from pipelines.errors import TrainingError
from pipelines.hardware import device
from pipelines.hardware.device import Hardware, Seen, choose
from tests.support.world import ROOT

CODE = """
from pipelines.hardware import device
choice = device.prepare(device.Hardware(threads=3, device="cpu"), seed=5)
import os, keras, tensorflow as tf
from tensorflow.python.framework.config import is_op_determinism_enabled
threads = tf.config.threading
print(choice.device, keras.backend.backend(), keras.config.floatx(), keras.config.image_data_format(),
      os.environ["ONEDNN_MAX_CPU_ISA"], threads.get_intra_op_parallelism_threads(),
      threads.get_inter_op_parallelism_threads(), is_op_determinism_enabled())
"""
H200, V100, P100 = Seen("NVIDIA H200", (9, 0), 139 << 30), Seen("Tesla V100", (7, 0)), Seen("Tesla P100", (6, 0))


@pytest.mark.parametrize(
    ("wanted", "seen", "told"),
    [
        ({}, [], "CPU, as there is no usable GPU; float32; XLA on"),
        ({"device": "cpu"}, [H200], "CPU, as declared; float32; XLA on"),
        (
            {"precision": "auto"},
            [H200],
            "GPU 0: NVIDIA H200, compute 9.0, 139 GiB free; mixed_bfloat16 because compute >= 8; XLA on",
        ),
        (
            {"device": "gpu", "precision": "auto", "xla": "off"},
            [V100, H200],
            "GPU 0: Tesla V100, compute 7.0; mixed_float16 because compute is 7, which has no bfloat16; XLA off",
        ),
        (
            {"precision": "auto"},
            [P100],
            "GPU 0: Tesla P100, compute 6.0; float32 because compute < 7 gains nothing from less; XLA on",
        ),
        (
            {"precision": "auto"},
            [],
            "CPU, as there is no usable GPU; float32 because a CPU gains nothing from less; XLA on",
        ),
        (
            {"devices": "all", "precision": "mixed_float16"},
            [V100, V100],
            "GPU 0: Tesla V100, compute 7.0; GPU 1: Tesla V100, compute 7.0; mixed_float16; XLA off",
        ),
        (
            {"precision": "mixed_bfloat16"},
            [],
            "CPU, as there is no usable GPU; mixed_bfloat16, which a CPU computes more slowly than float32; XLA on",
        ),
        ({"device": "cpu", "devices": 3}, [], "CPU in 3 parts, as declared; float32; XLA off"),
    ],
)
def test_the_choice_tells_its_reason(wanted, seen, told):
    assert choose(Hardware(**wanted), seen).told == told


def test_a_gpu_that_the_driver_lists_and_tensorflow_does_not_find_is_told():
    told = "CPU, as TensorFlow finds no GPU, though the driver lists one; float32; XLA on"
    assert choose(Hardware(), [], usable=True).told == told


def test_auto_takes_the_precision_that_the_least_of_several_gpus_has():
    assert choose(Hardware(devices=2, precision="auto"), [H200, V100]).precision == "mixed_float16"
    assert choose(Hardware(devices=1, precision="auto"), [H200, V100]).precision == "mixed_bfloat16"


@pytest.mark.tensorflow
def test_a_gpu_that_is_asked_for_and_absent_is_told():
    with pytest.raises(
        TrainingError,
        match=r"train.device is gpu, and (no NVIDIA driver answers|this TensorFlow was built without CUDA)",
    ):
        choose(Hardware(device="gpu"), [])
    with pytest.raises(TrainingError, match=r"train.devices is 3, and TensorFlow sees 1 GPU\. Declare `devices: all`"):
        choose(Hardware(devices=3), [H200])


def test_what_was_resolved_is_replayed(monkeypatch):
    chosen = choose(Hardware(devices="all", precision="auto"), [H200, H200])
    recorded = device.resolved(Hardware(devices="all", precision="auto", micro_batch=8), chosen)
    assert (recorded.device, recorded.devices, recorded.precision) == ("gpu", 2, "mixed_bfloat16")
    monkeypatch.setenv(device.REPLAY, json.dumps(recorded.model_dump() | {"workers": 1}))
    assert device.replayed(Hardware(devices="all", precision="auto")) == recorded
    monkeypatch.delenv(device.REPLAY)
    assert device.replayed(Hardware()) == Hardware()


def test_the_users_own_keras_settings_change_nothing(tmp_path):
    (tmp_path / "keras.json").write_text(
        '{"backend": "numpy", "floatx": "float16", "image_data_format": "channels_first", "epsilon": 1e-7}'
    )
    environment = {"KERAS_HOME": str(tmp_path), "KERAS_BACKEND": "numpy", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, env=environment)
    assert done.stdout.split() == ["cpu", "tensorflow", "float32", "channels_last", "AVX2", "3", "3", "True"]
    assert done.stderr == ""


def test_the_default_hardware_is_declared_in_full():
    assert Hardware().model_dump() == {
        "device": "auto",
        "devices": 1,
        "workers": 1,
        "precision": "float32",
        "xla": "auto",
        "micro_batch": None,
        "deterministic": True,
        "threads": 2,
        "instructions": "AVX2",
    }
