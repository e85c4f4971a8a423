"""The device and the arithmetic: chosen once per process, before TensorFlow does anything.

Threads, instructions, precision and compiler are declared, because each changes the last bits of a result. This module
resolves `auto`. The resolved values are recorded with the model, and a verification replays them.
`prepare` must be the first to import TensorFlow in its process.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, model_validator

from pipelines.config.section import Section
from pipelines.errors import BusyError, TrainingError
from pipelines.hardware import cuda, gpu_queue, gpus

REPLAY = "RATCHET_REPLAY"  # the resolved values of a recorded training, as JSON; set by `ratchet verify` alone


class Hardware(Section):
    """The keys of `train:` that say where and how numbers are computed."""

    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Where to train. `auto` takes a GPU if there is one."""
    devices: int | Literal["all"] = 1
    """How many devices of each worker share a batch, from 1. On the CPU they are parts of it, for a trial."""
    workers: int = Field(1, ge=1)
    """How many processes train together."""
    precision: Literal["float32", "auto", "mixed_bfloat16", "mixed_float16"] = "float32"
    """The precision of the computation. Weights are always float32. `auto` takes what suits the device."""
    xla: Literal["auto", "on", "off"] = "auto"
    """Whether XLA compiles the training."""
    micro_batch: int | None = Field(None, ge=1)
    """Rows that are computed at once, if memory is short. It must divide `batch_size`."""
    deterministic: bool = True
    """Whether the same training gives the same weights again."""
    threads: int = Field(2, ge=1, le=256)
    """Threads of the CPU. Another number changes the last bits of the weights."""
    instructions: Literal["AVX2", "AVX512_CORE", "ALL"] = "AVX2"
    """The newest CPU instructions that oneDNN and XLA may use."""

    @model_validator(mode="after")
    def _devices_fit(self) -> "Hardware":
        if isinstance(self.devices, int) and self.devices < 1:
            raise ValueError(f"`devices` is {self.devices}: a number from 1, or all")
        if self.xla == "on" and (self.devices != 1 or self.workers > 1):
            raise ValueError("`xla: on` is for one device: several share their batches step by step, without XLA")
        return self


XLA = {"AVX2": "AVX2", "AVX512_CORE": "AVX512"}  # XLA's names for them
H = TypeVar("H", bound=Hardware)


@dataclass(frozen=True)
class Seen:
    """A GPU as TensorFlow sees it; free: bytes, 0 if the driver does not say."""

    name: str
    compute: tuple[int, int]
    free: int = 0

    def __str__(self) -> str:
        free = f", {self.free / 2**30:.0f} GiB free" if self.free else ""
        return f"{self.name}, compute {self.compute[0]}.{self.compute[1]}{free}"


@dataclass(frozen=True)
class Choice:
    """device: "cpu" or "gpu"; devices: how many; xla: "on" or "off"; told: the choice and its reasons, for people."""

    device: str
    devices: int
    precision: str
    xla: str
    told: str


def variables(config: Hardware) -> dict[str, str]:
    """The environment variables that TensorFlow reads at its import."""
    flags = [f"--xla_cpu_max_isa={XLA[config.instructions]}"] if config.instructions in XLA else []
    if config.deterministic:
        flags.append("--xla_gpu_deterministic_ops=true")
    found = {
        "KERAS_BACKEND": "tensorflow",
        "ONEDNN_MAX_CPU_ISA": config.instructions,
        "XLA_FLAGS": " ".join(flags),
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # as the driver counts them
    }
    mixed = config.precision.startswith("mixed") or (config.precision == "auto" and bool(gpus.usable(gpus.look())))
    # oneDNN's bfloat16 crashes the process where it may use AVX2 alone; a model of a GPU has to run on any CPU
    return found | ({"TF_ENABLE_ONEDNN_OPTS": "0"} if mixed else {})


def replayed(config: H) -> H:
    """The declared values, or in a verification the recorded ones."""
    recorded = json.loads(os.environ.get(REPLAY, "{}"))
    return config.model_copy(update={key: recorded[key] for key in type(config).model_fields if key in recorded})


def of_model(folder: Path, wanted: str) -> Hardware:
    """The arithmetic that a model folder records, for one device of the wanted kind: auto, cpu or gpu.

    Raises TrainingError for a model that computes in half precision and does not record it.
    """
    recorded = json.loads((folder / "model.json").read_text(encoding="utf-8"))["hardware"]
    kept = {key: recorded[key] for key in Hardware.model_fields if key in recorded}
    config = Hardware(**kept | {"device": wanted, "devices": 1, "workers": 1, "xla": "auto"})
    architecture = folder / "architecture.json"
    if config.precision == "float32" and architecture.is_file():
        refuse_half(json.loads(architecture.read_text(encoding="utf-8")))
    return config


def refuse_half(architecture: Any) -> None:
    """Raises TrainingError if a layer of Keras' JSON of a network computes in half precision.

    For a process in float32, where oneDNN may use only the declared `instructions`. On a processor with newer ones for
    half precision TensorFlow asks oneDNN for them nevertheless, and the process crashes.
    """
    for layer in _in_half(architecture):
        raise TrainingError(
            f"The layer {layer!r} computes in half precision, and train.precision is float32: on some processors such "
            "a process crashes.",
            "Declare `precision: mixed_float16` or mixed_bfloat16, or remove the layer's own dtype. Then train again.",
        )


def _in_half(content: Any) -> Iterator[str]:
    """The names of layers and operations in a network's JSON that have half precision, or give it to others."""
    if isinstance(content, dict):
        if content.get("class_name") == "InputLayer":  # it computes nothing
            return
        if "float16" in json.dumps(content.get("dtype")):  # also in bfloat16 and in the names of Keras' policies
            yield str(content.get("name") or content.get("keras_history", ["?"])[0])
        content = list(content.values())
    if isinstance(content, list):
        for part in content:
            yield from _in_half(part)


def waits(text: str) -> None:
    """A line that `ratchet run` shows to a person at once (flows/processes/log_watch.py)."""
    print(f"waits: {text}", flush=True)


def _refuse(text: str) -> None:
    raise BusyError(
        f"A worker of this training lacks a GPU: {text.removesuffix(': waiting')}.",
        "Start all workers again when the GPU is free. On one host set CUDA_VISIBLE_DEVICES to another GPU for each.",
    )


@contextmanager
def turn(config: Hardware, label: str) -> Iterator[None]:
    """Hold the GPUs of this training while the block runs; wait for them if they are in use.

    label: names this training to others that wait. Without a GPU, or for `device: cpu`, nothing happens. A worker of
    several does not wait, because the others wait for it already: raises BusyError instead.
    """
    there = [] if config.device == "cpu" else gpus.usable(gpus.look())
    if not there:
        yield
        return
    names = {gpu.uuid: gpu.short for gpu in there}
    count = len(there) if config.devices == "all" else min(config.devices, len(there))
    with gpu_queue.turn(list(names), count, label, waits if config.workers == 1 else _refuse, names=names) as mine:
        os.environ[gpus.VISIBLE] = ",".join(mine)
        yield


def prepare(config: Hardware, seed: int) -> Choice:
    """Settle device, threads, instructions, seed and determinism.

    Raises TrainingError if the declared GPUs are not there.
    """
    if "tensorflow" in sys.modules and any(os.environ.get(key) != value for key, value in variables(config).items()):
        raise TrainingError(
            "This process imported TensorFlow for another device or other instructions, and these cannot change later.",
            "Run again: a new process imports it as models/<model>.yaml declares.",
        )
    os.environ.update(variables(config))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if config.device == "cpu":
        os.environ[gpus.VISIBLE] = "-1"  # CUDA looks when it is first used, not when it is imported
    usable = [] if config.device == "cpu" else gpus.usable(gpus.look())
    if usable:
        cuda.preload()
    with _silence():
        import keras
        import tensorflow as tf

        found = tf.config.list_physical_devices("GPU")
    tf.get_logger().setLevel("ERROR")  # its advice is about code that is not a user's of Ratchet
    tf.config.threading.set_intra_op_parallelism_threads(config.threads)
    tf.config.threading.set_inter_op_parallelism_threads(config.threads)
    keras.config.set_floatx("float32")  # whatever the user's keras.json says
    keras.config.set_image_data_format("channels_last")
    keras.utils.set_random_seed(seed)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    choice = choose(config, [] if config.device == "cpu" else _seen(found), bool(usable))
    if choice.device == "gpu":
        _settle(found, choice)
    elif choice.devices > 1:
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * choice.devices)
    return choice


def _seen(found: list[Any]) -> list[Seen]:
    """TensorFlow's devices, with the driver's data about them."""
    import tensorflow as tf

    there = gpus.visible(gpus.listed(), os.environ.get(gpus.VISIBLE))
    free = [gpu.free for gpu in there] if len(there) == len(found) else [0] * len(found)
    details = [tf.config.experimental.get_device_details(device) for device in found]
    return [
        Seen(about.get("device_name", "GPU"), about.get("compute_capability", (0, 0)), bytes_)
        for about, bytes_ in zip(details, free, strict=True)
    ]


def _settle(found: list[Any], choice: Choice) -> None:
    """Let TensorFlow take memory as it needs it, see only the chosen devices, and compute float32 in full precision."""
    import tensorflow as tf

    for device in found:
        tf.config.experimental.set_memory_growth(device, True)
    tf.config.set_visible_devices(found[: choice.devices], "GPU")
    if choice.precision == "float32":
        tf.config.experimental.enable_tensor_float_32_execution(False)


@contextmanager
def _silence() -> Iterator[None]:
    """Discard what TensorFlow writes to descriptor 2 during its import, before its log can be configured."""
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def choose(config: Hardware, seen: list[Seen], usable: bool = False) -> Choice:
    """seen: TensorFlow's GPUs; usable: whether the driver lists a GPU that TensorFlow should be able to use.

    Raises TrainingError if the declared devices are not there.
    """
    if seen and config.device != "cpu":
        device = "gpu"
        devices = len(seen) if config.devices == "all" else config.devices
        if devices > len(seen):
            raise TrainingError(
                f"train.devices is {devices}, and TensorFlow sees {len(seen)} GPU.",
                "Declare `devices: all`, or find out with `ratchet doctor` why some are missing.",
            )
        names = "; ".join(f"GPU {index}: {gpu}" for index, gpu in enumerate(seen[:devices]))
    else:
        if config.device == "gpu":
            what, do = gpus.why_none(gpus.look())
            raise TrainingError(f"train.device is gpu, and {what}", do)
        device, devices, names = "cpu", 1 if config.devices == "all" else config.devices, "CPU"
        names += f" in {devices} parts" if devices > 1 else ""
        none = "TensorFlow finds no GPU, though the driver lists one" if usable else "there is no usable GPU"
        names += ", as declared" if config.device == "cpu" else f", as {none}"
    precision, why = _precision(config, seen[:devices] if device == "gpu" else [])
    xla = "off" if config.xla == "off" or devices * config.workers > 1 else "on"
    return Choice(device, devices, precision, xla, f"{names}; {precision}{why}; XLA {xla}")


def _precision(config: Hardware, seen: list[Seen]) -> tuple[str, str]:
    """The precision, and the reason for it if there is one."""
    if config.precision != "auto":
        slower = config.precision != "float32" and not seen
        return config.precision, ", which a CPU computes more slowly than float32" if slower else ""
    if not seen:
        return "float32", " because a CPU gains nothing from less"
    least = min(gpu.compute for gpu in seen)
    if least >= (8, 0):
        return "mixed_bfloat16", " because compute >= 8"
    if least >= (7, 0):
        return "mixed_float16", " because compute is 7, which has no bfloat16"
    return "float32", " because compute < 7 gains nothing from less"


def resolved(config: H, choice: Choice) -> H:
    """The declaration with the chosen values, as they are recorded with the model."""
    found = {key: getattr(choice, key) for key in ("device", "devices", "precision")}
    return config.model_copy(update=found)
