"""The child that computes with TensorFlow: it loads one model folder, then answers frame after frame.

    python -m flows.serving.engine.keras_child FOLDER MODEL_HASH LIFELINE

It ends when its input closes, and when the server dies in the middle of a computation. LIFELINE is a pipe that the
server holds open. What libraries print goes to the error output: the standard output has frames alone.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from flows.serving import version_code
from flows.serving.engine import wire
from pipelines.process import lifeline


def main(folder: Path, model_hash: str, pipe: str) -> None:
    """Answer until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: it is for the server, which then closes the input
    lifeline.follow(pipe)
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        answer = loaded(folder, model_hash)
    except Exception as error:  # of files, of TensorFlow: the server says it
        wire.send(out, {"error": f"{type(error).__name__} {error}"})
        return
    wire.send(out, {"ready": True})
    serve(sys.stdin.buffer, out, answer)


def loaded(folder: Path, model_hash: str) -> Any:
    """The compiled function of a model folder: arrays -> answers [rows, outputs]. Raises ValueError if it is not the
    recorded one."""
    predictor = version_code.module(folder / "predictor.py")
    predictor.check_manifest(folder, model_hash)
    about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    if about.get("hardware", {}).get("precision", "float32") != "float32":
        os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # else oneDNN crashes on some processors (flows/registry/served.py)
    found = predictor.Predictor(folder, model_hash)
    compiled = getattr(found, "_answer", None)  # which models of older Ratchets lack
    return compiled or (lambda arrays: found.model(arrays, training=False))


def serve(source: BinaryIO, out: BinaryIO, answer: Any) -> None:
    """Frames of arrays -> frames of answers, or of what went wrong."""
    while True:
        try:
            header, content = wire.receive(source)
        except EOFError:
            return
        try:
            found = np.ascontiguousarray(answer(wire.unpacked(header, content)), np.float32)
        except Exception as error:  # its text may hold values of the rows
            wire.send(out, {"error": type(error).__name__})
            continue
        wire.send(out, {"shape": list(found.shape)}, found.tobytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
