"""The GPU queue: trainings on one GPU take turns, whichever user and project they belong to.

A training takes all its devices in one step or none, so no two block each other. Trainings that wait form a queue.
Devices and places in the queue are locks of the whole machine (host_locks.py), one file each. The kernel frees them at
once when a process is killed.
"""

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines.errors import RequestError
from pipelines.hardware import host_locks
from pipelines.hardware.host_locks import Locks

FOLDER = Path("/tmp/ratchet-gpus")  # noqa: S108  # fixed: TMPDIR may be a user's own
LOOK = 0.2  # seconds between two looks at the queue
TODAY = 12 * 3600  # seconds: a time within them is shown without its day
Names = Mapping[str, str]  # a device's name for people


@dataclass(frozen=True)
class Wish:
    """A training wants `count` of `devices`, the first ones first."""

    devices: list[str]
    count: int
    label: str = ""  # such as: the training of churn

    def note(self) -> dict[str, Any]:
        who = {"label": self.label, "pid": os.getpid(), "since": time.time()}
        return {"format": 1, **who, "devices": self.devices, "count": self.count}


@contextmanager
def turn(
    devices: list[str],
    count: int,
    label: str,
    say: Callable[[str], None],
    folder: Path | None = None,
    names: Names | None = None,
) -> Iterator[list[str]]:
    """Hold the first `count` free devices (UUIDs); yields them in the order of `devices`.

    If too few are free, says once why, and waits. First come, first served: a later training passes an earlier one
    only with devices that the earlier one cannot use, so every turn comes. The price: a free device stays reserved for
    an earlier training that waits for more. A process that holds a turn must not ask for another, and processes that
    need each other, such as the workers of one training, must not each ask for one: two such trainings can block each
    other. Raises RequestError if there are not `count` devices, RatchetError if the folder cannot be used.
    """
    called = {device: (names or {}).get(device, device) for device in devices}
    if not 0 < count <= len(called):
        there = ", ".join(called.values()) or "none"
        raise RequestError(f"{count} GPUs are declared, and only these can be used: {there}.", "Declare fewer.")
    with ExitStack() as held:
        yield _wait(folder or FOLDER, Wish(list(called), count, label), say, called, held)


def holders(devices: list[str], folder: Path | None = None) -> dict[str, str]:
    """Who uses each device that is in use, in words."""
    place = folder or FOLDER
    if not place.exists():
        return {}
    with host_locks.gate(place) as locks:
        return {device: _told(locks.note(device)) for device in devices if locks.held(device)}


def _wait(place: Path, wish: Wish, say: Callable[[str], None], called: Names, held: ExitStack) -> list[str]:
    """Wait for the turn of this wish; returns the devices. `held` then holds them."""
    number = 0  # its place in the queue; 0 outside it
    with ExitStack() as standing:
        while True:
            with host_locks.gate(place) as locks:
                queue = _queue(locks)
                earlier = [queue[other] for other in sorted(queue) if not number or other < number]
                free = [device for device in wish.devices if not locks.held(device)]
                if taken := served([*earlier, wish], free):
                    for device in taken:
                        held.callback(os.close, locks.take(device, wish.note()))
                    if number:
                        locks.remove(_name(number))
                    return taken
                words = "" if number else _reasons(locks, wish, earlier, free, called)
                if not number:
                    number = _last(locks) + 1
                    standing.callback(os.close, locks.take(_name(number), wish.note()))
            if words:  # outside of the gate: it may take its time
                say(words)
            time.sleep(LOOK)


def served(wishes: list[Wish], free: list[str]) -> list[str]:
    """The free devices that the last wish may take; none if it must wait.

    Earlier wishes take first. If one of them must wait, the devices that it could use are reserved for it.
    """
    left, taken = set(free), list[str]()
    for wish in wishes:
        could = [device for device in wish.devices if device in left]
        taken = could[: wish.count] if len(could) >= wish.count else []
        left -= set(taken or could)
    return taken


def _reasons(locks: Locks, wish: Wish, earlier: list[Wish], free: list[str], called: Names) -> str:
    """Why this wish waits."""
    found = []
    for device in wish.devices:
        before = [other.label for other in earlier if device in other.devices]
        if device not in free:
            found.append(f"{called[device]} is used by {_told(locks.note(device))}")
        elif before:
            found.append(f"{called[device]} is reserved for {before[0]}, which waits too")
    return f"{', '.join(found)}: waiting"


def _told(note: dict[str, Any]) -> str:
    """Who took the lock, and when. Any user can write such a note, so it is not trusted."""
    try:
        since = datetime.fromtimestamp(float(note["since"]), UTC)
        form = "%H:%M UTC" if time.time() - since.timestamp() < TODAY else "%Y-%m-%d %H:%M UTC"
        return f"{_printable(note['label'])} since {since.strftime(form)} (process {int(note['pid'])})"
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return "another process"


def _printable(text: Any) -> str:
    return "".join(letter for letter in str(text)[:100] if letter.isprintable())


# ------------------------------------------------------------------ the queue


def _name(number: int) -> str:
    return f"waits-{number}"


def _numbers(locks: Locks) -> list[int]:
    return [int(found[1]) for name in locks.names() if (found := re.fullmatch(r"waits-(\d{1,15})", name))]


def _last(locks: Locks) -> int:
    return max(_numbers(locks), default=0)


def _queue(locks: Locks) -> dict[int, Wish]:
    """The waiting trainings, by number. Removes the files of dead ones."""
    found = {}
    for number in _numbers(locks):
        if not locks.held(_name(number)):
            locks.remove(_name(number))
        elif wish := _wish(locks.note(_name(number))):
            found[number] = wish
    return found


def _wish(note: dict[str, Any]) -> Wish | None:
    try:
        return Wish([str(device) for device in note["devices"]], int(note["count"]), _printable(note["label"]))
    except (KeyError, TypeError, ValueError):
        return None
