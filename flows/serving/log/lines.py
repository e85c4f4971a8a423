"""One answered row -> one line of JSON. Decides which rows are kept, and what of them."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from flows.serving.answer import Answer
from flows.serving.engine.loaded import Answered
from flows.serving.version import Version
from pipelines import visible_text

SHARES = 1 << 64  # as many values has the beginning of a hash


class Form:
    """What is kept of the rows of one version, and how it is written.

    A line is {"id", "at", "version", "model_hash", "answer": the fields of Answer, "row": the columns as they came}.
    Where a smaller form of the version answers, it has "served_as", too.
    """

    def __init__(self, version: Version, key: bytes):
        """key: for the hashes of sensitive values."""
        self.version, serve = version, version.serve
        self.log, self.sample = bool(serve.get("log", True)), float(serve.get("sample", 1.0))
        self.largest = float(serve.get("largest_gb", 5.0)) * 1e9
        self._sensitive, self._hashes, self._key = frozenset(version.sensitive), serve.get("sensitive") == "hash", key
        self._number, self._model_hash = version.number, version.model_hash
        self._form = {"served_as": version.variant} if version.variant else {}

    def chosen(self, ids: Sequence[str]) -> Sequence[int]:
        """The places of the rows that are kept. The same id is always kept, or never."""
        if self.sample >= 1:
            return range(len(ids))
        return [place for place, name in enumerate(ids) if share(name) < self.sample]

    def lines(self, answered: Answered, ids: Sequence[str], at: datetime, places: Sequence[int]) -> bytes:
        """The rows at these places, a line each."""
        rows, answers = answered.batch.raw, answered.answers
        if len(places) == 1:  # most requests
            (place,) = places
            return self._line(ids[place], at, answers[place], rows[place])
        return b"".join(self._line(ids[place], at, answers[place], rows[place]) for place in places)

    def _line(self, name: str, at: datetime, answer: Answer, row: dict[str, Any]) -> bytes:
        kept = self._kept(row) if self._sensitive else row
        record = {
            "id": name,
            "at": at,
            "version": self._number,
            "model_hash": self._model_hash,
            **self._form,
            "answer": answer,
            "row": kept,
        }
        try:
            return orjson.dumps(record, default=as_base64, option=orjson.OPT_APPEND_NEWLINE)
        except orjson.JSONEncodeError:  # a whole number of more than 64 bits, or half a letter
            record["row"] = {visible_text.line(column): visible_text.line(str(kept[column])) for column in kept}
            return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)

    def _kept(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row without sensitive values. A forecast has rows of its own."""
        found: dict[str, Any] = {}
        for column, value in row.items():
            if column in self._sensitive:
                found |= {column: self._digest(column, value)} if self._hashes else {}
            elif column == "rows" and isinstance(value, list):
                found[column] = [self._kept(inner) if isinstance(inner, dict) else inner for inner in value]
            else:
                found[column] = value
        return found

    def _digest(self, column: str, value: Any) -> str | None:
        """The same value of the same column has the same digest, and no other."""
        if value is None:
            return None
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        content = f"{column}\0{text}".encode(errors="surrogatepass")  # half a letter too has a digest
        return hmac.new(self._key, content, hashlib.sha256).hexdigest()


def as_base64(value: Any) -> str:
    """The pixels of a picture that came as bytes. Raises TypeError for anything else."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError


def share(name: str) -> float:
    """Where an id lies between 0 and 1: the first 8 bytes of its SHA-256, little-endian, over 2^64."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little") / SHARES


def gap(since: datetime, until: datetime, rows: int, why: str) -> bytes:
    """The line that says how many rows were answered and not kept."""
    told = {"from": since, "to": until, "rows": rows, "why": why}
    return orjson.dumps({"gap": told}, option=orjson.OPT_APPEND_NEWLINE)
