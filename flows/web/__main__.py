"""The pages as a process of their own, until it is stopped.

    python -m flows.web --server http://127.0.0.1:8790 --port 8791

Once they can be opened their address is the one line on standard output. Exit status 2: the request is wrong.
"""

import argparse
import asyncio
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn

from flows.access import hosts
from flows.project import private_files
from flows.web.application import application
from flows.web.labelling import Labelling
from flows.web.overviewed import Overview
from flows.web.watch.kept import Watched
from pipelines.errors import IntegrityError, RatchetError, RequestError

CONNECTIONS = 100  # at once; one more is told to come back
SECONDS = 5  # for answers in flight when the process is to end


def main(
    arguments: list[str] | None = None,
    labelling: Labelling | None = None,
    watched: Watched | None = None,
    overviewed: Overview | None = None,
) -> int:
    parser = argparse.ArgumentParser("python -m flows.web", description="The pages of Ratchet.")
    parser.add_argument("--server", required=True, metavar="URL", help="of the answering server")
    parser.add_argument("--host", default="127.0.0.1", help="another one asks each person for a token")
    parser.add_argument("--port", type=int, default=0, help="0: one that is free")
    parser.add_argument("--token-file", type=Path, help="a private file with the token for the answering server")
    parser.add_argument("--allow-host", action="append", default=[], metavar="NAME", help="at which the pages are too")
    given = parser.parse_args(arguments)
    try:
        run(given.server, given.host, given.port, given.token_file, given.allow_host, labelling, watched, overviewed)
    except RatchetError as error:
        print(error, file=sys.stderr)
        return error.status
    return 0


def run(
    server: str,
    host: str,
    port: int,
    token_file: Path | None,
    allowed: list[str],
    labelling: Labelling | None = None,
    watched: Watched | None = None,
    overviewed: Overview | None = None,
) -> None:
    """Serve the pages until SIGTERM or SIGINT. Raises RequestError."""
    login = not hosts.is_loopback(host) or bool(allowed)
    if login and token_file:
        raise RequestError(
            f"Pages at {', '.join([host, *allowed])} would let everybody use the token of {token_file}.",
            "Leave --token-file out: each person is asked for a token.",
        )
    token = read_token(token_file) if token_file else ""
    app = application(
        checked(server), token, login, {host.lower(), *map(str.lower, allowed)}, labelling, watched, overviewed
    )
    with listening(host, port) as place:
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, date_header=False,
            limit_concurrency=CONNECTIONS, timeout_graceful_shutdown=SECONDS,
        )  # fmt: skip
        name = f"[{host}]" if ":" in host else host
        print(f"http://{name}:{place.getsockname()[1]}/", flush=True)
        asyncio.run(uvicorn.Server(config).serve([place]))


def checked(server: str) -> str:
    """The address of the answering server. Raises RequestError if it is none."""
    try:
        found = urlsplit(server)
        good = found.scheme in ("http", "https") and found.hostname and not found.query and not found.fragment
        found.port  # noqa: B018 (raises ValueError if it is none)
    except ValueError:
        good = False
    if not good:
        raise RequestError(f"--server is {server!r}.", "Give an address such as http://127.0.0.1:8790.")
    return server.rstrip("/")


def read_token(path: Path) -> str:
    """Raises IntegrityError if others may read or write the file, RequestError if it cannot be read."""
    try:
        if why := private_files.wrong(path):
            raise IntegrityError(f"The token file {path} {why}.", f"Make it yours alone: chmod 600 {path}")
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"The token file {path} cannot be read ({error}).", "Correct --token-file.") from error
    if not token.isprintable() or not token:
        raise RequestError(f"The token file {path} holds no token.", "`ratchet token NAME` prints one.")
    return token


def listening(host: str, port: int) -> socket.socket:
    """A socket that is heard at the address. Raises RequestError if it cannot be had."""
    if not 0 <= port < 1 << 16:
        raise RequestError(f"--port is {port}.", "Give a port from 1 to 65535, or 0 for a free one.")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise RequestError(
            f"The pages cannot be at {host}, port {port} ({error}).", "Choose another --port, or 0 for a free one."
        ) from error


if __name__ == "__main__":
    sys.exit(main())
