"""A model whose answers are labelled, its log, and its labels."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from flows.labels import store
from flows.serving.answer import Answer
from flows.serving.engine import live_file
from flows.serving.log.writer import Log
from pipelines import model_file
from pipelines.model_file import Declaration
from tests.support.served import answered
from tests.support.served.answered import KEY

DAY = datetime(2026, 11, 2, 12, tzinfo=UTC)
PETS = {
    "kind": "table",
    "task": "classification",
    "target": "animal",
    "columns": {"weight": "number", "age": "number", "colour": "category", "chip": "carried"},
}


def declared(data: dict[str, Any] | None = None, name: str = "shop", **sections: Any) -> Declaration:
    """A YAML with only what the labels need."""
    found = {"data": data or PETS, "ingest": {"source": "data/incoming/shop", "reader": 2}} | sections
    kinds = {one: model_file.SECTIONS[one] for one in ("data", "ingest", "labels", "serve", "monitor")}
    return Declaration(name, found, {one: kind.model_validate(found.get(one, {})) for one, kind in kinds.items()})


def days(number: float) -> datetime:
    """An instant so many days after the first one."""
    return DAY + timedelta(days=number)


def log(
    state: Path,
    rows: dict[str, dict[str, Any]],
    at: datetime = DAY,
    said: str = "yes",
    version: int = 7,
    model: str = "shop",
) -> None:
    """Answer rows, by their ids."""
    kept = Log(state / "answers", 0, KEY)
    by = replace(answered.version(version), model=model)
    answer = Answer(said, {"cat": 0.25, "dog": 0.75})
    assert answered.write(kept, list(rows.values()), by, at, names=list(rows), answer=answer)
    kept.close()


def label(state: Path, model: Declaration, rows: list[dict[str, Any]], taken: datetime, **more: Any) -> store.Taken:
    """Take labels: rows with `id` or key columns, `label`, and perhaps `happened`, `known`, `asked`."""
    return store.add(state, model, pa.Table.from_pylist(rows), taken=taken, **more)


def learn_class(state: Path, model: str, name: str) -> None:
    """As if the live version knew one more class."""
    path = live_file.read(state / "serving" / model).version.folder / "columns.json"
    about = json.loads(path.read_text())
    path.write_text(json.dumps(about | {"classes": [*about["classes"], name]}))
