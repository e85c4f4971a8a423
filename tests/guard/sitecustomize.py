"""Loaded by every Python process that has this folder on PYTHONPATH: notes and refuses connections to the outside.

Each line of the file named by GUARD_LOG is "<kind> <process> <what>": loopback, outside, or the program of a child.
"""

import os
import sys

LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0")


def _note(kind: str, what: object) -> None:
    file = os.open(os.environ["GUARD_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, f"{kind} {os.getpid()} {what}\n".encode())
    os.close(file)


def _watch(event: str, arguments: tuple) -> None:
    if event == "subprocess.Popen":
        _note("program", os.path.basename(os.fsdecode(arguments[0])))
        return
    if event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        host = str(arguments[1][0])
    elif event == "socket.getaddrinfo" and arguments[0]:
        host = os.fsdecode(arguments[0])
    else:
        return
    if host.startswith(LOOPBACK):
        _note("loopback", host)
    else:
        _note("outside", host)
        raise PermissionError(f"the guard refuses {event} to {host}")


if "GUARD_LOG" in os.environ:
    sys.addaudithook(_watch)
