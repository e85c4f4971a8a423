"""One process that reads pieces of rows and answers them. It loads the model when it has read the first piece."""

import functools
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from flows.predict import unknown_words
from flows.predict.answering import answers
from flows.predict.answering.answers import Answerer
from flows.predict.answering.pieces import Piece, Reading
from flows.predict.answering.served import Served
from flows.predict.unknown_words import Unknown
from pipelines.config.data import Data
from pipelines.hardware.device import Choice
from pipelines.ingest import Ingest


@dataclass(frozen=True)
class Asked:
    """What a process has to know. folder: of a model that was checked. data, ingest: sections of the version's own
    YAML. device: auto, cpu or gpu. strict: refuses unknown words. form, form_hash: the ONNX files that answer in
    place of the model."""

    folder: str
    data: dict[str, Any]
    ingest: dict[str, Any]
    device: str
    strict: bool
    form: str = ""
    form_hash: str = ""

    @classmethod
    def of(cls, text: str) -> "Asked":
        return cls(**json.loads(text))

    def text(self) -> str:
        return json.dumps(asdict(self))

    @property
    def reading(self) -> Reading:
        data = Data.model_validate(self.data)
        known = unknown_words.known(Path(self.folder))
        return Reading(data, Ingest.model_validate(self.ingest), known, self.strict)


@dataclass(frozen=True)
class Answered:
    """Answers to some rows. unknown: words among them that the model has never seen. choice: what it computed on."""

    answers: pa.Table
    unknown: Unknown
    choice: Choice


def answered(asked: str, piece: Piece) -> Answered:
    """The answers to a piece. asked: an Asked, as JSON. Raises RatchetError."""
    rows, unknown = _reading(asked).read(
        piece
    )  # before TensorFlow is loaded: what is wrong from the start is told soon
    answerer = _answerer(asked)
    return Answered(answerer.answer(rows), unknown, answerer.choice)


@functools.cache
def _reading(asked: str) -> Reading:
    return Asked.of(asked).reading


@functools.cache
def _answerer(asked: str) -> Answerer | Served:
    return answerer(Asked.of(asked), many=True)


def answerer(asked: Asked, many: bool) -> Answerer | Served:
    """What answers: the model, or the smaller form in its place. many: as of answers.of_folder."""
    folder, data = Path(asked.folder), asked.reading.data
    if asked.form:
        return Served(folder, Path(asked.form), asked.form_hash, data)
    return answers.of_folder(folder, data, asked.device, many)
