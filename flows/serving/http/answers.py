"""The bodies of answers, and the ids of answered rows."""

import itertools
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any

import orjson

from flows.serving.answer import Answer
from flows.serving.engine.live import Answered
from flows.serving.version import Version

ALWAYS = ("prediction", "probabilities", "unknown")
KINDS = tuple(
    (one.name, one.default) for one in fields(Answer) if one.name not in ALWAYS and one.default is not MISSING
)
OPTIONS = orjson.OPT_SERIALIZE_NUMPY


class Ids:
    """Ids that nobody else gives, in the order of time: milliseconds since 1970, this process, a counter."""

    def __init__(self) -> None:
        self._own, self._count = secrets.token_hex(6), itertools.count()

    def next(self, rows: int) -> list[str]:
        """One for each row of a request: 32 hexadecimal digits."""
        start, count = f"{time.time_ns() // 1_000_000:012x}{self._own}", self._count
        return [f"{start}{next(count) & 0xFFFFFFFF:08x}" for _ in range(rows)]


def one(answered: Answered, ids: Sequence[str], logged: bool) -> bytes:
    """The answer to a request of one object."""
    version = answered.version
    about = {"id": ids[0], "model": version.model, "version": version.number, "model_hash": version.model_hash}
    return orjson.dumps(about | _said(answered.answers[0]) | {"logged": logged}, option=OPTIONS)


def many(answered: Answered, ids: Sequence[str], logged: bool) -> bytes:
    """The answer to a request of a list."""
    found = [{"id": id, **_said(answer)} for id, answer in zip(ids, answered.answers, strict=True)]
    _name_others(answered, found)
    return orjson.dumps(_about(answered) | {"answers": found, "logged": logged}, option=OPTIONS)


def predictions(answered: Answered, ids: Sequence[str], logged: bool, rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The answer in MLflow's form, beside what it leaves room for. rows: as they came, for their `row_id`."""
    found = [
        ({"row_id": row["row_id"]} if "row_id" in row else {})
        | {"prediction": answer.prediction}
        | {f"probability_{name}": value for name, value in answer.probabilities.items()}
        for row, answer in zip(rows, answered.answers, strict=True)
    ]
    _name_others(answered, found)
    about = _about(answered) | {"ids": ids, "logged": logged}
    return orjson.dumps({"predictions": found} | about, option=OPTIONS)


def explained(version: Version, found: dict[str, Any], alone: bool) -> bytes:
    """The explanations of a request. found: as Explainer.explain gives them. alone: whether one object was sent."""
    about = {"model": version.model, "version": version.number, "model_hash": version.model_hash}
    made = {name: value for name, value in found.items() if name != "explanations"} | {"logged": False}
    if alone:
        return orjson.dumps(about | found["explanations"][0] | made)
    return orjson.dumps(about | {"explanations": found["explanations"]} | made)


def _about(answered: Answered) -> dict[str, Any]:
    version = answered.version
    return {"model": version.model, "version": version.number, "model_hash": version.model_hash}


def _name_others(answered: Answered, found: Sequence[dict[str, Any]]) -> None:
    """Answers of another version than that of the whole name it themselves."""
    for part, places in answered.parts[1:]:
        for place in places:
            found[place] |= {"version": part.version.number, "model_hash": part.version.model_hash}


def _said(answer: Answer) -> dict[str, Any]:
    """Its fields; of later kinds only those that say something."""
    said = {"prediction": answer.prediction, "probabilities": answer.probabilities, "unknown": answer.unknown}
    for name, nothing in KINDS:
        if (value := getattr(answer, name)) != nothing:
            said[name] = value
    return said
