"""The reference of a version: what its columns and its answers looked like, as evidence/reference.parquet keeps it.

Columns are those of the training rows, answers those to the test rows, which the model has not seen. Live rows are
compared with them (flows/monitoring/drift). Sensitive columns are not in it.

Words that are counted are chosen on one half of the rows and counted on the other: chosen and counted on the same rows
they would be more frequent there than in any new rows.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flows.registry.columns import vocabularies
from pipelines.config.data import PIXELS, Data
from pipelines.table import row_groups
from pipelines.table.summary import columns
from pipelines.table.summary.columns import DATES, NUMBERS, WORDS, Column
from pipelines.table.summary.gather import Gathered

NAME = "reference.parquet"
MOST_ROWS = 200_000  # of the training split that are looked at
MOST_WORDS = 200  # of a column that are counted one by one
MONTH = slice(5, 7)  # of an instant as ISO text
BRIGHTNESS = PIXELS[2]  # the mean value of a picture
CONFIDENCE = "confidence"  # the probability of the class that was answered
MOST_CLASSES = 20  # whose probabilities are kept one by one


def write(stages: Path, data: Data, about: dict[str, object], path: Path) -> None:
    """stages: the folder of the outputs of a run. about: model.json. Raises DataError, OSError."""
    learned = vocabularies(stages / "model", about) if data.kind != "image" else {}
    found = [*_of_rows(stages, data, learned), *_of_answers(stages / "predictions.parquet")]
    columns.write(path, found, {})


def watched(data: Data) -> dict[str, str]:
    """The raw columns that are compared, by name, with their kind; no sensitive ones."""
    if data.kind == "image":
        return {BRIGHTNESS: NUMBERS}
    kinds = {"number": NUMBERS, "category": WORDS, "date": DATES}
    found = {name: kinds[role] for name, role in data.columns.items() if role in kinds and name not in data.sensitive}
    return found | ({data.target: NUMBERS} if data.kind == "sequence" else {})


# ------------------------------------------------------------------ rows


def _of_rows(stages: Path, data: Data, learned: dict[str, list[str]]) -> list[Column]:
    train = stages / "train.parquet"
    kinds = watched(data)
    words = [name for name, kind in kinds.items() if kind == WORDS]
    chosen = _chosen(train, data, words)
    found: dict[tuple[str, str], Gathered] = {}
    for batch in _read(train, data, kinds):
        for group, rows in _groups(batch, data):
            for name, kind in kinds.items():
                key = (group, name)
                if key not in found:
                    found[key] = Gathered(group, name, kind, named=chosen.get(name, ()))
                _add(found[key], rows[name], rows["row_id"])
    unseen = _unseen(stages / "test.parquet", data, words, learned)
    lines = (line for one in found.values() for line in one.columns())
    return [replace(line, unknown=round(unseen.get(line.name, 0.0) * line.rows)) for line in lines]


def _chosen(train: Path, data: Data, names: list[str]) -> dict[str, list[str]]:
    """The most frequent words of each column in the first half of the rows."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in names}
    for batch in _read(train, data, dict.fromkeys(names, WORDS)) if names else ():
        first = _half(batch["row_id"])
        for name in names:
            counts[name].update(_counted(batch[name].filter(first)))
    return {name: sorted(word for word, _ in found.most_common(MOST_WORDS)) for name, found in counts.items()}


def _read(path: Path, data: Data, kinds: dict[str, str]) -> Iterator[pa.RecordBatch]:
    """row_id, the instant of a row (null without one), and the watched columns by their raw names."""
    share = MOST_ROWS / max(MOST_ROWS, row_groups.rows(path))
    below = f"{min(2**32 - 1, int(share * 2**32)):08x}"  # of the first digits of an identity, which are a hash
    date = next((name for name in data.dates if name not in data.sensitive), "")
    stored = {name: _stored(data, name) for name in kinds}
    for batch in row_groups.batches(path, list(dict.fromkeys(["row_id", *stored.values(), *filter(None, [date])]))):
        at = batch[date] if date else pa.nulls(len(batch), pa.string())
        arrays = {name: _single(batch[inside], data) for name, inside in stored.items()}
        kept = pc.less_equal(pc.utf8_slice_codeunits(batch["row_id"], 0, 8), below)
        yield pa.RecordBatch.from_pydict({"row_id": batch["row_id"], "": at} | arrays).filter(kept)


def _stored(data: Data, name: str) -> str:
    """The name of a raw column in the split files."""
    if data.kind == "image":
        return "image"
    return data.past_target if data.kind == "sequence" and name == data.target else name


def _single(column: pa.Array, data: Data) -> pa.Array:
    """One value a row: the last one of a window, the brightness of a picture."""
    if data.kind == "image":
        values = np.frombuffer(b"".join(column.to_pylist()), np.uint8).reshape(len(column), -1)
        return pa.array(values.mean(axis=1, dtype=np.float64))
    return pc.list_element(column, data.window - 1) if pa.types.is_fixed_size_list(column.type) else column


def _groups(batch: pa.RecordBatch, data: Data) -> Iterator[tuple[str, pa.RecordBatch]]:
    """All rows, and those of each month."""
    yield "", batch
    months = pc.utf8_slice_codeunits(batch[""], MONTH.start, MONTH.stop)
    for month in pc.unique(months.drop_null()).to_pylist():
        yield month, batch.filter(pc.equal(months, month))


def _add(into: Gathered, values: pa.Array, row_ids: pa.Array) -> None:
    if into.kind == NUMBERS:
        into.add_numbers(values.cast(pa.float64()).to_numpy(zero_copy_only=False))
    elif into.kind == DATES:
        into.add_dates(len(values), values.null_count)
    else:
        second = values.filter(pc.invert(_half(row_ids)))
        counts = _counted(second)
        into.add_words(counts, len(second) - sum(counts.values()))


def _counted(column: pa.Array) -> dict[str, int]:
    """The rows with each word."""
    found = pc.value_counts(column.drop_null())
    pairs = zip(found.field(0).to_pylist(), found.field(1).to_pylist(), strict=True)
    return {word: count for word, count in pairs if word}


def _half(row_ids: pa.Array) -> pa.Array:
    """Whether a row is of the first half [rows, bool]: by another digit of its identity than those that choose rows."""
    return pc.is_in(pc.utf8_slice_codeunits(row_ids, 8, 9), pa.array(list("01234567")))


def _unseen(test: Path, data: Data, names: list[str], learned: dict[str, list[str]]) -> dict[str, float]:
    """The share of the test rows with a word that the model has not learned, by column: so many new rows have one."""
    new: dict[str, int] = defaultdict(int)
    total = 0
    known = {name: set(learned[name]) for name in names if name in learned}
    for batch in _read(test, data, dict.fromkeys(known, WORDS)) if known else ():
        total += len(batch)
        for name, learned_words in known.items():
            new[name] += sum(count for word, count in _counted(batch[name]).items() if word not in learned_words)
    return {name: count / total for name, count in new.items() if total}


# ------------------------------------------------------------------ answers


def _of_answers(predictions: Path) -> Iterator[Column]:
    """The answers to the test rows; of probabilities also how many came true."""
    table = pa.Table.from_batches(list(row_groups.batches(predictions))).combine_chunks()
    names = [name for name in table.schema.names if name.startswith("probability_")]
    if not names:
        yield from _one("prediction", NUMBERS, table["prediction"])
        return
    answer = pc.cast(table["prediction"], pa.string())
    actual = np.array(pc.cast(table["actual"], pa.string()).to_pylist(), object)
    classes = [name.removeprefix("probability_") for name in names]
    gathered = Gathered("", "prediction", WORDS, answer=True, named=classes)
    gathered.add_words(_counted(answer.combine_chunks()), 0)
    yield from gathered.columns()
    for name in names if len(names) <= MOST_CLASSES else []:
        came_true = actual == name.removeprefix("probability_")
        yield from _one(name, NUMBERS, table[name], came_true)
    highest = pa.chunked_array([np.max([table[name].to_numpy() for name in names], axis=0)])
    yield from _one(CONFIDENCE, NUMBERS, highest, actual == np.array(answer.to_pylist(), object))


def _one(name: str, kind: str, values: pa.ChunkedArray, came_true: np.ndarray | None = None) -> Iterator[Column]:
    """came_true: of a probability [rows, bool]."""
    found = values.cast(pa.float64()).to_numpy()
    for place in range(0, max(1, len(found)), MOST_ROWS):
        part = found[place : place + MOST_ROWS]
        gathered = Gathered("", name, kind, answer=True)
        gathered.add_numbers(part)
        (line,) = gathered.columns()
        if came_true is not None and line.below:
            sums = np.cumsum(came_true[place : place + MOST_ROWS][np.argsort(part, kind="stable")])
            line = replace(line, right=sums[np.array(line.below) - 1].tolist())
        yield line
