"""Who may send a request: by which name the server is called, from which page, and with which token."""

from collections.abc import Mapping

from flows.access import hosts
from flows.access.tokens import Tokens
from flows.serving.problem import Problem

OPEN = frozenset({"/health", "/ready"})  # they say nothing of a model, and programs that watch processes have no token
REMEMBERED = 64  # values of `Host`, which are few


class Access:
    def __init__(self, host: str = "127.0.0.1", allowed: tuple[str, ...] = (), tokens: Tokens | None = None):
        """host: where the server listens. allowed: more names that it may be called by. tokens: those that open it;
        None where only this machine reaches it.

        Beyond this machine an address in digits is as good as a name: no site can make one lead here.
        """
        self._names = hosts.LOOPBACK | {host.lower()} | {name.lower() for name in allowed}
        self._numbers = not hosts.is_loopback(host)
        self._tokens = tokens
        self._ours: set[bytes] = set()  # values of `Host` that were looked at and found right

    def check(self, method: str, path: str, headers: Mapping[bytes, bytes]) -> None:
        """Raises Problem (401, 403) if this request is not answered."""
        if path in OPEN:
            return
        host = headers.get(b"host", b"")
        if host not in self._ours:
            self._check_host(host)
        if b"origin" in headers and method != "GET":
            self._check_origin(headers[b"origin"], host)
        if self._tokens is not None:
            self._check_token(self._tokens, headers.get(b"authorization", b""))

    def _check_host(self, host: bytes) -> None:
        called = hosts.name(host.decode("latin-1"))
        if called not in self._names and not (self._numbers and hosts.is_number(called)):
            raise Problem(
                403,
                "host",
                "Not a name of this server",
                f"The request calls this server {host.decode('latin-1')[:80]!r}.",
                f"Use {', '.join(sorted(self._names - {'::1', '0.0.0.0', '::'}))}, "  # noqa: S104 (as a text)
                "or start the server with --allow-host NAME.",
            )
        if len(self._ours) < REMEMBERED:
            self._ours.add(host)

    def _check_origin(self, origin: bytes, host: bytes) -> None:
        if not hosts.is_same_origin(origin.decode("latin-1"), host.decode("latin-1")):
            raise Problem(
                403,
                "origin",
                "A page of another site",
                f"A browser sends this for a page of {origin.decode('latin-1')[:80]!r}.",
                "Let the server behind that page send the request.",
            )

    def _check_token(self, tokens: Tokens, given: bytes) -> None:
        kind, _, text = given.decode("latin-1").partition(" ")
        if kind.lower() != "bearer" or tokens.owner(text.strip()) is None:
            detail = "The token is not known here." if given else "The request has no token."
            raise Problem(
                401, "token", "A token is needed", detail,
                "Send the header `Authorization: Bearer TOKEN`. Whoever runs this server can make one.",
            )  # fmt: skip
