"""Which person is at the terminal? The owner of the token that is given, else the Unix user of this process.

Not the variables LOGNAME and USER, which anybody sets. Whoever may act as the same Unix user can be taken for it.
"""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from flows.access.tokens import Tokens
from flows.project import environment
from pipelines.errors import RequestError, SettingsError

VARIABLE = "RATCHET_TOKEN"
APPROVE = ("approve", "manage")  # roles that may approve


@dataclass(frozen=True)
class Person:
    """name: of the token or the Unix user. how: which of both, "token" or "user". roles: of the token."""

    name: str
    how: str
    roles: tuple[str, ...] = ()

    def check(self, what: str) -> None:
        """Raises RequestError if the token may not approve. what: part of a sentence."""
        if self.how == "token" and not set(self.roles) & set(APPROVE):
            has = ", ".join(self.roles) or "none"
            raise RequestError(
                f"The token {self.name!r} may not {what}: its roles are {has}.",
                f"Make one that may: `ratchet token NAME --role {APPROVE[0]}`.",
            )


def here(state: Path, file: Path | None = None) -> Person:
    """By the token in `file`, else that in RATCHET_TOKEN, else the Unix user.

    Raises RequestError for a token that nobody has, SettingsError if the file cannot be read.
    """
    text = environment.token()
    if file is not None:
        try:
            text = file.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise SettingsError(f"The token file {file} cannot be read: {error}.") from error
    if file is not None or text:
        return of_token(state, text, str(file) if file else VARIABLE)
    return Person(_user(), "user")


def of_token(state: Path, text: str, where: str) -> Person:
    """where: part of an error. Raises RequestError for a token that nobody has."""
    owner = Tokens(state).owner(text)
    if owner is None:
        raise RequestError(f"The token in {where} belongs to nobody.", "`ratchet token --list` shows whose there are.")
    return Person(owner.name, "token", owner.roles)


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may have a user without a name
        return str(os.getuid())
