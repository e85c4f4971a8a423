"""The body of a request: received within limits, and decoded as strict JSON.

Strict: no NaN and no infinity, no key twice in an object (programs disagree on which value counts), valid UTF-8.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from flows.serving.http import faults
from flows.serving.http.limits import Limits
from flows.serving.problem import Problem

Receive = Callable[[], Awaitable[Any]]
KEY = re.compile(rb'"[ \t\r\n]*:')  # each key of a body ends so, and some texts hold the same
NOT_JSON = re.compile(r"[+-]?(?:nan|inf(?:inity)?)\b", re.IGNORECASE)
NESTED = {dict, list}
DEEPEST = 64  # lists and objects in each other: no row has so many
LARGE = 1 << 17  # bytes from which on decoding would keep other clients waiting


class Gone(Exception):
    """The client has left, or was too slow and has been told: nobody waits for an answer."""


async def whole(receive: Receive, declared: bytes, limits: Limits) -> bytes:
    """All of a body. declared: its content-length, b"" if it has none.

    Raises Problem for one that is too large, before it is read, and Gone. A slow one ends with its connection
    (flows/serving/server/connection.py): a timer for each request would cost more than the rest of this.
    """
    if declared.isdigit() and int(declared) > limits.body:
        raise faults.large_body(limits)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Gone
        part = message.get("body", b"")
        size += len(part)
        if size > limits.body:
            raise faults.large_body(limits)
        if not message.get("more_body", False):
            return b"".join([*parts, part]) if parts else part
        parts.append(part)


async def decoded(body: bytes) -> Any:
    """The JSON value of a body. Raises Problem with the place where it is wrong."""
    return parsed(body) if len(body) < LARGE else await asyncio.to_thread(parsed, body)


def parsed(body: bytes) -> Any:
    """The JSON value of a body. Raises Problem with the place where it is wrong.

    >>> parsed(b'{"a": 1}')
    {'a': 1}
    """
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _broken(body, error) from None
    _check_keys(body, content)
    return content


def _check_keys(body: bytes, content: Any) -> None:
    """Raises Problem if a key is twice in an object. orjson keeps the last one and does not tell.

    As many colons as keys were decoded: no key is lost. More, as where a text holds one: look more closely.
    """
    count = _keys(content) if isinstance(content, dict | list) else 0
    if body.count(b":") != count and len(KEY.findall(body)) != count:
        json.loads(body, object_pairs_hook=_once)


def _keys(content: Any, depth: int = 1) -> int:
    """How many keys a value has. depth: the lists and objects around it, and itself. Raises Problem if too many."""
    if depth > DEEPEST:
        raise _not_json(f"It is nested in more than {DEEPEST} lists and objects.", "Send rows as plain objects.")
    count, values = 0, content
    if isinstance(content, dict):
        count, values = len(content), content.values()
    elif not NESTED & set(map(type, content)):
        return 0
    for value in values:
        if isinstance(value, dict | list):
            count += _keys(value, depth + 1)
    return count


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _not_json(f"The key {twice[: faults.SHOWN]!r} is twice in one object.", "Send each key once.")
    return found


def _broken(body: bytes, error: orjson.JSONDecodeError) -> Problem:
    if not body.strip():
        return _not_json("The body is empty.", "Send one row as an object, or a list of rows.")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as wrong:
        return _not_json(f"Byte {wrong.start + 1} of the body is no UTF-8.", "Send the body in UTF-8.")
    if text.startswith("\ufeff"):
        return _not_json("The body begins with a byte order mark.", "Send it without one.")
    place = f"At line {error.lineno}, column {error.colno}: {error.msg}."
    if error.msg.startswith("depth"):
        return _not_json("It is nested far too deeply.", "Send rows as plain objects.")
    near = text[max(0, error.pos - 1) : error.pos + 20]
    if NOT_JSON.search(near):
        return _not_json(place, "JSON has no NaN and no infinity: write null for a missing value.")
    return _not_json(place, "Send valid JSON (RFC 8259).")


def _not_json(detail: str, repair: str) -> Problem:
    return Problem(400, "not-json", "The body is not valid JSON", detail, repair)
