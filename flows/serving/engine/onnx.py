"""ONNX: models as graphs that take raw rows, computed by ONNX Runtime in this process.

A small model gains nothing by threads of its own, and servers have a process for each core: one thread computes.
"""

import hashlib
import json
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np

from flows.serving.rows.batch import Arrays
from pipelines.errors import IntegrityError

OUTPUT = "answer"
DO = "Promote the version again, or roll back."


class OnnxEngine:
    """One graph."""

    runtime = "onnx"
    quick = True
    problem = ""

    def __init__(self, content: bytes):
        """content: of model.onnx."""
        import onnxruntime  # a quarter of a second

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors alone
        self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def answers(self, arrays: Arrays) -> np.ndarray:
        return np.asarray(self._session.run([OUTPUT], arrays)[0])

    def close(self) -> None:
        """The session ends with the last version that uses it."""


class Sessions:
    """The graphs of a process: versions with the same file share one."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[str, OnnxEngine] = WeakValueDictionary()

    def engine(self, folder: Path, serving_hash: str | None) -> OnnxEngine:
        """folder: `serving` of a version. Raises IntegrityError if a file is not the recorded one."""
        about = (folder / "serving.json").read_bytes()
        if hashlib.sha256(about).hexdigest() != serving_hash:
            raise IntegrityError(f"{folder / 'serving.json'} is not the recorded one.", DO)
        content = (folder / "model.onnx").read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if digest != json.loads(about)["files"]["model.onnx"]:
            raise IntegrityError(f"{folder / 'model.onnx'} is not the file that serving.json names.", DO)
        if (found := self._known.get(digest)) is None:
            found = self._known[digest] = OnnxEngine(content)
        return found
