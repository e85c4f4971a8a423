"""Keras: a model that has no ONNX graph, computed by TensorFlow in a child process, which this one talks to by pipes.

The child takes seconds to start and hundreds of megabytes, and its faults are not the server's: one that dies is
started again.
"""

import contextlib
import logging
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from flows.serving.engine import wire
from flows.serving.problem import Problem
from flows.serving.rows.batch import Arrays
from pipelines.errors import RatchetError

MODULE = "flows.serving.engine.keras_child"
SETTLED = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}  # GPUs are for training
START_SECONDS = 300.0  # TensorFlow takes ten, on a busy machine more
ANSWER_SECONDS = 120.0  # a child that says nothing for so long is ended
END_SECONDS = 5.0
AGAIN_SECONDS = 60.0  # between two starts of a child that dies
DO = "Roll back, or promote the version again."
LOG = logging.getLogger(__name__)


class Child:
    """A process that has loaded one model folder."""

    def __init__(self, folder: Path, model_hash: str):
        """It returns when the child is ready. Raises RatchetError if it cannot load the model."""
        follow, self._held = os.pipe()  # by which it sees that this process has died
        command = [sys.executable, "-m", MODULE, str(folder), model_hash, f"/dev/fd/{follow}"]
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[follow], env=os.environ | SETTLED
            )
        finally:
            os.close(follow)
        self._in, self._out = cast(BinaryIO, self._process.stdin), cast(BinaryIO, self._process.stdout)
        try:
            told, _ = self._received(START_SECONDS)
        except EOFError:
            told = {"error": "its process has ended"}
        if "error" in told:
            self.close()
            raise RatchetError(f"TensorFlow cannot load {folder}: {told['error']}.", DO)

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def ask(self, arrays: Arrays) -> np.ndarray:
        """Its answers [rows, outputs]. Raises Problem if the model fails, and OSError or EOFError if the child has."""
        wire.send(self._in, *wire.packed(arrays))
        told, content = self._received(ANSWER_SECONDS)
        if "error" in told:
            about = f"The model failed with {told['error']}."
            raise Problem(500, "model", "The model cannot compute an answer", about)
        return np.frombuffer(content, np.float32).reshape(told["shape"])

    def close(self) -> None:
        """End it; a computation that is under way may end first."""
        for pipe in (self._in, self._out):
            with contextlib.suppress(OSError):  # what was not read yet by a child that is dead
                pipe.close()
        os.close(self._held)
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _received(self, seconds: float) -> tuple[dict[str, Any], bytes]:
        poll = select.poll()
        poll.register(self._out, select.POLLIN)
        if not poll.poll(seconds * 1000):
            self._process.kill()
        return wire.receive(self._out)


class KerasEngine:
    """One model folder, computed in a child. It is used by one thread at a time."""

    runtime = "keras"
    quick = False

    def __init__(self, folder: Path, model_hash: str):
        """folder: `model` of a version. It returns when the child is ready. Raises RatchetError."""
        self.problem = ""
        self._folder, self._hash = folder, model_hash
        self._started = -AGAIN_SECONDS  # when a dead child was started again
        self._child: Child | None = Child(folder, model_hash)

    @property
    def pid(self) -> int | None:
        """The process that computes; None while there is none."""
        return self._child.pid if self._child else None

    def answers(self, arrays: Arrays) -> np.ndarray:
        """As Engine.answers. A child that has died is started again, and asked once more."""
        with contextlib.suppress(OSError, EOFError):
            if self._child:
                return self._child.ask(arrays)
        child = self._again()
        try:
            return child.ask(arrays)
        except (OSError, EOFError) as error:
            raise self._dead() from error

    def close(self) -> None:
        """End the child."""
        if self._child:
            self._child.close()
            self._child = None

    def _again(self) -> Child:
        """A new child. Raises Problem if the last one was new, too."""
        self.close()
        if time.monotonic() - self._started < AGAIN_SECONDS:
            raise self._dead()
        LOG.warning("the process that computes %s has ended, and is started again", self._folder)
        self._started = time.monotonic()
        try:
            self._child = Child(self._folder, self._hash)
        except RatchetError as error:
            raise self._dead() from error
        self.problem = ""
        return self._child

    def _dead(self) -> Problem:
        self.close()
        self.problem = "The process that computes the model has ended twice within a minute."
        return Problem(503, "model", "The model cannot compute an answer", self.problem, "Ask again in a minute.")
