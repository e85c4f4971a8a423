"""The form of a model of any kind, filled from an example or from what was sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from flows.web.answering import PROBLEM
from flows.web.form import fields, picture, series
from flows.web.form.fields import Field
from flows.web.posted import Posted

MOST_EXAMPLES = 50  # pictures that are looked at for their style


@dataclass(frozen=True)
class Entry:
    """A form and the raw row that it holds.

    place: of the example that it began with; examples: how many there are. fields: of a table. text: of a series, the
    rows as CSV. style, image: of pictures, what they look like and the one of the row (a PNG as base64, or "").
    problem: what is wrong with what was sent before any server is asked, as in problem details.
    """

    row: Any
    place: int
    examples: int
    fields: list[Field] = field(default_factory=list)
    text: str = ""
    style: picture.Style | None = None
    image: str = ""
    problem: Mapping[str, Any] = field(default_factory=dict)


def of_example(described: Mapping[str, Any], examples: Sequence[Any], place: int) -> Entry:
    """The form that an example fills; without examples the one that the server describes."""
    row = examples[place] if examples else described.get("example") or {}
    return _filled(described, examples, place, row)


def of_form(described: Mapping[str, Any], examples: Sequence[Any], sent: Posted) -> Entry:
    """The form as it was sent."""
    place = int(found) if (found := sent.text("example")).isdecimal() and len(found) < 9 else 0
    place = min(place, max(0, len(examples) - 1))
    if described["kind"] == "image":
        return _sent_picture(described, examples, place, sent)
    if described["kind"] == "table":
        return _filled(described, examples, place, fields.row_of(described, sent))
    try:
        row = {"rows": series.rows_of(described, sent.text("rows"))}
    except series.Unreadable as error:
        return Entry(None, place, len(examples), text=sent.text("rows"), problem=_problem(str(error)))
    return Entry(row, place, len(examples), text=sent.text("rows"))


def _filled(described: Mapping[str, Any], examples: Sequence[Any], place: int, row: Any) -> Entry:
    count = len(examples)
    if described["kind"] == "image":
        return _picture(described, examples, place, row)
    if described["kind"] == "table":
        return Entry(row, place, count, fields.fields(described, row))
    return Entry(row, place, count, text=series.text(row.get("rows", [])))


def _sent_picture(described: Mapping[str, Any], examples: Sequence[Any], place: int, sent: Posted) -> Entry:
    """A file goes before a drawing, and a drawing before the example."""
    example = of_example(described, examples, place)
    if sent.file:
        return _picture(described, examples, place, {"image": picture.encoded(sent.file)})
    if not sent.text("pixels"):
        return example
    try:
        drawn = picture.drawn(sent.text("pixels"), described["shape"])
    except (ValueError, RecursionError) as error:
        return Entry(example.row, place, len(examples), style=example.style, problem=_problem(str(error)))
    return _picture(described, examples, place, {"image": drawn})


def _picture(described: Mapping[str, Any], examples: Sequence[Any], place: int, row: Any) -> Entry:
    style = picture.style(described["shape"], _pictures(described, examples))
    found = picture.pixels(row.get("image"), described["shape"])
    image = "" if found is None else picture.to_look_at(found, style.most)
    return Entry(row, place, len(examples), style=style, image=image)


def _pictures(described: Mapping[str, Any], examples: Sequence[Any]) -> list[np.ndarray]:
    found = (picture.pixels(row.get("image"), described["shape"]) for row in examples[:MOST_EXAMPLES])
    return [one for one in found if one is not None]


def _problem(detail: str) -> dict[str, Any]:
    return PROBLEM | {"title": "The row cannot be read", "detail": detail}
