"""Run one stage: python -m pipelines STAGE MODEL

This is the command of every stage in dvc.yaml. It checks the model's whole YAML, runs the stage, and reports a failure
in one paragraph on standard error (with RATCHET_DEBUG=1 also a traceback). Exit status: 0 done, 1 failed, 2 the request
was wrong.

`ratchet run` sets four variables. RATCHET_STAGE_LOG: the file for output instead of the terminal; the kind of an error
and its paragraph go to the same path with `.error` added. RATCHET_LIFELINE: a pipe that closes when the run dies; then
the stage ends too. RATCHET_WARM: the folder of processes with the stage's imports (process/fork_server.py).
RATCHET_TESTED: the folder that notes whose test metrics can be read (model/used_rows.py).

The stage is sealed: it fails if a file that it depends on changes before it ends. So nothing that it depends on is
imported here at the top.
"""

import contextlib
import importlib
import os
import re
import sys
import traceback
from pathlib import Path

from pipelines.process import fork_server, lifeline, seal

INTERRUPTED = 130  # the exit status of a command that was stopped with Ctrl-C
SECRETS = (  # variables that a run needs, but no stage: a model's own code and its children never see them
    *("PREFECT_API_AUTH_STRING", "PREFECT_API_KEY", "RATCHET_HOOK", "RATCHET_LEDGER_URL", "RATCHET_WEBHOOK"),
    *("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME"),
)


def main(arguments: list[str]) -> int:
    for name in SECRETS:
        os.environ.pop(name, None)
    log = os.environ.get("RATCHET_STAGE_LOG", "")
    try:
        if log:
            lifeline.redirect(log)
        lifeline.follow(os.environ.get("RATCHET_LIFELINE"))
        stage, model = _parse(arguments)
        sealed = seal.Seal(stage, model)
        if not log:  # `ratchet run` has checked it already
            importlib.import_module("pipelines.model_file").check(model)
        try:
            importlib.import_module(f"pipelines.{stage}").run(model)
        finally:  # report a changed file first, whatever the result
            sealed.check()
        if stage == "evaluate":
            importlib.import_module("pipelines.model.used_rows").note(model)
    except Exception as error:
        return _tell(error, log)
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _parse(arguments: list[str]) -> tuple[str, str]:
    stages = seal.stages()
    if len(arguments) == 2 and arguments[0] in stages and re.fullmatch(r"\w+", arguments[1]):
        return arguments[0], arguments[1]
    from pipelines.config.settings import check_name
    from pipelines.config.words import nearest
    from pipelines.errors import RequestError

    if len(arguments) != 2:
        raise RequestError("Run a stage with: python -m pipelines STAGE MODEL.")
    if arguments[0] in stages:
        check_name(arguments[1])  # before any path is made from the name
    raise RequestError(f"There is no stage {arguments[0]!r}{nearest(arguments[0], stages)}.")


def _tell(error: Exception, log: str) -> int:
    from pipelines import visible_text
    from pipelines.errors import RatchetError
    from pipelines.safety import shortage

    told = error if isinstance(error, RatchetError) else shortage.of(error, [Path("data")])
    if os.environ.get("RATCHET_DEBUG") == "1" or (log and told is None):
        traceback.print_exception(error)
    error = told or error
    paragraph = str(error) if isinstance(error, RatchetError) else visible_text.line(_unforeseen(error))
    with contextlib.suppress(OSError):  # a full disk cannot take the error: the run checks the disk itself
        if log:
            Path(f"{log}.error").write_text(f"{type(error).__name__}\n{paragraph}", encoding="utf-8")
        print(f"error: {paragraph}", file=sys.stderr, flush=True)
    return error.status if isinstance(error, RatchetError) else 1


def _unforeseen(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename or 'no file named'}."
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return f"{what}. This is a bug: put RATCHET_DEBUG=1 before the same command to see where it happened."


def anywhere(arguments: list[str]) -> int:
    """The stage in a child of a warm process, or in this one."""
    try:
        known = bool(arguments) and arguments[0] in seal.stages()
        status = fork_server.ask(arguments[0], "pipelines.__main__", arguments) if known else None
    except KeyboardInterrupt:  # while it waits for one
        return INTERRUPTED
    return main(arguments) if status is None else status


if __name__ == "__main__":
    sys.exit(anywhere(sys.argv[1:]))
