"""A connection of uvicorn's, with limits: slow and broken clients cost the others nothing."""

import re
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from flows.serving.http import faults
from flows.serving.http.limits import Limits
from flows.serving.problem import Problem

EVERY = 1.0  # seconds between two looks at a connection

UPGRADE = re.compile(rb"\r\nupgrade:", re.IGNORECASE)
SILENT, IN_HEAD, IN_BODY, RECEIVED = range(4)  # how far the connection's latest request has arrived


class Connection(HttpToolsProtocol):
    """One connection of a client. It ends if the client lets it wait, or sends what is no request."""

    def __init__(self, *arguments: Any, limits: Limits, **more: Any):
        super().__init__(*arguments, **more)
        self._limits = limits
        self._place = SILENT
        self._head = 0  # bytes of the request's head so far
        self._since = self._stalled = self.loop.time()
        self._refusal: Problem | None = None
        self._running: Any = None  # the request that is being answered, or was last

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._timer = self.loop.call_later(EVERY, self._look)
        if len(self.connections) > self._limits.connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._forget()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._place in (SILENT, RECEIVED) and b"pgrade:" in data:
            data = _without_upgrade(data)
        super().data_received(data)
        if self._place == IN_HEAD and not self.transport.is_closing():  # what the parser has told nothing of yet
            self._head += len(data)
            if self._head > self._limits.head:
                self._refuse(faults.large_head(self._limits))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._place = IN_HEAD
        self._head, self._since = 0, self.loop.time()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._place = IN_BODY
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._place = RECEIVED

    def on_response_complete(self) -> None:
        self._since = self.loop.time()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls for what is not HTTP."""
        self._refuse(self._refusal or faults.not_http())

    def _look(self) -> None:
        """End it if its client lets it wait: a request does not arrive, or an answer is not taken."""
        self._timer = self.loop.call_later(EVERY, self._look)
        now = self.loop.time()
        if not self.flow.write_paused:
            self._stalled = now
        if now - self._stalled > self._limits.receive:
            self._drop()
        elif self._place != RECEIVED and now - self._since > self._limits.receive:
            if self._place == SILENT or self._is_answered:
                self.transport.close()
            else:
                self._refuse(faults.slow_body(self._limits))

    @property
    def _waits(self) -> bool:
        """Whether it is the client's turn."""
        return self._place != RECEIVED or self._is_answered

    @property
    def _is_answered(self) -> bool:
        """Whether the request that came last has its answer, be it before the whole of it has come."""
        return self._place != IN_HEAD and (self.cycle is None or bool(self.cycle.response_complete))

    def _make_room(self) -> None:
        """Close the connection that has waited longest for its client; where none waits, this one."""
        others = [cast(Connection, one) for one in self.connections if one is not self]
        idle = [one for one in others if one._waits and not one.transport.is_closing()]
        if idle:
            min(idle, key=lambda one: one._since)._drop()
        else:
            self._refuse(faults.busy(self._limits))

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _forget(self) -> None:
        """Nobody takes an answer any more, also to the requests that came before the latest one."""
        if self._running is not None:
            self._running.disconnected = True
        self.pipeline.clear()

    def _drop(self) -> None:
        self._forget()
        self.transport.abort()

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > self._limits.head:
            self._refusal = faults.large_head(self._limits)
            raise ValueError("the head is too large")  # so the parser stops

    def _refuse(self, problem: Problem) -> None:
        if not self.transport.is_closing():
            self._forget()
            self.transport.write(faults.raw(problem))
            self.transport.close()


def _without_upgrade(data: bytes) -> bytes:
    """The same request without the wish to speak another protocol, which some clients (Java's) have by default.

    A server may ignore it, but this parser would take the request for one without a body.
    """
    head, end, rest = data.partition(b"\r\n\r\n")
    return UPGRADE.sub(b"\r\nx-upgrade:", head) + end + rest
