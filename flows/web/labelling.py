"""What the page to label asks of whoever knows the project's rows: these pages know none of it themselves."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True)
class Case:
    """A row to label, and how far one is. row: the columns as they were kept, without sensitive ones; id "": nothing is
    asked for. classes: to choose from; [] for a number. again: it has a label already."""

    model: str
    kind: str
    target: str
    classes: list[Any]
    wanted: int = 0
    labelled: int = 0
    answered: int = 0
    shape: tuple[int, ...] = ()
    id: str = ""
    row: Mapping[str, Any] = field(default_factory=dict)
    again: bool = False

    def of(self, name: str, row: Mapping[str, Any], again: bool) -> "Case":
        return replace(self, id=name, row=row, again=again)


@dataclass(frozen=True)
class Told:
    """A label that was taken, and only now what each version had answered."""

    id: str
    label: str
    said: Mapping[int, Any]
    differ: bool


class Labelling(Protocol):
    def person(self, token: str) -> str | None:
        """The name of whoever labels; None if the token may not."""

    def case(self, model: str, after: str = "", row: str = "") -> Case:
        """Raises RequestError for a model that there is not."""

    def take(self, model: str, wanted: str, label: str, person: str, now: datetime) -> Told:
        """Raises RequestError or DataError if the label is not taken."""
