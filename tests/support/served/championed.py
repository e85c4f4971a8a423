"""The model `shop` has a champion, version 7, and what the gate promised of it is known."""

from dataclasses import asdict
from datetime import UTC, datetime

from sqlalchemy import create_engine, insert

from flows.monitoring.live.promise import Champion, Promise
from flows.monitoring.looks import promised
from flows.monitoring.looks.look import Look
from flows.project import private_files
from flows.project.environment import Project
from flows.records import ledger
from flows.records.ledger import LINES, Line
from pipelines.model_file import Declaration

SINCE = datetime(2026, 11, 1, tzinfo=UTC)


def crowned(project: Project, since: datetime = SINCE) -> None:
    """Write the first line of the ledger, as if it were of that instant."""
    ledger.of(project).lines("shop")  # makes the table
    line = Line("shop", 1, "accepted", 7, None, 7, 7, "first", '{"model_hash": "m"}', at=since.isoformat())
    with create_engine(project.ledger).begin() as connection:
        connection.execute(insert(LINES).values(**asdict(line.sealed())))


def promise(project: Project, declared: Declaration, version: int = 7, value: float = 0.95) -> None:
    """As it is kept once it was read from MLflow."""
    at = Look(project, declared, SINCE, ledger.of(project).lines("shop"))
    kept = Champion(version, SINCE, Promise(value, value - 0.02, value + 0.02, 1000, 0.01))
    path = project.state / "watch" / "shop" / "promise.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    private_files.write(path, {"format": 1, "key": promised._key(at), "champion": kept.content()})
