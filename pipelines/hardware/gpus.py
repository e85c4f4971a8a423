"""The NVIDIA GPUs of this machine, and those that can be used. If none can: why, and what to do.

NVML asks the driver: that takes milliseconds, needs no TensorFlow, and leaves no context on a GPU. The answers are
functions of one record (`Sight`), so tests need no GPU.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.errors import RequestError
from pipelines.hardware import cuda

VISIBLE = "CUDA_VISIBLE_DEVICES"
OR_AUTO = "or declare `device: auto`."
ASK = (  # as device.prepare does it, but with TensorFlow's messages
    """python -c "from pipelines.hardware import cuda; cuda.preload(); import tensorflow; """
    """tensorflow.config.list_physical_devices('GPU')\""""
)


@dataclass(frozen=True)
class Gpu:
    index: int  # among those that this process may use; with CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA counts the same
    uuid: str
    name: str
    compute: tuple[int, int]  # the compute capability
    total: int  # bytes; 0 where the GPU shares the machine's memory
    free: int  # bytes

    @property
    def short(self) -> str:
        return f"GPU {self.index}"

    @property
    def called(self) -> str:
        return f"{self.short} ({self.name})"


@dataclass(frozen=True)
class Machine:
    """What the driver says, or why it says nothing."""

    gpus: list[Gpu] = field(default_factory=list)
    driver: str = ""  # its version
    cuda: tuple[int, int] = (0, 0)  # the newest CUDA that it supports
    problem: str = ""  # NVML's words
    broken: bool = False  # there is a driver, and it or a GPU fails


@dataclass(frozen=True)
class Sight:
    """All that decides whether TensorFlow can use a GPU."""

    machine: Machine
    shown: str | None = None  # CUDA_VISIBLE_DEVICES
    built: cuda.Build | None = None  # None: TensorFlow does not say
    missing: list[str] = field(default_factory=list)  # libraries


def machine() -> Machine:
    """Ask the driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except (pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded) as error:
        return Machine(problem=str(error))
    except pynvml.NVMLError as error:  # such as a driver that was upgraded under way
        return Machine(problem=str(error), broken=True)
    try:
        number = pynvml.nvmlSystemGetCudaDriverVersion_v2()
        handles = accessible(pynvml.nvmlDeviceGetCount(), pynvml.nvmlDeviceGetHandleByIndex)
        gpus = [_gpu(index, handle) for index, handle in enumerate(handles)]
        return Machine(gpus, pynvml.nvmlSystemGetDriverVersion(), (number // 1000, number % 1000 // 10))
    except pynvml.NVMLError as error:  # such as a GPU that has fallen off the bus
        return Machine(problem=str(error), broken=True)
    finally:
        pynvml.nvmlShutdown()


def accessible(count: int, handle: Callable[[int], Any]) -> list[Any]:
    """The handles of the GPUs that this process may use. NVML counts the others too (another job's); CUDA does not."""
    import pynvml

    found = []
    for number in range(count):
        try:
            found.append(handle(number))
        except pynvml.NVMLError_NoPermission:
            continue
    return found


def _gpu(index: int, handle: Any) -> Gpu:
    import pynvml

    try:
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        total, free = int(memory.total), int(memory.free)
    except pynvml.NVMLError_NotSupported:
        total, free = 0, 0
    compute = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
    uuid, name = pynvml.nvmlDeviceGetUUID(handle), pynvml.nvmlDeviceGetName(handle)
    return Gpu(index, uuid, name, (compute[0], compute[1]), total, free)


def listed() -> list[Gpu]:
    """Every GPU that this process may use; none without a driver."""
    return machine().gpus


def driver() -> str:
    """Its version, "" without one."""
    return machine().driver


def look(environ: Mapping[str, str] = os.environ) -> Sight:
    """The record of this machine. It looks for libraries only if there is a GPU."""
    here, built = machine(), cuda.build()
    missing = cuda.missing(built) if here.gpus and built and built.cuda else []
    return Sight(here, environ.get(VISIBLE), built, missing)


def visible(gpus: list[Gpu], value: str | None) -> list[Gpu]:
    """Those that CUDA shows a process whose CUDA_VISIBLE_DEVICES is `value` (None: not set), in its order.

    Entries are indices or beginnings of a UUID. The first entry without a GPU hides all GPUs after it. An entry that is
    repeated, or fits several GPUs, hides all. Raises RequestError for a part of a GPU (MIG).
    """
    if value is None:
        return list(gpus)
    found: list[Gpu] = []
    for entry in value.split(","):
        named = _named(gpus, entry.strip())
        if not named:
            break
        if len(named) > 1 or named[0] in found:
            return []
        found += named
    return found


def _named(gpus: list[Gpu], entry: str) -> list[Gpu]:
    if entry.startswith("MIG-"):
        raise RequestError(
            f"{VISIBLE} names {entry}, a part of a GPU (MIG): Ratchet takes whole GPUs.",
            f"Set {VISIBLE} to an index or to the UUID of a GPU, or declare `device: cpu`.",
        )
    if entry.startswith("GPU-"):
        return [gpu for gpu in gpus if gpu.uuid.startswith(entry)]
    number = re.match(r"\d+", entry)  # CUDA reads as far as there are digits
    return [gpu for gpu in gpus if number and gpu.index == int(number[0])]


def usable(sight: Sight) -> list[Gpu]:
    """The GPUs that TensorFlow can use, in CUDA's order."""
    built, here = sight.built, sight.machine
    if built and (not built.cuda or sight.missing or here.cuda[0] < built.major):
        return []
    return [gpu for gpu in visible(here.gpus, sight.shown) if not built or gpu.compute >= built.least]


def why_none(sight: Sight | None = None) -> tuple[str, str]:
    """Why TensorFlow has no GPU here (a sentence without a capital), and what to do."""
    seen = sight or look()
    here, built, gpus = seen.machine, seen.built, visible(seen.machine.gpus, seen.shown)
    if built and not built.cuda:
        return "this TensorFlow was built without CUDA.", f"On Linux install `tensorflow` in its place, {OR_AUTO}"
    if here.broken:
        return (
            f"the NVIDIA driver fails ({here.problem}).",
            f"If `nvidia-smi` says so too, restart the machine, {OR_AUTO}",
        )
    if here.problem:
        fix = f"Install or load it, so that `nvidia-smi` lists the GPUs, {OR_AUTO}"
        return f"no NVIDIA driver answers ({here.problem}).", fix
    if not here.gpus:
        return (
            f"the NVIDIA driver {here.driver} lists no GPU that this process may use.",
            f"Give this machine or container one, {OR_AUTO}",
        )
    if not gpus:
        names = " and ".join(gpu.called for gpu in here.gpus)
        return f"{VISIBLE}={seen.shown!r} hides {names}.", f"Unset it, or name one of them there, {OR_AUTO}"
    if not built or usable(seen):  # everything looks right: only TensorFlow can say what is wrong
        names = " and ".join(gpu.called for gpu in gpus)
        return f"TensorFlow finds none, though the driver lists {names}.", f"`{ASK}` shows why, {OR_AUTO}"
    return _unfit(here, built, seen.missing, gpus)


def _unfit(here: Machine, built: cuda.Build, missing: list[str], gpus: list[Gpu]) -> tuple[str, str]:
    """Why TensorFlow cannot use the GPUs that are there, and what to do."""
    if here.cuda[0] < built.major:
        supports = f"the NVIDIA driver {here.driver} supports CUDA {dotted(here.cuda)} at most"
        return f"{supports}, and this TensorFlow needs {built.cuda}.", f"Install a newer driver, {OR_AUTO}"
    if missing:
        needs = f"this TensorFlow needs CUDA {built.cuda} and cuDNN {built.cudnn}, and does not find"
        return f"{needs} {', '.join(missing)}.", f"Install them with `pip install -e '.[gpu]'`, {OR_AUTO}"
    names = " and ".join(f"{gpu.called} has {dotted(gpu.compute)}" for gpu in gpus)
    needs = f"this TensorFlow supports compute capability {dotted(built.least)} or higher"
    return f"{needs}, and {names}.", "Declare `device: auto` or `device: cpu`."


def dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def require(wanted: str, sight: Sight | None = None, key: str = "train.device") -> None:
    """Raises RequestError if `wanted`, the value of `key`, is a GPU and this machine has no usable one."""
    if wanted != "gpu":
        return
    seen = sight or look()
    if not usable(seen):
        what, do = why_none(seen)
        raise RequestError(f"{key} is gpu, and {what}", do)
