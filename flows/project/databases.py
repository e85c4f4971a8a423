"""The two SQLite databases, made once: under a lock, in a temporary file that is renamed when it is complete.

Several processes that migrate one empty database together break it for good, and so does a kill in the middle.
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote

from flows.project import locks
from flows.project.environment import Project
from pipelines.errors import IntegrityError
from pipelines.safety import shortage

LOGS = ("-wal", "-shm", "-journal")  # endings of SQLite's files beside a database
EMPTY = "the file is empty"
MAGIC = b"SQLite format 3\0"
DATABASE = "PREFECT_SERVER_DATABASE_CONNECTION_URL"  # a variable of Prefect's server


def prefect_url(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


def of_server(project: Project, name: str) -> Path:
    """The database of the server `prefect` or `mlflow`."""
    return {"prefect": project.prefect_home / "prefect.db", "mlflow": project.mlflow_database}[name]


def point_prefect(project: Project) -> None:
    """Tell Prefect's server, by a variable, where its database is. Raises IntegrityError if it is damaged."""
    path = of_server(project, "prefect")
    os.environ[DATABASE] = prefect_url(path)
    if path.exists() and path.stat().st_size:
        check(path)


def make_prefect(project: Project, migrate: Callable[[str], None]) -> None:
    """Prefect's database exists and is migrated. migrate: makes its tables in the database at a URL."""
    path = of_server(project, "prefect")
    if path.exists() and path.stat().st_size:
        return
    with locks.hold(project, "stores", "making the databases"):
        if path.exists() and path.stat().st_size:
            return
        partial = _fresh(path)
        try:
            migrate(prefect_url(partial))
            with closing(sqlite3.connect(partial)) as made:  # all of it, also what is still in the log beside it
                made.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except BaseException:
            partial.unlink(missing_ok=True)  # on a full disk it takes the room that is missing
            raise
        os.replace(partial, path)


def ensure_mlflow(project: Project) -> str:
    """MLflow's database exists and is migrated; returns its URI. 5 s the first time."""
    path = project.mlflow_database
    uri = f"sqlite:///{path}"
    if path.exists():
        check(path)
        return uri
    with locks.hold(project, "stores", "making the databases"):
        if not path.exists():
            from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

            project.mlflow_artifacts.mkdir(parents=True, exist_ok=True)
            partial = _fresh(path)
            try:
                store = SqlAlchemyStore(f"sqlite:///{partial}", project.mlflow_artifacts.as_uri())
                store.engine.dispose()
                os.replace(partial, path)
            except Exception as error:
                short = shortage.of(error, [path])  # before the room is given back
                partial.unlink(missing_ok=True)
                if short is None:
                    raise
                raise short from error
    return uri


def elsewhere(project: Project) -> str:
    """The project folder in MLflow's artifact paths, if it is not this one; else "".

    Paths in the store are absolute: after a move or copy of the folder, runs would write into the old one.
    """
    query = "SELECT DISTINCT artifact_location FROM experiments WHERE artifact_location LIKE 'file://%'"
    with closing(sqlite3.connect(f"{project.mlflow_database.as_uri()}?mode=ro", uri=True, timeout=1)) as database:
        try:
            places = [unquote(place).removeprefix("file://") for (place,) in database.execute(query)]
        except sqlite3.OperationalError:  # it is locked, or has no table yet: its user will report it
            return ""
    parts = [place.partition("/mlflow/artifacts") for place in places]
    return next((base for base, artifacts, _ in parts if artifacts and base != str(project.home)), "")


def check_place(project: Project) -> None:
    """Raises IntegrityError if artifacts would be written to, or read from, the folder of another project."""
    if project.tracking or not project.mlflow_database.exists():
        return
    check(project.mlflow_database)
    if old := elsewhere(project):
        raise IntegrityError(
            f"This project was moved or copied from {old}, and MLflow's store still names the artifacts there.",
            "Correct this with `ratchet doctor --fix`, then repeat the command.",
        )


def check(path: Path, empty: bool = False) -> None:
    """Raises IntegrityError if a file is a damaged SQLite database. SQLite itself takes an empty file as new.

    empty: whether it may be empty, because another check finds missing content.
    """
    if (wrong := damage(path)) == "" or (empty and wrong == EMPTY):
        return
    raise IntegrityError(
        f"{path} is a damaged database: {wrong}. Nothing was written to it.",
        "Restore it from a backup. Or, if its records may be lost, move it away: then a new one is made.",
    )


def damage(path: Path) -> str:
    """What is wrong with the file of a SQLite database at a glance, "" for nothing or no file.

    Its first hundred bytes name the format, the size of a page and, if it was written by any SQLite of today, how many
    pages there are (https://www.sqlite.org/fileformat.html#the_database_header).
    """
    try:
        with path.open("rb") as file:
            head, size = file.read(100), os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return ""
    if not size:
        return EMPTY
    if not head.startswith(MAGIC) or len(head) < 100:
        return "it does not begin like an SQLite database"
    page, count = int.from_bytes(head[16:18], "big"), int.from_bytes(head[28:32], "big")
    page = 65536 if page == 1 else page
    if head[24:28] == head[92:96] and size < page * count:
        return f"it has {size:,} of {page * count:,} bytes"
    return ""


def last_line(text: str) -> str:
    """The last line that a program printed before it failed; for a traceback, the error itself."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:400].rstrip(".") if lines else "it printed nothing"


def _fresh(path: Path) -> Path:
    """The name of a temporary database beside `path`, without what an interrupted attempt left there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in path.parent.glob(f".{path.name}.partial*"):
        leftover.unlink()
    for log in LOGS:  # of a deleted database: SQLite would write its content into the new one
        if path.with_name(path.name + log).exists():
            os.replace(path.with_name(path.name + log), path.with_name(f"{path.name}{log}.old"))
    return path.with_name(f".{path.name}.partial")
