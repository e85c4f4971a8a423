"""The part of doctor about GPUs: the GPUs, their users, what TensorFlow needs, and whether energy can be measured.

A machine without a GPU is in order. A GPU that cannot be used is a problem, unless the user hid it.
"""

import importlib.metadata
from collections.abc import Callable, Iterator

from pipelines.errors import RatchetError
from pipelines.hardware import cuda, gpu_queue, gpus
from pipelines.hardware.gpus import Gpu, Sight

Look = tuple[str, bool, str, str]  # name, whether it is in order, what was found, what to do
Users = Callable[[list[str]], dict[str, str]]
NOTHING = ("", "-1")  # values of CUDA_VISIBLE_DEVICES that hide every GPU


def look(sight: Sight | None = None, users: Users = gpu_queue.holders) -> Iterator[Look]:
    """The checks of this machine, or of the record of another one."""
    seen = sight or gpus.look()
    try:
        yield from _gpus(seen, users)
    except RatchetError as error:
        yield "gpu", False, error.what, error.do
    if seen.machine.driver:
        newest = gpus.dotted(seen.machine.cuda)
        yield "driver", True, f"NVIDIA {seen.machine.driver}, for CUDA up to {newest}", ""
    if seen.built and seen.built.cuda:
        needs = f"TensorFlow needs {seen.built.cuda}, and cuDNN {seen.built.cudnn}"
        yield "cuda", True, f"{needs}; {_packages(cuda.packages())}", ""
    yield "energy", True, _energy(), ""


def _gpus(seen: Sight, users: Users) -> Iterator[Look]:
    """One line for each, and one if none can be used."""
    there, good = seen.machine.gpus, gpus.usable(seen)
    shown = gpus.visible(there, seen.shown)
    used = users([gpu.uuid for gpu in there]) if there else {}
    for gpu in there:
        by = f", used by {used[gpu.uuid]}" if gpu.uuid in used else ""
        yield "gpu", True, f"{_described(gpu)}{by}{_set_aside(gpu, shown, good)}", ""
    if not good:
        what, do = gpus.why_none(seen)
        wanted = not there or (seen.shown is not None and seen.shown.strip() in NOTHING)
        yield "gpu", wanted and not seen.machine.broken, f"no GPU: {what}", do


def _described(gpu: Gpu) -> str:
    memory = f"{gpu.free / 2**30:.1f} of {gpu.total / 2**30:.1f} GiB free" if gpu.total else "memory of the machine"
    return f"{gpu.short}: {gpu.name}, compute capability {gpus.dotted(gpu.compute)}, {memory}"


def _set_aside(gpu: Gpu, shown: list[Gpu], good: list[Gpu]) -> str:
    """Why this GPU is not used while others are."""
    if gpu in good or not good:
        return ""
    return ", too old for this TensorFlow" if gpu in shown else f", hidden by {gpus.VISIBLE}"


def _packages(found: dict[str, str]) -> str:
    if not found:
        return "none of NVIDIA's packages is installed (for a GPU: pip install -e '.[gpu]')"
    return "installed: " + ", ".join(f"{name} {version}" for name, version in found.items())


def _energy() -> str:
    try:
        return f"can be measured: codecarbon {importlib.metadata.version('codecarbon')}"
    except importlib.metadata.PackageNotFoundError:
        return "not measured: codecarbon is not installed (pip install -e '.[energy]')"
