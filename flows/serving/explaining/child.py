"""The process that explains answers: frames of rows come in, and their explanations go out.

    python -m flows.serving.explaining.child

It ends when its input closes. The standard output has frames alone: what libraries print goes to the error output.
"""

import contextlib
import os
import signal
import sys
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from flows.serving.engine import wire
from flows.serving.engine.loading import Loader
from flows.serving.engine.onnx import Sessions
from flows.serving.explaining.explained import Explained
from flows.serving.problem import Problem
from flows.serving.version import Version
from pipelines.errors import RatchetError

NICE = 10  # answers go first
MOST_LOADED = 4  # versions


def main() -> None:
    """Explain until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: it is for the server, which then closes the input
    os.nice(NICE)
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with contextlib.suppress(EOFError, BrokenPipeError):
        serve(sys.stdin.buffer, out)


def serve(source: BinaryIO, out: BinaryIO) -> None:
    """An empty frame, as it is ready; then frames of rows -> frames of explanations, or of the problem with a request.
    Raises EOFError, BrokenPipeError."""
    loaded = Versions()
    _send(out, b"")
    while True:
        frame, _ = wire.receive(source)
        try:
            told = {"explained": loaded.of(frame["version"], frame["files_hash"]).explain(frame["rows"])}
        except Problem as problem:
            told = {"problem": vars(problem)}
        except RatchetError as error:
            told = {"problem": vars(Problem(503, "no-version", "The version cannot be loaded", error.what, error.do))}
        except Exception as error:  # of a runtime: its text may hold values of the rows
            told = {"problem": vars(_failed(error))}
        _send(out, orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY))


class Versions:
    """Those that were asked for last."""

    def __init__(self) -> None:
        self._loader = Loader(Sessions())
        self._loaded: OrderedDict[str, Explained] = OrderedDict()

    def of(self, told: Mapping[str, Any], files_hash: str) -> Explained:
        """The version, checked and loaded. told: its fields. Raises RatchetError and Problem."""
        if files_hash in self._loaded:
            self._loaded.move_to_end(files_hash)
            return self._loaded[files_hash]
        while len(self._loaded) >= MOST_LOADED:
            self._loaded.popitem(last=False)[1].close()
        version = Version(**{**told, "folder": Path(told["folder"]), "sensitive": tuple(told["sensitive"])})
        found = self._loaded[files_hash] = Explained(*self._loader.parts(version, files_hash))
        return found


def _send(out: BinaryIO, content: bytes) -> None:
    out.write(wire.LENGTHS.pack(len(content), 0) + content)
    out.flush()


def _failed(error: Exception) -> Problem:
    told = f"The explanation failed with {type(error).__name__}."
    return Problem(500, "explanation", "The answer cannot be explained", told, "Ask for the answer alone.")


if __name__ == "__main__":
    main()
