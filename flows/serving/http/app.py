"""The application: every request of the answering server comes in here, and leaves as an answer or a problem.

What answers rows is plain ASGI, because a web framework costs more than a small model. So is what other programs ask
every few seconds. The rest, which people and pages ask, is FastAPI (metadata.py): imported when its first request
comes, so that the server starts without it.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

import orjson

from flows.serving.engine.live import Live, Served
from flows.serving.http import body, faults
from flows.serving.http.access import Access
from flows.serving.http.answering import Answering, Found
from flows.serving.http.body import Receive
from flows.serving.http.limits import Limits
from flows.serving.http.metrics import MEDIA, OTHER, Metrics
from flows.serving.log.writer import Log
from flows.serving.problem import Problem

Scope = MutableMapping[str, Any]
Send = Callable[[Any], Awaitable[None]]
ASGI = Callable[[Any, Any, Any], Awaitable[None]]
NAMED = frozenset({"/models", "/health", "/ready", "/metrics", "/openapi.json"})
LEFT = 499  # by which the metrics name a client that left before its request was whole; nobody is sent it
LOOK = 1.0  # seconds between two looks for what has changed
LOGGER = logging.getLogger("ratchet.serving")


class Application:
    """ASGI; one for each process."""

    def __init__(self, served: Served, log: Log | None, access: Access, limits: Limits, asked: Collection[str] = ()):
        """log: None if no row is kept. asked: the models that must be there; () for those that happen to be."""
        self._served, self._log, self._access, self._limits, self._asked = served, log, access, limits, asked
        self._metrics = Metrics(served, log)
        served.tell_trial = self._metrics.tried
        self._answering = Answering(served, log, limits, self._metrics, asked)
        self._watched = {"/health": self._health, "/ready": self._ready, "/metrics": self._counted}
        self._described: asyncio.Future[ASGI] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._request(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        """From the server's start to its end. Answers in flight are finished when the end is told."""
        await receive()
        if self._log:
            self._log.start()
        await self._served.start()
        telling = asyncio.create_task(self._tell_changes())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        telling.cancel()
        await self._answering.close()
        await self._served.close()
        if self._log:
            self._log.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _tell_changes(self) -> None:
        """Write to the log which versions answer, and why one does not, whenever that changes."""
        told: dict[str, tuple[int | None, str]] = {}
        while True:
            for name, live in sorted(self._served.models.items()):
                now = (live.version.number if live.version else None, live.problem)
                if told.get(name) != now:
                    told[name] = now
                    _tell(live)
            await asyncio.sleep(LOOK)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun, path, method = time.perf_counter(), scope["path"], scope["method"]
        name, route = _place(path)
        answers = route in self._answering.routes
        headers = dict(scope["headers"])
        try:
            self._access.check(method, path, headers)
            if answers:
                status, head, content = await self._answering.answer(name, route, method, headers, receive)
            else:
                status, head, content = await self._told(scope)
        except Problem as problem:
            status, head, content = faults.told(problem, "POST" if answers else "GET")
        except body.Gone:
            late = time.perf_counter() - begun >= self._limits.receive
            self._count(name, route, 408 if late else LEFT, begun)
            return
        except Exception:
            status, head, content = _unforeseen(path)
        self._count(name, route, status, begun)
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": content})

    def _count(self, name: str, route: str, status: int, begun: float) -> None:
        model = name if name in self._served.models else OTHER
        self._metrics.request(model, route, status, time.perf_counter() - begun)

    async def _told(self, scope: Scope) -> Found:
        """The answer to a question that brings no rows. Raises Problem."""
        if scope["method"] not in ("GET", "HEAD"):
            raise faults.wrong_method(scope["method"], "GET")
        if (watched := self._watched.get(scope["path"])) is not None:
            return watched()
        if self._described is None:
            self._described = asyncio.ensure_future(asyncio.to_thread(self._describe))
        return await _collected(await asyncio.shield(self._described), scope)

    def _describe(self) -> ASGI:
        from flows.serving.http import metadata  # FastAPI: half a second

        return metadata.application(self._served, self._log, self._limits)

    def _health(self) -> Found:
        """The process lives."""
        return _found(200, {"status": "ok"})

    def _ready(self) -> Found:
        """Every model that was asked for has a version that answers; where none was, some model has.

        How many do not is all that is said: it needs no token.
        """
        live = {name for name, one in self._served.models.items() if one.version is not None}
        waiting = len(set(self._asked) - live)
        if waiting or not live:
            raise faults.not_ready(waiting)
        return _found(200, {"status": "ready"})

    def _counted(self) -> Found:
        content = self._metrics.text()
        return 200, [(b"content-type", MEDIA), (b"content-length", b"%d" % len(content))], content


def _tell(live: Live) -> None:
    if live.problem:
        LOGGER.warning("%s: %s", live.name, live.problem)
    if live.version is not None:
        LOGGER.info("%s: version %d answers (%s)", live.name, live.version.number, live.version.runtime)


def _place(path: str) -> tuple[str, str]:
    """The model and the route of an address, such as ("digits", "predict"); "other" is any route that has no name.

    >>> _place("/models/digits/predict"), _place("/models/digits"), _place("/metrics"), _place("/favicon.ico")
    (('digits', 'predict'), ('digits', 'model'), ('', 'metrics'), ('', 'other'))
    """
    parts = path.split("/")
    if len(parts) == 4 and parts[1] == "models" and parts[3] in ("predict", "invocations", "explain"):
        return parts[2], parts[3]
    if len(parts) == 3 and parts[1] == "models" and parts[2]:
        return parts[2], "model"
    return "", parts[1] if path in NAMED else "other"


def _found(status: int, content: dict[str, Any]) -> Found:
    said = orjson.dumps(content)
    return status, [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(said))], said


def _unforeseen(path: str) -> Found:
    """An error of ours: the whole of it goes to the log, its number to the client."""
    number = secrets.token_hex(6)
    LOGGER.exception("%s: unforeseen error at %s", number, path[:200].encode("unicode_escape").decode())
    return faults.told(faults.unforeseen(number))


async def _collected(app: ASGI, scope: Scope) -> Found:
    """What an application answers to a request without a body."""
    messages: list[Any] = []

    async def nothing() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def keep(message: Any) -> None:
        messages.append(message)

    await app({**scope, "method": "GET"}, nothing, keep)  # after HEAD the server sends no body by itself
    content = b"".join(message.get("body", b"") for message in messages[1:])
    return messages[0]["status"], list(messages[0]["headers"]), content
