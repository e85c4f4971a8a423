"""The ledger: every decision about a champion, one line each, in a table whose lines are never changed.

Inserting the next line *is* the decision: of two made at once, only one can have the number. Each line has the hash of
the line before it, so a changed or removed line is found. The alias in the registry follows
(flows/promotion/champion_alias.py).
"""

import getpass
import hashlib
import json
import platform
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    func,
    insert,
    make_url,
    select,
)
from sqlalchemy.exc import IntegrityError as Taken
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateTable

from flows.project import databases
from flows.project.environment import Project
from pipelines.errors import ShortageError, UnreachableError
from pipelines.safety import shortage

FIRST = "0" * 64  # the hash before the first line
WAIT = 60  # seconds, for another writer
AT_ONCE = 500  # models in one query: a database takes so many values and not many more
ACTIONS = (
    *("accepted", "waits", "rejected", "undecided", "refused"),
    *("promoted", "adopted", "rolled back", "pruned", "seen"),
    *("on trial", "trial ended"),  # beside the champion (flows/rollout)
    *("noticed", "over"),  # an event of live rows (flows/monitoring)
    *("forgotten",),  # rows of a person were removed (flows/forget)
    *("asked", "approved", "expired"),  # approvals of persons (flows/promotion/approving.py)
    *("compressed",),  # which form of a version answers (flows/compression)
)
MOVES = ("accepted", "promoted", "adopted", "rolled back")  # lines that may change the champion
TRIALS = ("on trial", "trial ended", "rejected", "pruned")  # lines that may change what answers beside it
FORMS = ("compressed",)  # lines that may change in which form a version answers

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
    """One decision. version: its subject; from_version and to_version: the champion before and after."""

    model: str
    sequence: int
    action: str  # one of ACTIONS
    version: int | None
    from_version: int | None
    to_version: int | None
    reference: int | None  # later candidates must not be worse than this version
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
    """The number is taken, because somebody else decided meanwhile."""


class Ledger:
    def __init__(self, url: str):
        self.url = url

    def told(self) -> str:
        """Its address without a password."""
        return make_url(self.url).render_as_string(hide_password=True)

    def lines(self, model: str) -> list[Line]:
        """All lines of a model, the first one first. Raises RatchetError if the ledger cannot be read."""
        with self._opened() as engine, engine.connect() as connection:
            return _lines(connection, model)

    @contextmanager
    def alone(self, model: str) -> Iterator[list[Line]]:
        """All lines of a model. Until the end no other process, of any clone, is in here for this model.

        Others may append lines. A lock ends with its holder. Raises RatchetError if the ledger cannot be used.
        """
        with self._opened() as engine, engine.connect() as connection, self._locked(connection, model):
            yield _lines(connection, model)

    @contextmanager
    def _locked(self, connection: Connection, model: str) -> Iterator[None]:
        if connection.dialect.name != "sqlite":
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{WAIT}s'")
            name = hashlib.sha256(f"{LINES.name} {model}".encode()).digest()
            connection.execute(select(func.pg_advisory_xact_lock(int.from_bytes(name[:8], signed=True))))
            yield
            return
        path = Path(make_url(self.url).database or "").resolve()
        # a file, because a transaction of SQLite would keep MLflow from writing, if both are in one database
        lock = FileLock(f"{path}.lock", timeout=WAIT, mode=stat.S_IMODE(path.stat().st_mode))
        try:
            lock.acquire()
        except Timeout as error:
            raise UnreachableError(
                f"Another process has been moving the champion of {model} for {WAIT} seconds.",
                "Run again when it has ended: this completes what is in the ledger.",
            ) from error
        try:
            yield
        finally:
            lock.release()

    def models(self) -> list[str]:
        """The models that it has lines of, by name. Raises RatchetError if it cannot be read."""
        with self._opened() as engine, engine.connect() as connection:
            return sorted(connection.execute(select(LINES.c.model).distinct()).scalars())

    def newest(self) -> dict[str, tuple[int, str]]:
        """Number and hash of the newest line of each model. Raises RatchetError if it cannot be read."""
        last = select(LINES.c.model, func.max(LINES.c.sequence).label("sequence")).group_by(LINES.c.model).subquery()
        same = (LINES.c.model == last.c.model) & (LINES.c.sequence == last.c.sequence)
        query = select(LINES.c.model, LINES.c.sequence, LINES.c.hash).join(last, same)
        with self._opened() as engine, engine.connect() as connection:
            return {row[0]: (row[1], row[2]) for row in connection.execute(query)}

    def lines_of(self, models: Sequence[str]) -> dict[str, list[Line]]:
        """All lines of these models, the first one first. Raises RatchetError if it cannot be read."""
        found: dict[str, list[Line]] = {model: [] for model in models}
        query = select(LINES).order_by(LINES.c.model, LINES.c.sequence)
        with self._opened() as engine, engine.connect() as connection:
            for start in range(0, len(models), AT_ONCE):
                some = query.where(LINES.c.model.in_(models[start : start + AT_ONCE]))
                for row in connection.execute(some):
                    found[row[0]].append(Line(**row._mapping))
        return found

    def moved(self) -> dict[str, int]:
        """The number of the newest line of each model that may have changed its champion, what answers beside it, or in
        which form. Raises RatchetError."""
        newest = select(LINES.c.model, func.max(LINES.c.sequence))
        query = newest.where(LINES.c.action.in_((*MOVES, *TRIALS, *FORMS))).group_by(LINES.c.model)
        with self._opened() as engine, engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def append(self, last: Line | None, line: Line) -> Line:
        """Write a line after `last`, the newest line that the caller read; returns it as written.

        Raises Conflict if there is a newer one, RatchetError if the ledger cannot be written.
        """
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        entry = replace(
            line,
            sequence=last.sequence + 1 if last else 1,
            at=max(now, last.at) if last else now,  # times never go back, even if the clock was put back
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
        """The database, with its table; its failures become errors that say what to do."""
        url = make_url(self.url)
        waits = {"timeout": WAIT} if url.get_backend_name() == "sqlite" else {}
        place = [Path(url.database)] if waits and url.database else []
        for path in place:
            # a crash before the first line leaves an empty table; the alias reveals lost lines
            databases.check(path, empty=True)
        try:
            engine = create_engine(url, poolclass=NullPool, connect_args=waits)
            with suppress(Taken), engine.begin() as connection:  # PostgreSQL raises it when two make it at once
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


def _lines(connection: Connection, model: str) -> list[Line]:
    query = select(LINES).where(LINES.c.model == model).order_by(LINES.c.sequence)
    return [Line(**row._mapping) for row in connection.execute(query)]


def of(project: Project) -> Ledger:
    """RATCHET_LEDGER_URL, or a SQLite file beside MLflow's."""
    return Ledger(project.ledger or f"sqlite:///{project.home / 'mlflow' / 'ledger.db'}")


def broken(lines: list[Line]) -> str:
    """The first place where the chain is broken, in words, or ""."""
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
