"""Explain: what the model makes of its columns, on its own test rows. The gate does not wait for it.

    python -m pipelines explain digits

    data/<model>/model/, train.parquet, test.parquet, predictions.parquet
        ->  data/<model>/explanations/: explanations.json, and the pictures and rows that it names

Rows are chosen by their row_id, which is a hash, and how many there are and how often they are shuffled follows from
the number of columns alone: the same model and rows give the same explanations.
"""

import json
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import model_validator

from pipelines import visible_text
from pipelines.config import settings
from pipelines.config.data import Data
from pipelines.config.section import Section
from pipelines.config.settings import FORMAT
from pipelines.config.stage import Stage
from pipelines.errors import IntegrityError
from pipelines.explaining import attention, columns
from pipelines.explaining.columns import Arrays, Column
from pipelines.explaining.overall import draw, groups, permutation, series, surrogate
from pipelines.explaining.overall.dependence import dependence
from pipelines.explaining.overall.judge import Judge, Worse
from pipelines.explaining.pictures import drawn
from pipelines.hardware import device
from pipelines.model.metrics import METRICS
from pipelines.model.predictor import Predictor, check_manifest, file_hash, model_hash, to_arrays
from pipelines.table import row_groups

if TYPE_CHECKING:  # half a second to import, and needed only where rows are at hand
    import pandas as pd

FOLDER, NAME, BACKGROUND = "explanations", "explanations.json", "background.parquet"
TEST_ROWS, TRAIN_ROWS = 2000, 5000  # at most: that are shuffled, and that rules are fitted to
FEWEST_ROWS = 100  # that are shuffled, if there are as many
BACKGROUND_ROWS, BACKGROUND_BYTES = 200, 16 << 20
SHUFFLES = (2, 10)  # of each column: at least, at most
BUDGET = 400_000  # answers to shuffled rows; a window counts as often as it has steps
TRAIN_BUDGET = 100_000  # the same of the rows that rules are fitted to
CALL = 4096  # rows, or steps of windows, that are answered at once
SEED = 0
CURVES = 6  # columns with a picture of their dependence
MOST_CLASSES = 5  # of which each has a curve: the most frequent answers


class Explain(Section):
    """What the model makes of its columns (docs/guides/explain.md). The section may be absent; `explain: off` does
    without."""

    off: bool = False
    """Whether nothing is explained. `explain: off` says the same."""
    fixed: list[str] = []
    """Columns that nobody can change, such as an age. A counterfactual leaves them as they are."""

    @model_validator(mode="before")
    @classmethod
    def _word(cls, found: Any) -> Any:
        return {"off": True} if found == "off" else found


STAGE = Stage("explain", Explain, after="evaluate", preload="networks", numeric=True, after_gate=True)


def run(model: str) -> None:
    raw, folder = settings.read(model), Path("data") / model
    data, config = settings.load(model, "data", Data), settings.parse(model, "explain", raw.get("explain", {}), Explain)
    try:
        check_manifest(folder / "model")
    except (ValueError, OSError) as error:
        repair = "Restore it with `dvc checkout --force`, or make it anew with `dvc repro --force`."
        raise IntegrityError(f"{error}.", repair) from error
    partial = folder / f".{FOLDER}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    found = {"off": True}
    if not config.off:
        found = explained(folder, data, str(raw["promote"]["metric"]), partial) | {"fixed": config.fixed}
    write(partial, model_hash(folder / "model"), found)
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    partial.rename(folder / FOLDER)


def explained(folder: Path, data: Data, metric: str, out: Path) -> dict[str, Any]:
    """What explanations.json says of the model in data/<model>/; its pictures are written to `out`."""
    device.prepare(device.of_model(folder / "model", "cpu"), seed=0)
    asked = Asked(Predictor(folder / "model"), data, folder)
    found: dict[str, Any] = {"off": False, "metric": metric, "classes": asked.classes}
    if data.kind == "image":
        return found | of_pictures(asked, out)
    found |= of_columns(asked, metric)
    rules = vars(of_rules(asked))
    found["rules"] = {name: short(value) if isinstance(value, float) else value for name, value in rules.items()}
    found["background"] = background(folder / "train.parquet", data, out)
    found["pictures"] = []
    for name, (title, about, there) in PICTURES.items():
        if there(found):
            getattr(draw, name)(found, out / f"{name}.png")
            found["pictures"].append({"file": f"{name}.png", "title": title, "about": about})
    found["pictures"] += attended(asked, asked.test[0], out)
    return found


def attended(asked: "Asked", arrays: Arrays, out: Path) -> list[dict[str, str]]:
    """Pictures of what a network of kind `attention` attended to in test rows; none of other networks."""
    return attention.draw(asked.predictor.model, asked.predictor.about, arrays, out)


def of_pictures(asked: "Asked", out: Path) -> dict[str, Any]:
    """What a network of pictures looks at. They have no columns."""
    path = asked.folder / "predictions.parquet"
    answers = pq.read_table(path, columns=[name for name in pq.read_schema(path).names if name != "row_id"]).to_pandas()
    most = max(1, min(BACKGROUND_ROWS, BACKGROUND_BYTES // math.prod(asked.data.shape)))
    train, test = (
        to_arrays(sample(asked.folder / f"{split}.parquet", most, ["image"]).to_pandas(), asked.predictor.about)
        for split in ("train", "test")
    )
    pictures = drawn.draw(asked.predictor, asked.folder / "test.parquet", answers, train, out)
    pictures += attended(asked, test, out)
    nothing: dict[str, Any] = {"importance": [], "groups": [], "dependence": []}
    nothing |= {"rules": None, "series": None}
    kept = background(asked.folder / "train.parquet", asked.data, out)
    return {"rows": len(answers), **nothing, "background": kept, "pictures": pictures}


PICTURES: dict[str, tuple[str, str, Callable[[dict[str, Any]], bool]]] = {
    "importance": (
        "Importance of columns",
        "How much worse the metric becomes if the values of a column are shuffled among the test rows. The line is the "
        "interval of 95 % over rows and shuffles. Columns that say much the same are shuffled together, too.",
        lambda found: bool(found["importance"]),
    ),
    "dependence": (
        "Dependence on columns",
        "The mean answer if all rows had the same value in this column, for the columns that matter most.",
        lambda found: bool(found["dependence"]),
    ),
    "window": (
        "Which part of the window matters",
        "How much worse the metric becomes if some steps of the window come from other rows.",
        lambda found: bool(found["series"]),
    ),
}


@dataclass(frozen=True)
class Asked:
    """A model, and some of its rows as arrays."""

    predictor: Predictor
    data: Data
    folder: Path

    @property
    def classes(self) -> list[Any]:
        return list(self.predictor.about["classes"])

    @cached_property
    def columns(self) -> list[Column]:
        return columns.columns(self.predictor.about)

    @cached_property
    def test(self) -> "tuple[Arrays, np.ndarray]":
        """The rows that are shuffled, and their true values [rows]; those of a sequence in the order of time."""
        frame = self._frame("test", self.shuffled_rows, [self.data.target])
        if self.data.kind == "sequence":
            frame = frame.sort_values([*self.data.dates, "row_id"], kind="stable")
        return to_arrays(frame, self.predictor.about), frame[self.data.target].to_numpy()

    @cached_property
    def train(self) -> Arrays:
        return to_arrays(self._frame("train", min(TRAIN_ROWS, TRAIN_BUDGET // self.steps)), self.predictor.about)

    def _frame(self, split: str, most: int, also: list[str] | None = None) -> "pd.DataFrame":
        names = [*self.data.features, *(also or [])]
        return sample(self.folder / f"{split}.parquet", max(FEWEST_ROWS, most), names).to_pandas()

    @property
    def steps(self) -> int:
        return max(1, self.data.window)

    @property
    def sets(self) -> int:
        """How many things are shuffled, about: columns, half as many groups, parts of the window."""
        window = min(self.data.window, series.MOST_PARTS) if self.data.kind == "sequence" else 0
        return len(self.columns) + len(self.columns) // 2 + window

    @property
    def shuffled_rows(self) -> int:
        return min(TEST_ROWS, BUDGET // (SHUFFLES[0] * self.sets * self.steps))

    def times(self, rows: int) -> int:
        """How often so many rows are shuffled."""
        least, most = SHUFFLES
        return max(least, min(most, BUDGET // (rows * self.sets * self.steps)))

    def answers(self, arrays: Arrays) -> np.ndarray:
        """float32 [rows, outputs]."""
        size, rows = max(1, CALL // self.steps), columns.count(arrays)
        starts = range(0, rows, size)
        parts = [self.predictor._batch(arrays, start, size) for start in starts]
        return np.concatenate(parts).astype(np.float32)


def of_columns(asked: Asked, metric: str) -> dict[str, Any]:
    """Importance of columns, of groups and of the steps of a window, and the dependence on the first columns."""
    arrays, actual = asked.test
    rows = len(actual)
    orders = permutation.shuffles(arrays, asked.times(rows), SEED)
    judge = Judge(METRICS[metric], actual, asked.classes)
    together = groups.groups(arrays, asked.columns)

    def weighed(sets: list[list[Column]]) -> list[dict[str, Any]]:
        found = [
            {"columns": [column.name for column in chosen]}
            | told(permutation.importance(asked.answers, arrays, chosen, judge, orders))
            for chosen in sets
        ]
        return sorted(found, key=lambda entry: -entry["mean"])

    single = weighed([[column] for column in asked.columns])
    found = {
        "rows": rows,
        "shuffles": len(orders),
        "importance": single,
        "groups": weighed(together),
        "dependence": list(curves(asked, [entry["columns"][0] for entry in single])),
        "series": None,
    }
    if asked.data.kind == "sequence":
        parts = series.steps(asked.answers, arrays, asked.data.window, series.MOST_PARTS, judge, orders)
        steps = [{"first": first, "last": last} | told(worse) for first, last, worse in parts]
        found["series"] = {"window": asked.data.window, "steps": steps}
    return found


def curves(asked: Asked, names: list[str]) -> Iterator[dict[str, Any]]:
    """The dependence on the first of these columns, without sensitive ones: its points are values of theirs."""
    arrays, _ = asked.test
    known = {column.name: column for column in asked.columns}
    of = _outputs(asked, asked.answers(arrays))
    done = 0
    for name in names:
        if name in asked.data.sensitive or done == CURVES:
            continue
        found = dependence(asked.answers, arrays, known[name])
        done += bool(found)
        kind = {"categories": "word", "dates": "date"}.get(known[name].array, "number")
        for place, label in of.items() if found else ():
            points = [{"value": value, "mean": short(float(mean[place]))} for value, mean in found]
            yield {"column": name, "kind": kind, "of": label, "points": points}


def _outputs(asked: Asked, answered: np.ndarray) -> dict[int, Any]:
    """The outputs that have curves, and their names: the number, the second of two classes, or the first of many."""
    classes = asked.classes
    if not classes:
        return {0: asked.data.target}
    if len(classes) == 2:
        return {1: classes[1]}
    frequent = np.argsort(-np.bincount(answered.argmax(axis=1), minlength=len(classes)), kind="stable")
    return {int(place): classes[place] for place in sorted(frequent[:MOST_CLASSES])}


def of_rules(asked: Asked) -> surrogate.Rules:
    """Rules over the columns that are not sensitive."""
    chosen = [column for column in asked.columns if column.name not in asked.data.sensitive]
    test, _ = asked.test
    answered, wanted = asked.answers(asked.train), asked.answers(test)
    return surrogate.rules(asked.train, answered, test, wanted, chosen, asked.classes)


def background(train: Path, data: Data, out: Path) -> str:
    """Write training rows to compare single answers with, without sensitive columns; returns the name of the file."""
    table = sample(train, BACKGROUND_ROWS, data.kept)
    rows = max(1, min(len(table), BACKGROUND_BYTES * len(table) // max(1, table.nbytes)))
    row_groups.write(out / BACKGROUND, table.schema, table.slice(0, rows).combine_chunks().to_batches())
    return BACKGROUND


def sample(path: Path, most: int, names: list[str]) -> pa.Table:
    """row_id and other columns of at most so many rows of a split, by their row_id, which is a hash; in its order."""
    ids = pa.chunked_array([batch["row_id"] for batch in row_groups.batches(path, ["row_id"])], pa.string())
    last = pc.sort_indices(ids).slice(0, most)
    chosen = ids.take(last).combine_chunks()
    parts = [
        pa.Table.from_batches([batch]).filter(pc.is_in(batch["row_id"], value_set=chosen))
        for batch in row_groups.batches(path, list(dict.fromkeys(["row_id", *names])))
    ]
    return pa.concat_tables(parts).sort_by("row_id").replace_schema_metadata(None)


def told(found: Worse) -> dict[str, float | None]:
    return {name: None if value is None else short(value) for name, value in vars(found).items()}


def short(value: float) -> float:
    """Six digits: the last bits depend on the processor and mean nothing."""
    return float(f"{value:.6g}")


def write(folder: Path, model: str, found: dict[str, Any]) -> None:
    """Write explanations.json into a folder of what it names. model: the model_hash."""
    files = {path.name: file_hash(path) for path in sorted(folder.iterdir())}
    content = {"format": FORMAT, "model_hash": model, **found, "files": files}
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / NAME).write_text(text + "\n", encoding="utf-8")
    visible_text.note("explanations: off" if found["off"] else f"explanations: {len(found['pictures'])} pictures")
