"""Labelling: what the page to label shows of a project, and what it does with a label.

A label is taken as any other (flows/labels/store.py), with the chance with which it was asked for. Who gave it is
noted in <state>/labels/<model>/given.jsonl, a line of JSON each: format, at, id, by.
"""

import getpass
import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import pyarrow as pa

from flows.access.tokens import Tokens
from flows.labels import events, store
from flows.project.environment import Project
from flows.records import ledger
from flows.records.champion_state import stand
from flows.rollout import to_label
from flows.rollout.to_label import Question, Wanted
from flows.web.labelling import Case, Told
from pipelines import model_file
from pipelines.errors import DataError, RequestError
from pipelines.model_file import Declaration

KEPT = timedelta(seconds=10)
ROLES = {"run", "approve", "manage"}  # of a token: a label decides about a promotion


@dataclass(frozen=True)
class Labelling:
    """As flows/web/labelling.py declares it."""

    project: Project
    _kept: dict[str, tuple[datetime, Declaration, Question]] = field(default_factory=dict)

    @cached_property
    def _tokens(self) -> Tokens:
        return Tokens(self.project.state)

    def person(self, token: str) -> str | None:
        """Whose token it is; None if it may not label. Without a token: the user of this machine."""
        if not token:
            return getpass.getuser()
        owner = self._tokens.owner(token)
        return owner.name if owner and ROLES & set(owner.roles) else None

    def case(self, model: str, after: str = "", row: str = "") -> Case:
        """The row to label: the first that is wanted, the one after the row `after`, or `row` itself."""
        declared, found = self._question(model)
        one = _named(found, row) or _next(found.wanted, after)
        about = Case(
            model,
            declared.data.kind,
            declared.data.target,
            found.classes,
            len(found.wanted),
            found.labelled,
            found.answered,
            shape=tuple(declared.data.shape or ()),
        )
        if one is None:
            return about
        kept = to_label.row_of(self.project.state, declared, one)
        return about.of(one.id, kept or {}, one in found.done)

    def take(self, model: str, wanted: str, label: str, person: str, now: datetime) -> Told:
        """Take a label. Raises RequestError for a row that is not asked for, DataError for a label that cannot be."""
        declared, found = self._question(model)
        one = _named(found, wanted)
        if one is None:
            raise RequestError("Nobody asks for the label of this row (any more).", "Go on with the next row.")
        if found.classes and label not in map(str, found.classes):
            raise DataError(f"{label[:80]!r} is no class of {model}.", "Choose one of the classes.")
        row = self._event(declared, one) | {"label": _typed(label, found.classes)}
        taken = store.add(
            self.project.state, declared, pa.Table.from_pylist([row]), taken=now, asked=one.asked, where="the page"
        )
        if taken.aside:
            raise DataError(f"The label was not taken: {', '.join(taken.aside)}.", "Go on with the next row.")
        self._note(model, one.id, person, now)
        self._kept.pop(model, None)
        return Told(one.id, label, one.said, one.differ)

    def _question(self, model: str) -> tuple[Declaration, Question]:
        """Kept for a few seconds: whoever passes over a row should not wait for the whole log to be read."""
        now = datetime.now(UTC)
        if model in self._kept and now - self._kept[model][0] < KEPT:
            return self._kept[model][1:]
        declared = model_file.check(model)
        standing = stand(ledger.of(self.project).lines(model))
        found = to_label.question(self.project.state, declared, standing, now)
        self._kept[model] = now, declared, found
        return declared, found

    def _event(self, declared: Declaration, one: Wanted) -> dict[str, Any]:
        """What names the event: the id of the answer, or the key columns of its row."""
        names = events.reader(declared).columns
        if not declared.labels.key:
            return {names[0]: one.id}
        row = to_label.row_of(self.project.state, declared, one) or {}
        if missing := [name for name in names if row.get(name) is None]:
            raise DataError(
                f"The log does not have {', '.join(missing)} of this row, which `labels: key:` needs.",
                "Label it by a file: `ratchet label`.",
            )
        return {name: row[name] for name in names}

    def _note(self, model: str, wanted: str, person: str, now: datetime) -> None:
        path = store.folder(self.project.state, model) / "given.jsonl"
        line = json.dumps({"format": 1, "at": now.isoformat(), "id": wanted, "by": person})
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, f"{line}\n".encode())
        finally:
            os.close(file)


def _named(found: Question, wanted: str) -> Wanted | None:
    return next((one for one in [*found.wanted, *found.done] if one.id == wanted), None)


def _next(wanted: list[Wanted], after: str) -> Wanted | None:
    """The row after one that was passed over; the first one again after the last."""
    names = [one.id for one in wanted]
    place = names.index(after) + 1 if after in names else 0
    return wanted[place % len(wanted)] if wanted else None


def _typed(label: str, classes: list[Any]) -> Any:
    if classes:
        return next(name for name in classes if str(name) == label)
    try:
        return float(label.replace(",", ".")) if label.strip() else None
    except ValueError as error:
        raise DataError(f"{label[:80]!r} is no number.", "Write it as 12.5.") from error
