"""The wire between the server and the child that computes: frames of a JSON header and raw bytes. Nothing is unpickled.

A frame is the lengths of both, 4 and 8 bytes with the highest first, then the header, then the bytes.
"""

import json
import math
import struct
from typing import Any, Protocol

import numpy as np

from flows.serving.rows.batch import Arrays

LENGTHS = struct.Struct(">IQ")


class Reads(Protocol):
    """What bytes come from."""

    def read(self, size: int, /) -> bytes:
        """So many bytes, or fewer at the end."""


class Writes(Protocol):
    """What bytes go to."""

    def write(self, content: bytes, /) -> Any:
        """All of them."""

    def flush(self) -> None:
        """Now."""


def send(out: Writes, header: dict[str, Any], content: bytes = b"") -> None:
    """Write a frame. Raises OSError."""
    about = json.dumps(header).encode()
    out.write(LENGTHS.pack(len(about), len(content)))
    out.write(about)
    out.write(content)
    out.flush()


def receive(source: Reads) -> tuple[dict[str, Any], bytes]:
    """Read a frame: its header and its bytes. Raises EOFError where there is none, or not all of one."""
    about, content = LENGTHS.unpack(_exactly(source, LENGTHS.size))
    header = json.loads(_exactly(source, about))
    return header, _exactly(source, content)


def packed(arrays: Arrays) -> tuple[dict[str, Any], bytes]:
    """Arrays -> a frame. Words are a list in the header, and numbers are raw bytes."""
    parts, content = [], []
    for name, array in arrays.items():
        about: dict[str, Any] = {"name": name, "shape": list(array.shape)}
        if array.dtype == object:
            about["words"] = array.reshape(-1).tolist()
        else:
            about["type"] = array.dtype.str
            content.append(np.ascontiguousarray(array).tobytes())
        parts.append(about)
    return {"arrays": parts}, b"".join(content)


def unpacked(header: dict[str, Any], content: bytes) -> Arrays:
    """The arrays of a frame. Raises ValueError for one that is no such frame."""
    found, start = {}, 0
    for about in header["arrays"]:
        shape = tuple(about["shape"])
        if "words" in about:
            array = np.array(about["words"], object)
        else:
            kind = np.dtype(about["type"])
            array = np.frombuffer(content, kind, math.prod(shape), start)
            start += array.nbytes
        found[about["name"]] = array.reshape(shape)
    return found


def _exactly(source: Reads, size: int) -> bytes:
    found = source.read(size)
    if len(found) < size:
        raise EOFError("the other side has ended")
    return found
