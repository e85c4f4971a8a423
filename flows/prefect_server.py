"""A Prefect server in this process, on loopback: python -m flows.prefect_server PORT [LIFELINE]

With a lifeline it ends with the run that started it; without, it runs until it is told to stop (`ratchet down`).
"""

import sys

from pipelines import lifeline


def main(port: str, pipe: str = "") -> None:
    lifeline.follow(pipe)
    import uvicorn

    uvicorn.run(
        "prefect.server.api.server:create_app",
        factory=True,
        host="127.0.0.1",
        port=int(port),
        log_level="error",
        lifespan="on",
        timeout_keep_alive=30,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
