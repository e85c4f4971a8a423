"""Prefect's and MLflow's SQLite databases: rows of tables that hold something of a person.

What Prefect keeps of a run's pages, logs and events goes, row by row. SQLite leaves deleted content in its file and in
its write-ahead log, so the file is built anew (VACUUM) and the log is emptied.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from flows.forget.removal import Removal, shown
from flows.forget.traces import Traces
from flows.project import databases
from flows.project.environment import Project
from pipelines.errors import BusyError

WAIT = 60.0  # seconds for another writer
STATES = ("flow_run_state", "task_run_state")  # of these the run needs the row, and not what it says
SHOWN = ("artifact", "artifact_collection", "log", "events", "event_resources", "flow_run_input")  # tables of Prefect


def look(project: Project, traces: Traces) -> tuple[list[Removal], list[str]]:
    """What goes, and in words what cannot."""
    found, left = [], []
    for name in ("prefect", "mlflow"):
        path = databases.of_server(project, name)
        if not path.is_file():
            continue
        for table, rows in _tables(path, traces):
            if name == "prefect" and table in (*SHOWN, *STATES):
                what = f"{shown(project, path)}, {table}"
                found.append(Removal("pages and logs of runs", what, 0, partial(_delete, path, table, traces)))
            else:
                left.append(f"{shown(project, path)}: {len(rows)} rows of the table {table}")
    return found, left


def clean(project: Project) -> None:
    """Deleted rows leave the files too. Raises BusyError if somebody keeps a database for himself."""
    for name in ("prefect", "mlflow"):
        path = databases.of_server(project, name)
        if path.is_file():
            try:
                with closing(_opened(path)) as connection:
                    connection.execute("VACUUM")
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except sqlite3.OperationalError as error:
                raise BusyError(
                    f"{path} could not be built anew, so deleted rows are still in it: {error}.",
                    "Stop what uses it with `ratchet down`, and forget again.",
                ) from error


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=WAIT, isolation_level=None)
    connection.execute("PRAGMA secure_delete = ON")
    return connection


def _tables(path: Path, traces: Traces) -> Iterator[tuple[str, list[int]]]:
    """The tables with such rows, and the numbers of these rows."""
    with closing(_opened(path)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            if not name.startswith("sqlite_") and (rows := _rows(connection, name, traces)):
                yield name, rows


def _rows(connection: sqlite3.Connection, table: str, traces: Traces) -> list[int]:
    quoted = '"' + table.replace('"', '""') + '"'
    try:
        cursor = connection.execute(f"SELECT rowid, * FROM {quoted}")  # noqa: S608
    except sqlite3.OperationalError:  # a table without row numbers
        return []
    return [row[0] for row in cursor if any(_has(cell, traces) for cell in row[1:])]


def _has(cell: object, traces: Traces) -> bool:
    if isinstance(cell, str):
        return traces.in_text(cell.encode(errors="surrogatepass"))
    return isinstance(cell, bytes) and traces.in_bytes(cell)


def _delete(path: Path, table: str, traces: Traces) -> None:
    with closing(_opened(path)) as connection:
        for row in _rows(connection, table, traces):
            if table in SHOWN:
                connection.execute(f"DELETE FROM {table} WHERE rowid = ?", (row,))  # noqa: S608
            else:
                _blank(connection, table, row, traces)


def _blank(connection: sqlite3.Connection, table: str, row: int, traces: Traces) -> None:
    """Empty the cells of a row that hold something."""
    found = connection.execute(f"SELECT * FROM {table} WHERE rowid = ?", (row,))  # noqa: S608
    names, cells = [column[0] for column in found.description], found.fetchone()
    for name, cell in zip(names, cells, strict=True):
        if _has(cell, traces):
            empty = "null" if str(cell)[:1] in "[{" else ""  # of JSON
            connection.execute(f'UPDATE {table} SET "{name}" = ? WHERE rowid = ?', (empty, row))  # noqa: S608
