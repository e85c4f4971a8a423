"""A Prefect server in this process, on loopback: python -m flows.servers.prefect_app DOOR LOGIN [LIFELINE]

DOOR: the descriptor of a listening socket. So no other program can take the port, and receive the login, before the
server starts. LOGIN: the file with the secret (flows/servers/prefect_login.py); no command line and no environment
shows it to other processes. With a lifeline the server ends with the run that started it. Without one it runs until
`ratchet down`.

Its database is made here the first time: the libraries that this needs are those of the server.
"""

import asyncio
import os
import socket
import sys
import traceback
from pathlib import Path

from flows.project import databases, environment
from flows.servers import prefect_login
from pipelines.process import lifeline


def main(door: str, login: str, pipe: str = "") -> None:
    lifeline.follow(pipe)
    secret, listening = prefect_login.read(Path(login)), socket.socket(fileno=int(door))
    os.environ |= {
        "PREFECT_SERVER_API_AUTH_STRING": secret,
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"http://127.0.0.1:{listening.getsockname()[1]}",
        "PREFECT_UI_API_URL": "/api",  # relative: a browser may use another name and port, as with `ssh -L`
    }
    import uvicorn
    from prefect.server.api.server import create_app

    from flows.servers.prefect_guard import Guard

    databases.make_prefect(environment.find(), lambda url: _in_a_child(url, pipe))
    config = uvicorn.Config(Guard(create_app(), secret), log_level="error", lifespan="on", timeout_keep_alive=30)
    uvicorn.Server(config).run(sockets=[listening])


def _in_a_child(url: str, pipe: str) -> None:
    """Make Prefect's tables in the empty database at `url`; if that fails, this process ends. The log has the reason.

    In a child, because Prefect keeps the first database that a process has opened.
    """
    if (child := os.fork()) == 0:
        status = 1
        try:
            lifeline.follow(pipe)  # threads do not come along
            _migrate(url)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    if os.waitpid(child, 0)[1]:
        sys.exit(1)  # without a word: the last line of the log is the reason


def _migrate(url: str) -> None:
    from prefect.server.database.alembic_commands import alembic_upgrade
    from prefect.settings import PREFECT_SERVER_DATABASE_CONNECTION_URL, temporary_settings
    from prefect.utilities.asyncutils import run_sync_in_worker_thread

    with temporary_settings({PREFECT_SERVER_DATABASE_CONNECTION_URL: url}):
        asyncio.run(run_sync_in_worker_thread(alembic_upgrade))  # as Prefect's own command does


if __name__ == "__main__":
    main(*sys.argv[1:])
