"""Device: an automatic choice gives its reason, and what changes the last bits is settled whatever the user has."""

import subprocess
import sys

import pytest

from pipelines.device import Hardware, choose
from pipelines.errors import TrainingError
from tests.world import ROOT

CODE = """
from pipelines import device
choice = device.prepare(device.Hardware(threads=3, device="cpu"), seed=5)
import os, keras, tensorflow as tf
from tensorflow.python.framework.config import is_op_determinism_enabled
threads = tf.config.threading
print(choice.device, keras.backend.backend(), keras.config.floatx(), keras.config.image_data_format(),
      os.environ["ONEDNN_MAX_CPU_ISA"], threads.get_intra_op_parallelism_threads(),
      threads.get_inter_op_parallelism_threads(), is_op_determinism_enabled())
"""


@pytest.mark.parametrize(
    ("wanted", "gpus", "device", "reason"),
    [
        ("auto", [], "cpu", "train.device is auto and TensorFlow sees no GPU"),
        ("auto", ["GPU:0"], "gpu", "train.device is auto and TensorFlow sees 1 GPU"),
        ("gpu", ["GPU:0", "GPU:1"], "gpu", "train.device is gpu and TensorFlow sees 2 GPU"),
        ("cpu", ["GPU:0"], "cpu", "train.device is cpu"),
    ],
)
def test_the_choice_tells_its_reason(wanted, gpus, device, reason):
    choice = choose(wanted, gpus)
    assert (choice.device, choice.reason) == (device, reason)


def test_a_gpu_that_is_asked_for_and_absent_is_told():
    with pytest.raises(TrainingError, match=r"TensorFlow sees none\. Run `ratchet doctor`"):
        choose("gpu", [])


def test_the_users_own_keras_settings_change_nothing(tmp_path):
    (tmp_path / "keras.json").write_text(
        '{"backend": "numpy", "floatx": "float16", "image_data_format": "channels_first", "epsilon": 1e-7}'
    )
    environment = {"KERAS_HOME": str(tmp_path), "KERAS_BACKEND": "numpy", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, env=environment)
    assert done.stdout.split() == ["cpu", "tensorflow", "float32", "channels_last", "AVX2", "3", "3", "True"]
    assert done.stderr == ""


def test_the_default_hardware_is_declared_in_full():
    assert Hardware().model_dump() == {"device": "auto", "threads": 2, "instructions": "AVX2"}
