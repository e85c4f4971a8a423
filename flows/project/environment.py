"""Where things are, and the variables that keep every library quiet and inside the project.

Nothing here is done on import: `prepare` is called once, by the command line, before a heavy library is loaded.
What the machine decides is read from RATCHET_* variables; nothing in the user's own PREFECT_* and MLFLOW_* settings
but logins reaches a run, so no other project's server is joined by accident. A login to Prefect is kept only where
RATCHET_PREFECT_API_URL names the server that it is for: our own has another (flows/servers/prefect_login.py).
"""

import hashlib
import logging
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flows.project import folder_rights
from pipelines.errors import RequestError, ShortageError
from pipelines.readers import hash_key
from pipelines.safety import shortage

QUIET = {  # each library has its own switch (docs/guides/security.md)
    "DO_NOT_TRACK": "true",  # Prefect's client, MLflow
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
}
SETTLED = {
    "PREFECT_LOGGING_LEVEL": "INFO",
    "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",  # what cannot be sent to a server that has died is no news
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # people read our progress; Prefect's log goes to its page
    "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",  # its default is pickle
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    "PREFECT_SERVER_DATABASE_TIMEOUT": "60",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",  # a schedule of minutes makes many
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
    "GIT_TERMINAL_PROMPT": "0",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "SHELL": "/bin/sh",  # DVC runs stages in the user's shell, whichever it is
}
FOREIGN = ("PREFECT_", "MLFLOW_")
OF_PREFECT = ("PREFECT_API_AUTH_STRING", "PREFECT_API_KEY")  # by which Prefect's clients log in
LOGINS = (  # of the servers that RATCHET_TRACKING_URI and RATCHET_PREFECT_API_URL name
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_S3_ENDPOINT_URL",
    *OF_PREFECT,
)
SECRETS = (*LOGINS, "RATCHET_ALERTS", "RATCHET_TOKEN")  # no command of a person gets them
HERE = ("127.0.0.1", "localhost")


@dataclass(frozen=True)
class Project:
    """One working tree: every path is absolute. All trees of a clone share its stores, state and arrivals."""

    root: Path
    state: Path  # RATCHET_STATE, or .ratchet/ of the clone: locks, logs, Prefect's home
    tracking: str  # RATCHET_TRACKING_URI, or "": the SQLite store under mlflow/
    prefect: str  # RATCHET_PREFECT_API_URL, or "": our own server
    ledger: str = ""  # RATCHET_LEDGER_URL, or "": a SQLite file beside MLflow's
    clone_root: Path | None = None  # where this is a worktree of another folder: that folder

    @property
    def home(self) -> Path:
        """The folder of the clone: `root`, unless that is a worktree of it, as that of scheduled runs is."""
        return self.clone_root or self.root

    @property
    def worktree(self) -> Path:
        """The folder of scheduled runs, whether it is there or not."""
        return self.state / "schedule"

    @property
    def mlflow_database(self) -> Path:
        return self.home / "mlflow" / "mlflow.db"

    @property
    def mlflow_artifacts(self) -> Path:
        return self.home / "mlflow" / "artifacts"

    @property
    def prefect_home(self) -> Path:
        return self.state / "prefect"

    @property
    def clone(self) -> str:
        """A word for this clone's state folder on this machine, to tell its runs from those of others."""
        return f"clone-{hashlib.sha256(f'{platform.node()}:{self.state}'.encode()).hexdigest()[:8]}"

    def data(self, model: str) -> Path:
        return self.root / "data" / model


def find() -> Project:
    """The project that the working directory lies in. Raises RequestError outside of one."""
    here = Path.cwd().resolve()
    for folder in (here, *here.parents):
        if (folder / "dvc.yaml").is_file() and (folder / "models").is_dir():
            home = clone_of(folder)
            return Project(
                root=folder,
                state=(home / os.environ.get("RATCHET_STATE", ".ratchet")).resolve(),
                tracking=os.environ.get("RATCHET_TRACKING_URI", ""),
                prefect=os.environ.get("RATCHET_PREFECT_API_URL", ""),
                ledger=os.environ.get("RATCHET_LEDGER_URL", ""),
                clone_root=home if home != folder else None,
            )
    raise RequestError(
        f"{here} is not inside a Ratchet project: neither it nor a folder above it has dvc.yaml and models/.",
        "Change into your clone and run again.",
    )


def branch() -> str:
    """RATCHET_BRANCH: what scheduled runs follow; "" for the usual one."""
    return os.environ.get("RATCHET_BRANCH", "")


def shared() -> bool:
    """RATCHET_SHARED=1: others may read what the clone keeps, as far as the umask lets them."""
    return os.environ.get("RATCHET_SHARED", "") == "1"


def hooks() -> dict[str, str]:
    """RATCHET_WEBHOOK and RATCHET_HOOK, where they are set: an address and a command, both often secret."""
    found = {"RATCHET_WEBHOOK": os.environ.get("RATCHET_WEBHOOK"), "RATCHET_HOOK": os.environ.get("RATCHET_HOOK")}
    return {name: value for name, value in found.items() if value}


def token() -> str:
    """RATCHET_TOKEN: that of the person at the terminal, or ""."""
    return os.environ.get("RATCHET_TOKEN", "")


def alerts() -> list[str]:
    """RATCHET_ALERTS: addresses of mail, Slack and others that are told of events. Each holds a secret."""
    return os.environ.get("RATCHET_ALERTS", "").split()


def clone_of(folder: Path) -> Path:
    """The folder of the clone that `folder` is a worktree of; `folder` itself if it is none.

    git writes a file `.git` into a worktree: it names a folder of the clone's repository, whose `commondir` names that.
    """
    marker = folder / ".git"
    if not marker.is_file():
        return folder
    own = (folder / marker.read_text(encoding="utf-8").partition("gitdir:")[2].strip()).resolve()
    common = own / "commondir"
    if not common.is_file():  # a submodule
        return folder
    home = (own / common.read_text(encoding="utf-8").strip()).resolve().parent
    return home if (home / "dvc.yaml").is_file() else folder


def prepare() -> Project:
    """Enter the project: its folder becomes the working directory, its variables those of every child."""
    project = _entered(FOREIGN)
    os.environ.update(QUIET | SETTLED)
    logging.getLogger("mlflow").setLevel(SETTLED["MLFLOW_LOGGING_LEVEL"])  # it may have been imported before
    os.environ["PREFECT_HOME"] = str(project.prefect_home)
    return project


def join() -> Project:
    """Enter the project in a process that Prefect has started: Prefect's own variables are as it has set them."""
    project = _entered(tuple(prefix for prefix in FOREIGN if prefix != "PREFECT_"))
    os.environ.update({name: value for name, value in (QUIET | SETTLED).items() if not name.startswith("PREFECT_")})
    return project


@contextmanager
def variable(name: str, value: str) -> Iterator[None]:
    """An environment variable of this process and of those that it starts, while the block runs."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _make(folder: Path) -> None:
    """A folder of the state folder. Raises ShortageError if there can be none."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise shortage.of(error, [folder]) or ShortageError(
            f"The folder {folder} cannot be made: {error.strerror}.",
            "Move away the file in its place, or set RATCHET_STATE to another folder.",
        ) from error


def _entered(foreign: tuple[str, ...]) -> Project:
    project = find()
    os.chdir(project.root)
    if not project.prefect:  # our own server has a login of its own, and the children of a run have no use for it
        for name in OF_PREFECT:
            os.environ.pop(name, None)
    _never_by_proxy()
    if not shared():
        folder_rights.close(project)
    for folder in (project.state, project.state / "locks", project.state / "logs", project.prefect_home):
        _make(folder)
    for name in [name for name in os.environ if name.startswith(foreign) and name not in LOGINS]:
        del os.environ[name]
    os.environ["DVC_SITE_CACHE_DIR"] = str(project.state / "dvc")
    os.environ[hash_key.VARIABLE] = os.environ.get("RATCHET_HASH_KEY", str(project.state / hash_key.NAME))
    os.environ["RATCHET_TESTED"] = str(project.state / "tested")
    binaries, path = str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)
    if path.split(os.pathsep)[0] != binaries:
        os.environ["PATH"] = os.pathsep.join([binaries, path])
    return project


def _never_by_proxy() -> None:
    """Requests to servers of this machine, with their logins, never go to a proxy of the network."""
    given = os.environ.get("no_proxy", os.environ.get("NO_PROXY", ""))
    found = [part.strip() for part in given.split(",") if part.strip()]
    if "*" not in found:
        for name in ("no_proxy", "NO_PROXY"):
            os.environ[name] = ",".join([*found, *(host for host in HERE if host not in found)])
