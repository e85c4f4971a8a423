"""Alerts: who is told that an event began, and that it is over, once each.

For each receiver a file says up to which line of the ledger it was told. It is written after the message was taken: of
a watch that is killed between the two, the next one sends again. A receiver that fails is told again by the next watch,
TRIES times. One that is new hears of nothing that was noticed before.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from flows.monitoring import events
from flows.project import environment, private_files
from flows.project.environment import Project
from flows.records.ledger import Line
from flows.report.receivers import addresses, hooks
from pipelines import visible_text

TRIES = 50
MOVED = {  # actions, as they are told
    "accepted": "promoted", "rejected": "rejected", "rolled back": "rolled back", "waits": "waits"
}  # fmt: skip
MOST = 20  # events in the text of a message; the body for programs has all of them
Send = Callable[[dict[str, Any]], str]


@dataclass(frozen=True)
class Receiver:
    """key: by which it is known the next time. send: gives it a body; returns why that failed, or ""."""

    key: str
    send: Send


class Told:
    """Up to which line each receiver was told."""

    def __init__(self, project: Project, model: str):
        self._path = project.state / "watch" / model / "told.json"

    def read(self) -> dict[str, dict[str, int]]:
        try:
            return dict(json.loads(self._path.read_text(encoding="utf-8"))["receivers"])
        except (OSError, ValueError, KeyError):
            return {}

    def note(self, key: str, line: int, tries: int = 0) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        receivers = self.read() | {key: {"line": line, "tries": tries}}
        private_files.write(self._path, {"format": 1, "receivers": receivers})


def receivers(project: Project, notice: Callable[[str], None]) -> list[Receiver]:
    """The hooks and the addresses of this machine. notice: called with what is wrong with them."""
    found = [Receiver(name, partial(hooks.send, project, name, target)) for name, target in environment.hooks().items()]
    given, wrong = addresses.found(project)
    for one in wrong:
        notice(one)
    return found + [Receiver(one.key, partial(_send_text, one)) for one in given]


def ready(project: Project, model: str, lines: Sequence[Line], found: Sequence[Receiver]) -> None:
    """Before events are written: receivers that are new hear of what comes from now on."""
    told = Told(project, model)
    known, last = told.read(), lines[-1].sequence if lines else 0
    for one in found:
        if one.key not in known:
            told.note(one.key, last)


def tell(
    project: Project, model: str, lines: Sequence[Line], found: Sequence[Receiver], notice: Callable[[str], None]
) -> None:
    """Tell each receiver what it has not heard. notice: called with what failed."""
    told = Told(project, model)
    for one in found:
        heard = told.read().get(one.key, {"line": 0, "tries": 0})
        new = [line for line in lines if line.sequence > heard["line"] and (_is_event(line) or _is_move(line))]
        if not new:
            continue
        wrong, tries = _sent(one, bodies(model, new)), heard["tries"] + 1
        if wrong:
            notice(wrong if tries < TRIES else f"{wrong}; after {TRIES} times, it is not told again")
        given_up = not wrong or tries >= TRIES
        told.note(one.key, new[-1].sequence if given_up else heard["line"], 0 if given_up else tries)


def _sent(receiver: Receiver, contents: Sequence[dict[str, Any]]) -> str:
    """Why one of these was not taken; the rest is not sent then."""
    return next(filter(None, map(receiver.send, contents)), "")


def _is_event(line: Line) -> bool:
    return line.action in (events.NOTICED, events.OVER)


def _is_move(line: Line) -> bool:
    """What a trial, or a champion that was worse, came to. What the gate decides is told by its run."""
    return line.actor == events.MONITOR and line.action in MOVED


def bodies(model: str, new: Sequence[Line]) -> list[dict[str, Any]]:
    """What programs get: each move of the champion as that of a run, and one object for all events."""
    found = [_move(line) for line in new if _is_move(line)]
    noticed = [line for line in new if _is_event(line)]
    return [dict(visible_text.every(one)) for one in [*found, *([_events(model, noticed)] if noticed else [])]]


def _move(line: Line) -> dict[str, Any]:
    about = {"format": 1, "what": MOVED[line.action], "model": line.model, "outcome": line.action}
    return about | {"reason": line.reason, "version": line.version, "champion": line.to_version}


def _events(model: str, new: Sequence[Line]) -> dict[str, Any]:
    """`what` is "over" where nothing new was noticed."""
    what = events.NOTICED if any(line.action == events.NOTICED for line in new) else events.OVER
    reason = "; ".join(line.reason for line in new[:MOST])
    about = {"format": 1, "what": what, "model": model, "outcome": what, "reason": reason}
    return about | {"champion": new[-1].to_version, "events": [events.told(line) for line in new]}


def _send_text(address: addresses.Address, content: dict[str, Any]) -> str:
    """The same for people."""
    told = content.get("events", [])
    lines = [f"{'over: ' if one['action'] == events.OVER else ''}{one['said']}" for one in told[:MOST]]
    lines += [f"and {len(told) - MOST} more"] if len(told) > MOST else []
    lines = lines or [f"version {content['version']}: {content['reason']}"]
    text = "\n".join([*lines, f"`ratchet watch {content['model']}` shows more."])
    return addresses.send(address, f"{content['model']}: {content['what']}", text)
