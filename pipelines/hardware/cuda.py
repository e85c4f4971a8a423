"""CUDA: which libraries the installed TensorFlow needs, and which are missing. This never imports TensorFlow.

An import takes seconds and settles which devices the whole process sees. A file in TensorFlow says what it was built
for, and the libraries that it opens are known: if one is missing, TensorFlow uses no GPU.
"""

import ast
import ctypes
import importlib.metadata
import importlib.util
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipelines.safety import syntax

Loads = Callable[[str], bool]
WITH_CUDA_12 = ("libcublasLt.so.12", "libcufft.so.11", "libcusolver.so.11", "libcusparse.so.12")
PACKAGES = tuple(  # in which NVIDIA ships them; TensorFlow finds them in site-packages/nvidia/
    f"nvidia-{name}-cu12" for name in ("cuda-runtime", "cublas", "cudnn", "cufft", "cusolver", "cusparse", "nccl")
)


@dataclass(frozen=True)
class Build:
    """What TensorFlow was built for; `cuda` is "" without CUDA."""

    cuda: str  # such as 12.5.1
    cudnn: str  # such as 9
    least: tuple[int, int]  # the lowest compute capability that it supports

    @property
    def major(self) -> int:
        return int(self.cuda.partition(".")[0])


def build(package: Path | None = None) -> Build | None:
    """The build of the TensorFlow in the folder `package`, or of the installed one; None if it does not say."""
    folder = package or _tensorflow()
    try:
        text = (folder / "python" / "platform" / "build_info.py").read_text(encoding="utf-8") if folder else ""
        return _read(text)
    except (OSError, ValueError, KeyError, TypeError, SyntaxError):
        return None


def _tensorflow() -> Path | None:
    spec = importlib.util.find_spec("tensorflow")  # of a package at the top: looks for it, and imports nothing
    return Path(spec.origin).parent if spec and spec.origin else None


def _read(text: str) -> Build | None:
    """The last line of the file is `build_info = collections.OrderedDict([(key, value), ...])`."""
    for node in syntax.tree(text).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and node.value.args:
            found = dict(ast.literal_eval(node.value.args[0]))
            if not found["is_cuda_build"]:
                return Build("", "", (0, 0))
            capabilities = [_capability(name) for name in found["cuda_compute_capabilities"]]
            return Build(str(found["cuda_version"]), str(found["cudnn_version"]), min(capabilities))
    return None


def _capability(name: str) -> tuple[int, int]:
    """sm_89 (machine code) or compute_90 (code that the driver compiles): (8, 9), (9, 0)."""
    found = re.fullmatch(r"(?:sm|compute)_(\d+)(\d)[a-z]?", name)
    if not found:
        raise ValueError(f"{name!r} is not a compute capability")
    return int(found[1]), int(found[2])


def libraries(built: Build) -> list[str]:
    """The files that TensorFlow opens before it registers a GPU."""
    main = [f"libcudart.so.{built.major}", f"libcublas.so.{built.major}", f"libcudnn.so.{built.cudnn}"]
    return main + (list(WITH_CUDA_12) if built.major == 12 else [])  # of others the numbers are not known here


def loads(name: str) -> bool:
    """Whether the system's loader finds a library, as it would for TensorFlow."""
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def missing(built: Build, package: Path | None = None, loads: Loads = loads) -> list[str]:
    """The libraries that are neither in NVIDIA's packages beside TensorFlow nor where the system looks."""
    there = _shipped(package)
    return [name for name in libraries(built) if name not in there and not loads(name)]


def _shipped(package: Path | None) -> dict[str, Path]:
    """The libraries in NVIDIA's packages beside TensorFlow, but in those of another CUDA (nvidia/cu13/)."""
    folder = package or _tensorflow()
    found = folder.parent.glob("nvidia/*/lib/*.so*") if folder else []
    return {path.name: path for path in found if not re.fullmatch(r"cu\d+", path.parent.parent.name)}


def preload(package: Path | None = None) -> None:
    """Open those libraries before TensorFlow does. A later open by name gets the same library.

    TensorFlow 2.21 does not look into the folder of libcusolver (its part that opens libraries has no such RUNPATH),
    and without it uses no GPU. If a library cannot be opened, TensorFlow reports it.
    """
    built, there = build(package), _shipped(package)
    for name in libraries(built) if built and built.cuda else []:
        if name in there:
            with suppress(OSError):
                ctypes.CDLL(str(there[name]))


def packages() -> dict[str, str]:
    """NVIDIA's packages that are installed, and their versions."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
