"""The answering server as a process: python -m flows.serving STATE [MODEL ...] [--port PORT]

It reads STATE/serving and writes STATE/answers. It ends in order with SIGTERM or SIGINT, and then with status 0.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from flows.serving.engine import live_file
from flows.serving.server.process import Options, listen, run
from pipelines import visible_text
from pipelines.errors import RatchetError
from pipelines.readers import hash_key


def main(words: list[str]) -> None:
    given = _parsed(words)
    options = Options(
        state=given.state.absolute(),
        models=tuple(given.models),
        host=given.host,
        port=given.port,
        workers=given.workers,
        log=not given.no_log,
        allowed=tuple(given.allow_host),
    )
    os.environ.setdefault(hash_key.VARIABLE, str(options.state / hash_key.NAME))
    try:
        door = listen(options)
        print(_said(options, door.getsockname()[1], given.json), flush=True)
        run(options, door)
    except RatchetError as error:
        text = visible_text.line(str(error))
        if given.json:
            print(json.dumps({"format": 1, "error": text, "status": error.status}), flush=True)
        print(f"error: {text}", file=sys.stderr, flush=True)
        sys.exit(error.status)


def _parsed(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m flows.serving", description="Answer raw rows over HTTP.")
    parser.add_argument("state", type=Path, metavar="STATE", help="the state folder, .ratchet/ of a clone")
    parser.add_argument("models", nargs="*", metavar="MODEL", help="default: all that have a live version")
    parser.add_argument("--host", default="127.0.0.1", help="another one needs a token (`ratchet token NAME`)")
    parser.add_argument("--port", type=_port, default=0, help="default: any that is free")
    parser.add_argument("--workers", type=int, choices=range(1, 65), default=1, metavar="N", help="processes")
    parser.add_argument("--no-log", action="store_true", help="keep no answered rows")
    parser.add_argument("--allow-host", action="append", default=[], metavar="NAME", help="a name of this server")
    parser.add_argument("--json", action="store_true", help="say in one JSON object what is served")
    return parser.parse_args(words)


def _port(text: str) -> int:
    if not 0 <= (port := int(text)) <= 65_535:
        raise argparse.ArgumentTypeError(f"{text} is no port: they are 0 to 65535")
    return port


def _said(options: Options, port: int, as_json: bool) -> str:
    """Where the server listens, and what is live, as the files of the state say."""
    name = f"[{options.host}]" if ":" in options.host else options.host
    url = f"http://{name}:{port}"
    models = [_live(options.state, name) for name in options.models or live_file.models(options.state / "serving")]
    if as_json:
        about = {"format": 1, "url": url, "pid": os.getpid(), "workers": options.workers, "log": options.log}
        return json.dumps(about | {"models": models})
    workers = f", {options.workers} workers" if options.workers > 1 else ""
    lines = [f"Ratchet answers at {url} (process {os.getpid()}{workers}). Stop it with Ctrl-C or SIGTERM."]
    for model in models:
        live = [f"version {model['version']} ({_by(model)})"] if model["version"] else []
        if told := live + [model["problem"]] * bool(model["problem"]):
            lines.append(f"  {model['model']:<16} {'; '.join(told)}")
    if waiting := [model["model"] for model in models if not model["version"] and not model["problem"]]:
        lines.append(f"  no champion yet: {', '.join(waiting)}; each is served when it has one")
    if not models:
        lines.append("  no model is live yet: each is served when it has a champion")
    return visible_text.lines("\n".join(lines))


def _by(model: dict[str, Any]) -> str:
    """What answers."""
    return ", ".join(filter(None, [model["served_as"], model["runtime"]]))


def _live(state: Path, model: str) -> dict[str, Any]:
    try:
        told = live_file.read(state / "serving" / model)
        version, problem = told.version, told.problem
    except (RatchetError, OSError) as error:
        version, problem = None, "" if isinstance(error, FileNotFoundError) else str(error)
    return {
        "model": model,
        "version": version.number if version else None,
        "served_as": version.variant if version else "",
        "runtime": version.runtime if version else "",
        "problem": problem,
    }


if __name__ == "__main__":
    main(sys.argv[1:])
