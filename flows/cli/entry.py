"""The `ratchet` command from its first moment: signals end it in order while it still imports the rest."""

import sys
from typing import NoReturn

from flows.cli import terminate
from flows.processes import stopping


def main() -> None:
    """Run the command that the command line names."""
    try:
        with terminate.listening() as stopped:
            _run(stopped)
    finally:
        terminate.at_the_end()


def _run(stopped: terminate.Listener) -> None:
    try:
        from flows.cli import app

        app.main()
    except KeyboardInterrupt as error:
        _tell(error)
    except SystemExit as end:
        if not stopped.number:
            raise
        stop = stopping.found(end.__context__)  # which typer has made a status of; or nobody has heard of it
        if stop is None or not stop.told:
            _tell(stop or stopping.Stopped(stopped.number))
        sys.exit(terminate.status(stopped.number))


def _tell(stop: KeyboardInterrupt) -> NoReturn:
    text, status = terminate.words(stop)
    print(text, file=sys.stderr, flush=True)
    sys.exit(status)
