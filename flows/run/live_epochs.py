"""The epochs of a training in MLflow while it trains. Training never waits for the store and never fails with it."""

import time
from collections.abc import Callable
from concurrent.futures import Future

from flows.records.epochs import Epoch

SILENCE = 120.0  # seconds after a failure in which nothing is sent


class LiveEpochs:
    """Sends epochs in order, one call at a time. What a call failed to log, publishing logs.

    Calls to a store that hangs must not pile up, since publishing would have to wait for all of them.
    """

    def __init__(self, send: Callable[[list[Epoch]], "Future[None] | None"], silence: float = SILENCE):
        """send: must not wait; returns None if there is nobody to send to."""
        self._send, self._silence = send, silence
        self._waiting: list[Epoch] = []
        self._sent: Future[None] | None = None
        self._silent_until = 0.0  # by time.monotonic()

    def add(self, found: list[Epoch]) -> None:
        self._waiting += found
        if self._sent is not None:
            if not self._sent.done():
                return
            if self._sent.cancelled() or self._sent.exception():
                self._silent_until = time.monotonic() + self._silence
            self._sent = None
        if time.monotonic() >= self._silent_until:
            self._sent, self._waiting = self._send(self._waiting), []
