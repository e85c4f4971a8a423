"""Serve the version in this folder: every file is compared with manifest.json, then the server starts.

python serve.py                     on this machine alone, at http://127.0.0.1:8000
python serve.py --new-token NAME    make a token, for a caller on another machine
python serve.py --host 0.0.0.0      for other machines too; each request needs a token then
"""

import argparse
import hashlib
import json
import os
import runpy
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

HERE = Path(__file__).resolve().parent
TOKENS = HERE / "tokens.json"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def main(words: Sequence[str]) -> None:
    """words: the command line. Ends the process with status 2 and a sentence if this folder cannot serve."""
    given = _parsed(words)
    if given.healthy:
        sys.exit(0 if is_healthy(given.port) else 1)
    if wrong := differing(HERE):
        _refuse(f"{wrong} Nothing was started. Take the folder anew from where it was written.")
    sys.path.insert(0, str(HERE))
    with tempfile.TemporaryDirectory(prefix="ratchet-package-") as name:
        state = Path(name)
        if given.tokens.is_file():
            _copy_private(given.tokens, state / "tokens.json")
        if given.new_token:
            _make_token(state, given.new_token, given.tokens)
        elif given.host in LOOPBACK or given.tokens.is_file():
            _serve(state, given)
        else:
            _refuse(
                f"Other machines reach {given.host}, and {given.tokens} has no tokens: anybody could ask. "
                "Make one with `python serve.py --new-token NAME`, or leave --host away."
            )


def _parsed(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python serve.py", description="Serve the version in this folder.")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0: other machines too, with tokens")
    parser.add_argument("--port", type=int, default=8000, help="default: %(default)s")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes that answer, one for each core")
    parser.add_argument("--allow-host", action="append", default=[], metavar="NAME", help="a name of this server")
    parser.add_argument("--tokens", type=Path, default=TOKENS, metavar="FILE", help="default: tokens.json beside this")
    parser.add_argument("--new-token", metavar="NAME", help="make a token for a caller of this name, and end")
    parser.add_argument("--healthy", action="store_true", help="ask whether the server at --port lives, and end")
    return parser.parse_args(words)


def _serve(state: Path, given: argparse.Namespace) -> None:
    """Run the server in this process until it is ended. It may write to `state`: this folder may be read-only."""
    (state / "serving").mkdir()
    for model in (HERE / "serving").iterdir():
        (state / "serving" / model.name).symlink_to(model)
    options = {"--host": given.host, "--port": str(given.port), "--workers": str(given.workers)}
    words = [word for option in options.items() for word in option]
    names = [word for name in given.allow_host for word in ("--allow-host", name)]
    sys.argv = ["serve.py", str(state), "--no-log", *words, *names]
    runpy.run_module("flows.serving", run_name="__main__")


def differing(folder: Path) -> str:
    """Which file of the folder is not as manifest.json has recorded it, in a sentence; "" if all are."""
    files = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]
    for name, recorded in files.items():
        path = folder / name
        if not path.is_file():
            return f"The file {name} is missing."
        if hashlib.sha256(path.read_bytes()).hexdigest() != recorded:
            return f"The file {name} is not the one that was packaged."
    return ""


def is_healthy(port: int) -> bool:
    """Whether a server on this machine answers that it lives."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _make_token(state: Path, name: str, file: Path) -> None:
    from flows.access import tokens
    from pipelines.errors import RatchetError

    try:
        text = tokens.add(state, name, [tokens.ROLES[0]])
    except RatchetError as error:
        _refuse(f"{error.what} The tokens are in {file}: take another name, or delete the entry there first.")
    _copy_private(state / "tokens.json", file)
    print(f"{text}\n\nThis is the token of {name}: keep it, it is not shown again. Its hash is in {file}.")


def _copy_private(source: Path, target: Path) -> None:
    """The server takes no tokens from a file that others can read, and a mounted secret is such a file."""
    target.unlink(missing_ok=True)
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(source.read_bytes())


def _refuse(text: str) -> NoReturn:
    print(f"error: {text}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
