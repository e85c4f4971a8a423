"""The device and the arithmetic: chosen once per process, before TensorFlow does anything.

Threads and the instruction set are declared, because both change the last bits of a result. `prepare` must be
the first to import TensorFlow in its process.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from pipelines.errors import TrainingError
from pipelines.settings import Section


class Hardware(Section):
    """The keys of `train:` that say where and how numbers are computed."""

    device: Literal["auto", "cpu", "gpu"] = "auto"
    threads: int = Field(2, ge=1, le=256)
    instructions: Literal["AVX2", "AVX512_CORE", "ALL"] = "AVX2"  # the most that oneDNN may use


XLA = {"AVX2": "AVX2", "AVX512_CORE": "AVX512"}  # what XLA calls them


@dataclass(frozen=True)
class Choice:
    device: str  # "cpu" or "gpu"
    reason: str


def variables(config: Hardware) -> dict[str, str]:
    """The environment that TensorFlow has to find when it is imported."""
    found = {
        "KERAS_BACKEND": "tensorflow",
        "ONEDNN_MAX_CPU_ISA": config.instructions,
        "XLA_FLAGS": f"--xla_cpu_max_isa={XLA[config.instructions]}" if config.instructions in XLA else "",
    }
    return found | ({"CUDA_VISIBLE_DEVICES": "-1"} if config.device == "cpu" else {})


def prepare(config: Hardware, seed: int) -> Choice:
    """Settle device, threads, instructions, seed and determinism.

    Raises TrainingError if a GPU is asked for and absent.
    """
    if "tensorflow" in sys.modules and any(os.environ.get(key) != value for key, value in variables(config).items()):
        raise TrainingError(
            "TensorFlow was imported in this process for another device or other instructions, and looks only once.",
            "Run again: every run imports it for what models/<model>.yaml says.",
        )
    os.environ.update(variables(config))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _silence():
        import keras
        import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(config.threads)
    tf.config.threading.set_inter_op_parallelism_threads(config.threads)
    keras.config.set_floatx("float32")  # whatever the user's keras.json says
    keras.config.set_image_data_format("channels_last")
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    return choose(config.device, tf.config.list_physical_devices("GPU"))


@contextmanager
def _silence() -> Iterator[None]:
    """TensorFlow writes to descriptor 2 while it is imported, before it can be told not to."""
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def choose(wanted: str, gpus: list[Any]) -> Choice:
    """wanted: auto, cpu or gpu; gpus: what TensorFlow lists."""
    if wanted == "cpu":
        return Choice("cpu", "train.device is cpu")
    if gpus:
        return Choice("gpu", f"train.device is {wanted} and TensorFlow sees {len(gpus)} GPU")
    if wanted == "gpu":
        raise TrainingError(
            "train.device is gpu, and TensorFlow sees none.",
            "Run `ratchet doctor` for drivers and devices, or declare `device: auto`.",
        )
    return Choice("cpu", "train.device is auto and TensorFlow sees no GPU")
