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
        new = [line for line in lines if line.action in (events.NOTICED, events.OVER) and line.sequence > heard["line"]]
        if not new:
            continue
        wrong, tries = one.send(body(model, new)), heard["tries"] + 1
        if wrong:
            notice(wrong if tries < TRIES else f"{wrong}; after {TRIES} times, it is not told again")
        given_up = not wrong or tries >= TRIES
        told.note(one.key, new[-1].sequence if given_up else heard["line"], 0 if given_up else tries)


def body(model: str, new: Sequence[Line]) -> dict[str, Any]:
    """What programs get. `what` is "over" where nothing new was noticed."""
    what = events.NOTICED if any(line.action == events.NOTICED for line in new) else events.OVER
    reason = "; ".join(line.reason for line in new[:MOST])
    about = {"format": 1, "what": what, "model": model, "outcome": what, "reason": reason}
    content = about | {"champion": new[-1].to_version, "events": [events.told(line) for line in new]}
    return dict(visible_text.every(content))


def _send_text(address: addresses.Address, content: dict[str, Any]) -> str:
    """The same for people."""
    shown = content["events"][:MOST]
    lines = [f"{'over: ' if one['action'] == events.OVER else ''}{one['said']}" for one in shown]
    lines += [f"and {len(content['events']) - MOST} more"] if len(content["events"]) > MOST else []
    lines += [f"`ratchet watch {content['model']}` shows more."]
    title = f"{content['model']}: {'noticed' if content['what'] == events.NOTICED else 'over'}"
    return addresses.send(address, title, "\n".join(lines))
