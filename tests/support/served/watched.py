"""What the watch of drift reads, in a folder of a test: a live version with its reference, and a log of many rows."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flows.project.environment import Project
from flows.serving.engine.loaded import Answered
from flows.serving.log import closing
from flows.serving.log.writer import Log
from pipelines.config.data import Data
from pipelines.model_file import Declaration
from pipelines.sections.monitor import Monitor
from pipelines.sections.promote import Promote
from tests.support.served.answered import KEY, Answer, answered, version

PETS = Data(
    kind="table",
    task="classification",
    target="animal",
    columns={"weight": "number", "age": "number", "colour": "category", "born": "date"},
)


def project(state: Path) -> Project:
    return Project(root=state, state=state, tracking="", prefect="")


def declared(data: Data = PETS, metric: str = "accuracy", model: str = "pets", **monitor: Any) -> Declaration:
    """monitor: the section."""
    sections = {"data": data, "promote": Promote(metric=metric), "monitor": Monitor(**monitor)}
    return Declaration(model, {}, sections)


def pets(rows: int, seed: int, heavier: float = 0.0, **changes: Any) -> list[dict[str, Any]]:
    """Random rows. changes: columns with one value in all rows."""
    random = np.random.default_rng(seed)
    colours = random.choice(["black", "brown", "white", ""], rows, p=[0.5, 0.3, 0.15, 0.05])
    weights, ages = random.normal(9 + heavier, 3, rows), random.integers(0, 15, rows)
    return [
        {"weight": weight, "age": age, "colour": colour, "born": "2023-05-01"} | changes
        for weight, age, colour in zip(weights.tolist(), ages.tolist(), colours.tolist(), strict=True)
    ]


def log(
    state: Path,
    day: date,
    rows: Sequence[dict[str, Any]],
    number: int = 1,
    hour: int = 12,
    answer: Answer | list[Answer] | None = None,
    close: bool = True,
    model: str = "pets",
) -> None:
    """Rows that version `number` answered on a day, written as the server does, and closed.

    answer: one for all rows, or one for each.
    """
    at = datetime.combine(day, time(hour), UTC)
    writer = Log(state / "answers", hour, KEY)
    by = replace(version(number), model=model)
    said = answer if isinstance(answer, list) else [answer or Answer("dog", {"cat": 0.25, "dog": 0.75})] * len(rows)
    writer.write(Answered(by, said, answered(rows, by).batch), _ids(rows), at)
    writer.close()
    if close:
        assert closing.close_all(state / "answers", day) == []


def _ids(rows: Sequence[dict[str, Any]]) -> list[str]:
    return [f"row {place}" for place in range(len(rows))]


def stages(folder: Path, train: Sequence[dict[str, Any]], test: Sequence[dict[str, Any]], seed: int = 0) -> Path:
    """The outputs of a run of pets, as the reference reads them: train.parquet, test.parquet, predictions.parquet, and
    a model that knows no words."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in (("train", train), ("test", test)):
        ids = [random.bytes(16).hex() for _ in rows]
        columns = {key: [row[key] for row in rows] for key in rows[0]}
        columns["colour"] = [word or None for word in columns["colour"]]
        columns["age"] = [None if age is None else float(age) for age in columns["age"]]
        pq.write_table(pa.table({"row_id": ids} | columns), folder / f"{name}.parquet")
    dogs = random.random(len(test)) < 0.7
    answers = {"row_id": ids, "actual": np.where(dogs, "dog", "cat"), "prediction": ["dog"] * len(test)}
    given = np.full(len(test), 0.25, np.float32)
    probabilities = {"probability_cat": given, "probability_dog": 1 - given}
    pq.write_table(pa.table(answers | probabilities), folder / "predictions.parquet")
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model" / "architecture.json").write_text('{"config": {"layers": []}}')
    return folder
