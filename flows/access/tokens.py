"""Tokens: one per caller, by which a server that other machines reach knows who asks.

`tokens.json` in the state folder has each one's name, roles, instant, and SHA-256. The token itself is shown once and
kept nowhere. It has 256 random bits, so a plain hash is enough: there is nothing to guess.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.project import private_files
from pipelines.errors import IntegrityError, RequestError

ROLES = ("look", "run", "approve", "manage")  # each may do what those before it may, and more
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
START = "ratchet_"  # by this a program that searches texts for secrets knows one
MOST = 1000  # each request is compared with all of them


@dataclass(frozen=True)
class Token:
    name: str
    sha256: str  # of the token's text, in hexadecimal
    created: str  # an instant in UTC
    roles: tuple[str, ...]


def path(state: Path) -> Path:
    return state / "tokens.json"


def read(state: Path) -> list[Token]:
    """All tokens, by name; none without a file. Raises IntegrityError if others may read or write the file, or if it
    holds no tokens."""
    file = path(state)
    try:
        wrong = private_files.wrong(file)
        content = "" if wrong else file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise IntegrityError(f"The file of tokens, {file}, cannot be read: {error}.", _repair(file)) from error
    if wrong:
        raise IntegrityError(f"The file of tokens, {file}, {wrong}.", _repair(file))
    try:
        return [_parsed(entry) for entry in json.loads(content)["tokens"]]
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{file} is not a file of tokens that `ratchet token` wrote.", _repair(file)) from error


def add(state: Path, name: str, roles: Sequence[str]) -> str:
    """Make a token; returns its text, which nothing keeps. Raises RequestError for a name or role that cannot be.

    The caller holds the lock `tokens`: two changes at once would lose one.
    """
    known = read(state)
    if not NAME.fullmatch(name):
        raise RequestError(
            f"{name[:80]!r} cannot be the name of a token.", "Use letters, digits and . _ @ -, at most 64 of them."
        )
    if any(token.name == name for token in known):
        raise RequestError(
            f"There is a token {name!r} already.",
            f"Remove it first (`ratchet token --remove {name}`), or take another name.",
        )
    if unknown := sorted(set(roles) - set(ROLES)):
        raise RequestError(f"There is no role {unknown[0][:40]!r}.", f"The roles are: {', '.join(ROLES)}.")
    if len(known) >= MOST:
        raise RequestError(
            f"There are {MOST} tokens, the most that can be.", "Remove some: `ratchet token --remove NAME`."
        )
    text = START + secrets.token_urlsafe(32)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    _write(state, [*known, Token(name, digest(text), now, tuple(role for role in ROLES if role in roles))])
    return text


def remove(state: Path, name: str) -> None:
    """Raises RequestError if there is no such token. The caller holds the lock `tokens`."""
    known = read(state)
    kept = [token for token in known if token.name != name]
    if len(kept) == len(known):
        names = ", ".join(token.name for token in known) or "none"
        raise RequestError(f"There is no token {name[:80]!r}.", f"The tokens are: {names}.")
    _write(state, kept)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


class Tokens:
    """The tokens of a state folder, read again when their file changes: one that is removed is refused at once."""

    def __init__(self, state: Path):
        """Raises IntegrityError as `read` does."""
        self._state, self._stamp = state, _stamp(state)
        self._known = read(state)

    def owner(self, text: str) -> Token | None:
        """Whose token it is, or None. A file that became unreadable knows nobody."""
        self._refresh()
        given, found = digest(text), None
        for token in self._known:  # all of them: the time tells nothing
            if hmac.compare_digest(token.sha256, given):
                found = token
        return found

    def _refresh(self) -> None:
        if (stamp := _stamp(self._state)) == self._stamp:
            return
        self._stamp = stamp
        try:
            self._known = read(self._state)
        except IntegrityError:
            self._known = []


def _stamp(state: Path) -> tuple[int, ...]:
    """What changes with the file."""
    try:
        found = os.stat(path(state))
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _parsed(entry: dict[str, Any]) -> Token:
    name, sha256, created, roles = (entry[key] for key in ("name", "sha256", "created", "roles"))
    whole = isinstance(sha256, str) and re.fullmatch(r"[0-9a-f]{64}", sha256) and isinstance(roles, list)
    if not whole or not set(roles) <= set(ROLES):
        raise ValueError("no token")
    return Token(str(name), str(sha256), str(created), tuple(map(str, roles)))


def _write(state: Path, found: Sequence[Token]) -> None:
    entries = [asdict(token) for token in sorted(found, key=lambda token: token.name)]
    private_files.write(path(state), {"format": 1, "tokens": entries})


def _repair(file: Path) -> str:
    return f"Delete the file and make new tokens with `ratchet token NAME`, or run `chmod 600 {file}` if it is yours."
