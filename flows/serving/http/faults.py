"""The problems that a request can have before a model sees it, and the answer that tells one."""

import difflib
from collections.abc import Iterable

import orjson

from flows.serving.http.limits import Limits
from flows.serving.problem import Problem

Headers = list[tuple[bytes, bytes]]
MEDIA = b"application/problem+json"
MORE: dict[int, Headers] = {  # headers that a status needs
    401: [(b"www-authenticate", b"Bearer")],
    408: [(b"connection", b"close")],
    503: [(b"retry-after", b"1")],
}
SHOWN = 80  # letters of what a client sent


def told(problem: Problem, allow: str = "") -> tuple[int, Headers, bytes]:
    """Status, headers and body of an answer. allow: the methods that the address takes."""
    body = orjson.dumps(problem.content())
    headers = [(b"content-type", MEDIA), (b"content-length", b"%d" % len(body)), *MORE.get(problem.status, [])]
    if problem.status == 405:
        headers.append((b"allow", allow.encode()))
    return problem.status, headers, body


def raw(problem: Problem) -> bytes:
    """The whole answer as it goes over a connection, which closes after it."""
    status, headers, body = told(problem)
    lines = [b"%s: %s" % header for header in headers if header[0] != b"connection"]
    return b"\r\n".join([b"HTTP/1.1 %d %s" % (status, problem.title.encode()), *lines, b"connection: close", b"", body])


def no_address(path: str) -> Problem:
    return Problem(
        404, "no-address", "No such address", f"There is nothing at {path[:SHOWN]!r}.", "GET /models lists the models."
    )


def no_model(name: str, known: Iterable[str]) -> Problem:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, 1)
    repair = f"Did you mean {near[0]!r}?" if near else f"The models are: {', '.join(names) or 'none'}."
    return Problem(404, "no-model", "No such model", f"No model {name[:SHOWN]!r} is served here.", repair)


def no_champion(name: str, why: str) -> Problem:
    """503 and not 409: the request is right, and the same one may have an answer later."""
    return Problem(
        503,
        "no-champion",
        "No version is live",
        f"No version of {name!r} answers now. {why.rstrip('.') or 'It has no champion'}.",
        f"Promote a version (`ratchet promote {name} VERSION`), or run `ratchet status`.",
    )


def not_ready(waiting: int) -> Problem:
    """waiting: models that were asked for and have no version; 0 where none was asked for."""
    which = f"{waiting} of the models that were asked for" if waiting else "All models"
    detail = f"{which} have no version that answers yet."
    return Problem(503, "not-ready", "Not ready", detail, "GET /models says what is live, and why not.")


def wrong_method(method: str, allow: str) -> Problem:
    return Problem(
        405, "method", "Method not allowed", f"This address does not take {method[:SHOWN]}.", f"Use {allow}."
    )


def wrong_media(given: str, wanted: str) -> Problem:
    detail = f"The content type is {given[:SHOWN]!r}." if given else "The request has no content type."
    return Problem(415, "media-type", "Unsupported media type", detail, f"Send {wanted}, in UTF-8.")


def encoded(given: str) -> Problem:
    detail = f"The body is encoded as {given[:SHOWN]!r}."
    return Problem(415, "media-type", "Unsupported media type", detail, "Send it plain, without content-encoding.")


def large_body(limits: Limits) -> Problem:
    return Problem(
        413,
        "body-size",
        "Body too large",
        f"A body may have {limits.body:,} bytes, and this one has more.",
        "Send fewer rows in one request; `ratchet predict` takes files of any size.",
    )


def many_rows(count: int, limits: Limits) -> Problem:
    return Problem(
        413,
        "rows",
        "Too many rows",
        f"A request may have {limits.rows:,} rows, and this one has {count:,}.",
        "Send several requests; `ratchet predict` takes files of any size.",
    )


def many_explained(count: int, limits: Limits) -> Problem:
    return Problem(
        413,
        "rows",
        "Too many rows",
        f"A request may have {limits.explained:,} rows to explain, and this one has {count:,}.",
        "Send several requests; `ratchet explain` takes files of any size.",
    )


def no_rows() -> Problem:
    return Problem(400, "no-rows", "No rows", "The request holds no row.", "Send one row as an object, or a list.")


def not_rows(detail: str, repair: str) -> Problem:
    return Problem(400, "rows-form", "Not the form of rows", detail, repair)


def slow_body(limits: Limits) -> Problem:
    detail = f"The request did not arrive within {limits.receive:g} seconds."
    return Problem(408, "slow", "Request Timeout", detail, "Send it again, all at once.")


def large_head(limits: Limits) -> Problem:
    detail = f"The first line and the headers have more than {limits.head:,} bytes."
    return Problem(431, "head-size", "Request Header Fields Too Large", detail, "Send fewer or shorter headers.")


def not_http() -> Problem:
    return Problem(
        400, "not-http", "Bad Request", "This is no request of HTTP/1.1.", "Send a request as RFC 9112 says."
    )


def busy(limits: Limits) -> Problem:
    detail = f"{limits.connections:,} requests are being answered, the most at once."
    return Problem(503, "busy", "Service Unavailable", detail, "Send the request again in a second.")


def unforeseen(number: str) -> Problem:
    """An error of ours. number: by which the server's log has it."""
    detail = f"The server has met an error that nobody foresaw. Its log has it as {number}."
    return Problem(500, "unforeseen", "Internal error", detail, "Tell whoever runs this server that number.")
