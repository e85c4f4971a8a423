"""A Prefect server in this process, on loopback: python -m flows.servers.prefect_app DOOR LOGIN [LIFELINE]

DOOR: the descriptor of a listening socket. So no other program can take the port, and receive the login, before the
server starts. LOGIN: the file with the secret (flows/servers/prefect_login.py); no command line and no environment
shows it to other processes. With a lifeline the server ends with the run that started it. Without one it runs until
`ratchet down`.
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
        "PREFECT_UI_API_URL": "/api",  # relative: a browser may use another name and port, as with `ssh -L`
    }
    import uvicorn
    from prefect.server.api.server import create_app

    from flows.servers.prefect_guard import Guard

    config = uvicorn.Config(Guard(create_app(), secret), log_level="error", lifespan="on", timeout_keep_alive=30)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main(*sys.argv[1:])
