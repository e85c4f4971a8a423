"""The two SQLite databases, made once: under a lock, in a temporary file that is renamed when it is complete.

Several processes that migrate one empty database together break it for good, and so does a kill in the middle.
"""

import os
import subprocess
import sys
from pathlib import Path

from flows import locks
from flows.environment import Project
from pipelines.errors import RatchetError

DATABASE = "PREFECT_SERVER_DATABASE_CONNECTION_URL"  # a variable of Prefect's server


def prefect_url(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


def ensure_prefect(project: Project) -> None:
    """Prefect's database exists and is migrated; 10 s the first time."""
    path = project.prefect_home / "prefect.db"
    os.environ[DATABASE] = prefect_url(path)
    if path.exists():
        return
    with locks.hold(project, "stores", "making the databases"):
        if path.exists():
            return
        partial = _fresh(path)
        command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"]
        environment = os.environ | {DATABASE: prefect_url(partial)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise RatchetError(
                f"Prefect could not make its database {partial}: {done.stderr.strip()[-500:]}.",
                "Run `ratchet doctor`; the folder must be writable and on a local disk.",
            )
        os.replace(partial, path)


def ensure_mlflow(project: Project) -> str:
    """MLflow's database exists and is migrated; returns its URI. 5 s the first time."""
    path = project.mlflow_database
    uri = f"sqlite:///{path}"
    if path.exists():
        return uri
    with locks.hold(project, "stores", "making the databases"):
        if not path.exists():
            from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

            project.mlflow_artifacts.mkdir(parents=True, exist_ok=True)
            partial = _fresh(path)
            store = SqlAlchemyStore(f"sqlite:///{partial}", project.mlflow_artifacts.as_uri())
            store.engine.dispose()
            os.replace(partial, path)
    return uri


def _fresh(path: Path) -> Path:
    """The name of a temporary database beside `path`, without what an interrupted attempt left there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in path.parent.glob(f".{path.name}.partial*"):
        leftover.unlink()
    return path.with_name(f".{path.name}.partial")
