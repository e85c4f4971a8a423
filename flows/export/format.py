"""A format: how a model becomes a file for a runtime. Each is a module of flows/export/formats/."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LARGEST = 1e-5  # of the scale of the answers: how far the answers of a file may be from those of the model
LARGEST_INT8, LABELS_INT8 = 0.1, 0.02  # the same of a file of eight bits, and which share of the labels it may change


class NotCarried(Exception):
    """The format cannot carry the model. The message names the layer, for people."""


@dataclass(frozen=True)
class Format:
    """name: as `--format` takes it. file: what it writes; a folder ends with "/". runtime: in words. library: what is
    imported. packages: what somebody installs, beside NumPy. write: (keras.Model, path, int8), which raises NotCarried;
    None for the ONNX file, which is the serving file of the version. extra: of this project, that brings the library.
    alone: modules that the runtime has no need of, so the check has to do without them. int8: whether the file can hold
    the weights in eight bits. steps: whether features.json has the steps around the network.
    """

    name: str
    file: str
    runtime: str
    library: str
    packages: tuple[str, ...]
    write: Callable[[Any, Path, bool], None] | None
    extra: str = ""
    alone: tuple[str, ...] = ()
    int8: bool = False
    steps: bool = False


def sentence(error: Exception) -> str:
    """The beginning of what a library says, on one line."""
    return " ".join(str(error).split())[:300].rstrip(".")
