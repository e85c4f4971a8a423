"""A Prefect server in this process, on loopback: python -m flows.servers.prefect_app DOOR LOGIN [LIFELINE]

DOOR: the number of an open file, a socket that listens. So nobody else can have taken the port, and be sent the login,
between its choice and the start. LOGIN: the file with the secret (flows/servers/prefect_login.py), which is on no
command line and in no environment that another process could see. With a lifeline the server ends with the run that
started it; without, it runs until it is told to stop (`ratchet down`).
"""

import os
import socket
import sys
from pathlib import Path

from flows.servers import prefect_login
from pipelines.process import lifeline


def main(door: str, login: str, pipe: str = "") -> None:
    lifeline.follow(pipe)
    secret, listening = prefect_login.read(Path(login)), socket.socket(fileno=int(door))
    os.environ |= {
        "PREFECT_SERVER_API_AUTH_STRING": secret,
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"http://127.0.0.1:{listening.getsockname()[1]}",
        "PREFECT_UI_API_URL": "/api",  # of whatever name and port a browser has come by, as with `ssh -L`
    }
    import uvicorn
    from prefect.server.api.server import create_app

    from flows.servers.prefect_guard import Guard

    config = uvicorn.Config(Guard(create_app(), secret), log_level="error", lifespan="on", timeout_keep_alive=30)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main(*sys.argv[1:])
