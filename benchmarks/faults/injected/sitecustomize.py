"""Loaded by every Python process that has this folder on PYTHONPATH: something happens at one named point.

FAULT_POINT     module:attribute, such as flows.promotion.decide:_record or dvc.stage:Stage.commit
FAULT_WHEN      before or after that call
FAULT_CALLER    the function that calls it; empty for any
FAULT_COUNT     which of these calls of the process it is, from 1
FAULT_PROCESS   words that the command line of the process must hold
FAULT_ACTION    kill (the default), term, int, "no room" or full
FAULT_SPARE     1: the process itself lives on, only the run dies
FAULT_MARK      a file that is made first: nothing happens twice
FAULT_FILLER    a file that "full" makes as large as its disk lets it

kill: with the process dies the run that it works for, whose number is in the name of its lifeline. Both by SIGKILL.
term, int: that run gets the signal, of Ctrl-C its whole group. no room: the call fails as on a full disk.
"""

import errno
import functools
import importlib.util
import os
import signal
import sys
import time
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any


def _act() -> None:
    try:
        mark = os.open(os.environ["FAULT_MARK"], os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    except FileExistsError:
        return
    os.write(mark, " ".join(sys.orig_argv).encode())
    os.close(mark)
    pipe = Path(os.environ.get("RATCHET_LIFELINE", "")).stem  # run-<pid>
    run = int(pipe.partition("-")[2]) if pipe else os.getpid()
    action = os.environ.get("FAULT_ACTION", "kill")
    if action == "no room":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.environ["FAULT_FILLER"])
    if action == "full":
        _fill(os.environ["FAULT_FILLER"])
    elif action == "kill":
        for victim in [run] * bool(pipe) + [os.getpid()] * (os.environ["FAULT_SPARE"] != "1"):
            os.kill(victim, signal.SIGKILL)
    else:
        (os.killpg if action == "int" else os.kill)(run, signal.SIGINT if action == "int" else signal.SIGTERM)
        time.sleep(1)  # that it comes while this step is at work


def _fill(path: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT)
    for size in (1 << 20, 1 << 12, 1):
        try:
            while os.write(file, bytes(size)) == size:
                pass
        except OSError:
            continue
    os.close(file)


def _wrapped(function: Any) -> Any:
    left, caller = int(os.environ["FAULT_COUNT"]), os.environ["FAULT_CALLER"]

    @functools.wraps(function)
    def wrapper(*arguments: Any, **named: Any) -> Any:
        nonlocal left
        left -= caller in ("", sys._getframe(1).f_code.co_name)
        due = left == 0
        if due and os.environ["FAULT_WHEN"] == "before":
            _act()
        result = function(*arguments, **named)
        if due and os.environ["FAULT_WHEN"] == "after":
            _act()
        return result

    return wrapper


class _Finder(MetaPathFinder):
    """Wraps the attribute as soon as its module has been imported."""

    def __init__(self, module: str, attribute: str):
        self._module, self._path, self._busy = module, attribute.split("."), False

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != self._module or self._busy:
            return None
        self._busy = True  # the finders behind this one are asked through the same door
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._busy = False
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module
            spec.loader.exec_module = lambda module: (run(module), self._wrap(module))  # type: ignore[method-assign]
        return spec

    def _wrap(self, module: Any) -> None:
        *folders, last = self._path
        for name in folders:
            module = getattr(module, name)
        setattr(module, last, _wrapped(getattr(module, last)))


if "FAULT_POINT" in os.environ and os.environ["FAULT_PROCESS"] in " ".join(sys.orig_argv):
    sys.meta_path.insert(0, _Finder(*os.environ["FAULT_POINT"].split(":")))
