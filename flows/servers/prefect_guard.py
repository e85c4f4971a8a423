"""The guard around Prefect's server: which clients and which requests it accepts.

An ASGI layer around Prefect's application:

- A request must name this machine (127.0.0.1, localhost or [::1], at any port, so that `ssh -L` works), and a page that
  sends one must be ours. Else a page of another site, whose name points here, could use the server through the user's
  browser.
- The API needs the login of the clone (flows/servers/prefect_login.py). Prefect checks it too; on websockets only
  Prefect does.
- No request may set which code runs or where: the scheduler runs `flows.retrain`, and nothing else.
"""

import hmac
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from flows.servers import login_page, prefect_login

ENTRYPOINT = "flows.retrain.retrain"
NAMES = ("127.0.0.1", "localhost", "::1")
OPEN = ("/api/health", "/api/ready")  # without login, as in Prefect: they reveal nothing
HIDDEN = ("/docs", "/redoc", "/openapi.json")  # they would load scripts from the web into the pages' origin
READING = ("GET", "HEAD", "OPTIONS")
FREE = (  # routes whose bodies are texts and data of people and runs, which are never executed
    *("/api/artifacts", "/api/block_documents", "/api/block_schemas", "/api/block_types", "/api/events", "/api/logs"),
    *("/api/templates", "/api/ui", "/api/variables"),
)
DATA = ("labels", "parameter_openapi_schema", "parameters", "context", "payload")  # keys below which it is the same
NEVER = (  # keys that must be empty: they set which code runs, where it lies, and in what it runs
    *("base_job_template", "bundle_execution_step", "bundle_upload_step", "command", "default_result_storage_block_id"),
    *("infra_overrides", "infrastructure_document_id", "job_variables", "manifest_path", "path", "pull_steps"),
    "storage_document_id",
)
MOST_BYTES = 8 << 20  # of a body that is checked
RULES = (  # of Prefect's pages: they report to nobody, as they would, and no text that they show loads or sends a thing
    "default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
PROTECTED = {  # of every answer
    "content-security-policy": RULES,
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Guard:
    """The guard around `app`. secret: the right login."""

    def __init__(self, app: ASGIApp, secret: str):
        self._app, self._login = app, prefect_login.header(secret).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refusal = stranger(Headers(scope=scope))
        if scope["type"] == "websocket":
            if refusal:
                await WebSocketClose(1008, refusal)(scope, receive, send)
            else:
                await self._app(scope, receive, send)
            return
        answer = _refused(403, refusal) if refusal else self._own(scope)
        if answer is None and _is_checked(scope):
            receive, answer = await _looked_at(receive)
        await (answer or self._app)(scope, receive, _protected(send))

    def _own(self, scope: Scope) -> ASGIApp | None:
        """The answer to a request that does not reach Prefect; None if it does."""
        path, method = scope["path"], scope["method"]
        if path == prefect_login.PAGE and method in READING:
            return HTMLResponse(
                login_page.PAGE, headers={"cache-control": "no-store", "content-security-policy": login_page.RULES}
            )
        if not _below(path, "/api"):
            unknown = method not in READING or any(_below(path, hidden) for hidden in HIDDEN)
            return _refused(404, "There is nothing here.") if unknown else None
        if path in OPEN and method == "GET":
            return None
        given = Headers(scope=scope).get("authorization", "").encode("latin-1")
        if not hmac.compare_digest(given, self._login):
            return _refused(401, "Prefect's server of this clone needs a login: `ratchet up` prints an address.")
        return None


def stranger(headers: Headers) -> str:
    """Why a request is not from this machine, or "". A browser names the origin of the page that sends it."""
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    if len(hosts) != 1 or _name(f"http://{hosts[0]}") not in NAMES:
        return "Use 127.0.0.1 or localhost as this server's name: it accepts no other."
    own = (f"http://{hosts[0]}", f"https://{hosts[0]}")
    if any(origin not in own for origin in origins):
        return "This server does not answer pages of other sites."
    return ""


def _name(address: str) -> str:
    """The host of an address, "" if the address is not a host with or without a port."""
    try:
        found = urlsplit(address)
        found.port  # noqa: B018 (raises ValueError if it is none)
    except ValueError:
        return ""
    plain = found.path == found.query == found.fragment == "" and "@" not in found.netloc
    return found.hostname or "" if plain else ""


def _is_checked(scope: Scope) -> bool:
    """Whether the body is checked: always, unless the route is known to be harmless."""
    path = scope["path"]
    return scope["method"] not in READING and not any(_below(path, free) for free in FREE)


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


async def _looked_at(receive: Receive) -> tuple[Receive, ASGIApp | None]:
    """The whole body, to be received again, and the refusal if it has to be refused."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return receive, _refused(400, "The request ended early.")
        parts.append(message.get("body", b""))
        if sum(map(len, parts)) > MOST_BYTES:
            return receive, _refused(413, f"The body is larger than {MOST_BYTES >> 20} MiB.")
        if not message.get("more_body", False):
            break
    body = b"".join(parts)
    try:
        content = json.loads(body, object_pairs_hook=_once) if body else None
        found = next(refused(content), "")
        body = json.dumps(content).encode() if without_results(content) else body
    except (ValueError, RecursionError) as error:
        return receive, _refused(400, f"The body is not valid JSON: {str(error)[:200]}.")
    again: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return again.pop() if again else await receive()

    return replay, _refused(403, found) if found else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object. A repeated key is refused, because programs disagree on which of its values counts."""
    if len(found := dict(pairs)) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def refused(content: Any) -> Iterator[str]:
    """Why a body is refused, one sentence for each reason.

    >>> list(refused({"entrypoint": "flows.retrain.retrain", "pull_steps": []}))
    []
    """
    if isinstance(content, list):
        for entry in content:
            yield from refused(entry)
    elif isinstance(content, dict):
        for key, value in content.items():
            if key in NEVER and value:
                yield f"`{key}` is refused: this server's scheduler runs {ENTRYPOINT} as it is, and nothing else."
            elif key == "entrypoint" and value and value != ENTRYPOINT:
                yield f"`entrypoint` is refused: this server's scheduler runs {ENTRYPOINT}, and nothing else."
            elif key not in DATA:
                yield from refused(value)


def without_results(content: Any) -> int:
    """Drop the location of a state's result, which Prefect's clients send with every failure; returns how many.

    It names a file and the function that decodes it: a reader of the state would open the one and call the other.
    Ratchet keeps no results in Prefect, so nothing is lost.
    """
    if isinstance(content, list):
        return sum(map(without_results, content))
    if not isinstance(content, dict):
        return 0
    state, dropped = content.get("state"), 0
    if isinstance(state, dict) and state.get("data") is not None:
        state["data"], dropped = None, 1
    return dropped + sum(without_results(value) for key, value in content.items() if key not in DATA)


def _refused(status: int, why: str) -> JSONResponse:
    return JSONResponse({"exception_message": why, "detail": why}, status)


def _protected(send: Send) -> Send:
    """Headers that keep Prefect's pages out of frames and scripts of other pages."""

    async def work(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in PROTECTED.items():
                headers.setdefault(name, value)
        await send(message)

    return work
