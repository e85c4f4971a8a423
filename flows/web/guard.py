"""The guard around the pages: which requests they answer, and what a browser may do with an answer.

- A request must name a host that these pages have, or a page of another site whose name points here could read them
  through the user's browser.
- Only a page of ours may send a form: a browser names the origin of the page that sends one.
- A body has a limit, before any of it is read where its length is told.
- No script, style or picture but ours is loaded, no other page may frame ours, and nothing is kept in caches.
"""

from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flows.access import hosts

METHODS = ("GET", "HEAD", "POST")
MOST_BYTES = 16 << 20  # of a body: a picture or a pasted table
RULES = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PROTECTED = {  # of every answer
    "cache-control": "no-store",
    "content-security-policy": RULES,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Guard:
    """The guard around `app`. names: in small letters, at which the pages are besides those of loopback."""

    def __init__(self, app: ASGIApp, names: Collection[str] = ()):
        self._app, self._names = app, hosts.LOOPBACK | set(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # the start and end of the server; websockets have no route
            await self._app(scope, receive, send)
            return
        status, why = refusal(scope["method"], Headers(scope=scope), self._names)
        answer = PlainTextResponse(why, status) if why else self._app
        await answer(scope, receive, _protected(send))


def refusal(method: str, headers: Headers, names: Collection[str]) -> tuple[int, str]:
    """The status and the reason with which a request is refused, or (200, "")."""
    given = headers.getlist("host")
    if len(given) != 1 or hosts.name(given[0]) not in names:
        return 403, "These pages are not at this name. Use 127.0.0.1 or localhost, or start them with --allow-host."
    if method not in METHODS:
        return 405, f"These pages answer {', '.join(METHODS)}."
    if method != "POST":
        return 200, ""
    foreign = not all(hosts.is_same_origin(origin, given[0]) for origin in headers.getlist("origin"))
    if foreign or headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return 403, "These pages take no form of another site."
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        return 400, "The length of the body is no number."
    return (413, f"A form may have {MOST_BYTES >> 20} MiB.") if int(length) > MOST_BYTES else (200, "")


def _protected(send: Send) -> Send:
    async def work(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in PROTECTED.items():
                headers[name] = value
        await send(message)

    return work
