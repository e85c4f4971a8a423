"""The ledger: every decision about a champion, one line each, in one table that is only ever added to.

Inserting the next line *is* the decision: two that are made at once cannot both have the same number. Each line
carries the hash of the one before, so that a line which was changed or taken out is noticed. The alias in the registry
follows (flows/promotion/champion_alias.py).
"""

import getpass
import hashlib
import json
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, Text, create_engine, insert, make_url, select
from sqlalchemy.exc import IntegrityError as Taken
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateTable

from flows.project import databases
from flows.project.environment import Project
from pipelines.errors import ShortageError, UnreachableError
from pipelines.safety import shortage

FIRST = "0" * 64  # what the first line has for the hash of the one before
ACTIONS = ("accepted", "rejected", "undecided", "refused", "promoted", "adopted", "rolled back", "pruned")

LINES = Table(
    "ratchet_ledger",
    MetaData(),
    Column("model", String(200), primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("format", Integer, nullable=False),
    Column("at", String(40), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("action", String(20), nullable=False),
    Column("version", Integer),
    Column("alias", String(40), nullable=False),
    Column("from_version", Integer),
    Column("to_version", Integer),
    Column("reference", Integer),
    Column("decision_key", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)


@dataclass(frozen=True)
class Line:
    """One decision. version: the one it is about; from_version and to_version: the champion before and after."""

    model: str
    sequence: int
    action: str  # one of ACTIONS
    version: int | None
    from_version: int | None
    to_version: int | None
    reference: int | None  # what "not worse" is measured against from now on
    reason: str
    evidence: str = "{}"  # JSON
    decision_key: str = ""
    actor: str = ""
    at: str = ""  # UTC
    alias: str = "champion"
    format: int = 1
    previous: str = FIRST
    hash: str = ""

    @property
    def facts(self) -> dict[str, Any]:
        """The evidence."""
        return dict(json.loads(self.evidence))

    def sealed(self) -> "Line":
        """The same with the hash of all its other fields."""
        content = {key: value for key, value in asdict(self).items() if key != "hash"}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return replace(self, hash=hashlib.sha256(text.encode()).hexdigest())


class Conflict(Exception):
    """The number was taken: somebody else has decided meanwhile."""


class Ledger:
    def __init__(self, url: str):
        self.url = url

    def told(self) -> str:
        """Its address without a password."""
        return make_url(self.url).render_as_string(hide_password=True)

    def lines(self, model: str) -> list[Line]:
        """All lines of a model, the first one first. Raises RatchetError if the ledger cannot be read."""
        query = select(LINES).where(LINES.c.model == model).order_by(LINES.c.sequence)
        with self._opened() as engine, engine.connect() as connection:
            return [Line(**row._mapping) for row in connection.execute(query)]

    def models(self) -> list[str]:
        """The models that it has lines of, by name. Raises RatchetError if it cannot be read."""
        with self._opened() as engine, engine.connect() as connection:
            return sorted(connection.execute(select(LINES.c.model).distinct()).scalars())

    def append(self, last: Line | None, line: Line) -> Line:
        """Write a line after `last`, the newest that the caller has seen; returns it as written.

        Raises Conflict if there is a newer one, RatchetError if the ledger cannot be written.
        """
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        entry = replace(
            line,
            sequence=last.sequence + 1 if last else 1,
            at=max(now, last.at) if last else now,  # a clock that was put back does not turn history round
            actor=line.actor or f"{getpass.getuser()}@{platform.node()}",
            previous=last.hash if last else FIRST,
        ).sealed()
        with self._opened() as engine:
            try:
                with engine.begin() as connection:
                    connection.execute(insert(LINES).values(**asdict(entry)))
            except Taken as error:
                raise Conflict from error
        return entry

    @contextmanager
    def _opened(self) -> Iterator[Engine]:
        """The database, its table made if it is missing; its failures as an error that says what to do."""
        url = make_url(self.url)
        waits = {"timeout": 60} if url.get_backend_name() == "sqlite" else {}  # seconds, for another writer
        place = [Path(url.database)] if waits and url.database else []
        for path in place:
            # a crash before its first line leaves an empty one; lines that were lost are noticed by the alias
            databases.check(path, empty=True)
        try:
            engine = create_engine(url, poolclass=NullPool, connect_args=waits)
            with suppress(Taken), engine.begin() as connection:  # PostgreSQL says so when two make it at once
                connection.execute(CreateTable(LINES, if_not_exists=True))
            yield engine
        except SQLAlchemyError as error:
            if isinstance(error, Taken):
                raise
            if short := shortage.of(error, place):
                raise ShortageError(short.what, f"Nothing was decided. {short.do}") from error
            raise UnreachableError(
                f"The ledger {self.told()} cannot be used now: {' '.join(str(error).split())[:300]}.",
                "Nothing was decided. Run again when it is back.",
            ) from error


def of(project: Project) -> Ledger:
    """RATCHET_LEDGER_URL, or a SQLite file beside MLflow's."""
    return Ledger(project.ledger or f"sqlite:///{project.home / 'mlflow' / 'ledger.db'}")


def broken(lines: list[Line]) -> str:
    """The first place where the chain does not hold, in words, or ""."""
    before = FIRST
    for number, line in enumerate(lines, 1):
        if line.sequence != number:
            return f"line {number} is missing"
        if line.previous != before:
            return f"line {number} does not follow the line before it"
        if line.sealed().hash != line.hash:
            return f"line {number} was changed after it was written"
        before = line.hash
    return ""
