"""Target: what kind of problem a column is, by its values."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from flows.new import column_types
from pipelines.errors import DataError, RequestError

MOST_CLASSES = 1000
FEW_NUMBERS = 20  # different whole numbers that still are classes
FEWEST_OF_CLASS = 10  # rows, so that each split has some


@dataclass(frozen=True)
class Target:
    """classes: rows of each, the most frequent first; empty for a regression. values: of the rows that have one."""

    name: str
    task: str
    label: str
    why: str
    values: pd.Series
    classes: dict[Any, int]
    marks: tuple[str, ...] = ()

    @property
    def rare(self) -> list[Any]:
        """The classes that have too few rows to be learned and judged."""
        return [name for name, count in self.classes.items() if count < FEWEST_OF_CLASS]

    @property
    def kept(self) -> dict[Any, int]:
        return {name: count for name, count in self.classes.items() if name not in self.rare}

    @property
    def rarest(self) -> float:
        """The share of the rarest class times the number of classes: 1 where all are equally frequent."""
        kept = self.kept.values()
        return min(kept) / sum(kept) * len(kept) if kept else 1.0


def target(name: str, values: pa.ChunkedArray, missing: list[str], where: str) -> Target:
    """where: the file, for messages. Raises DataError for a column that nothing can be learned of."""
    column, found = column_types.column(name, values, missing), column_types.cells(values, missing).dropna()
    if len(found) < column_types.FEWEST_ROWS:
        raise DataError(
            f"{where} has {len(found)} rows with a value of {name!r}, and training, validation and test "
            f"together need at least {column_types.FEWEST_ROWS}.",
            "Bring more rows.",
        )
    found = found[~found.isin(column.marks)]
    if column.role == "date":
        raise RequestError(f"{name!r} holds dates, and no date can be predicted.", "Choose another --target.")
    numbers = pd.to_numeric(found, errors="coerce")
    if not pd.api.types.is_bool_dtype(found) and np.isfinite(numbers.to_numpy(float)).all() and not _coded(found):
        return _of_numbers(name, numbers.astype(float), where, column.marks)
    if why := column_types.written_otherwise(pd.Index(found.unique().astype(str))):
        raise DataError(f"{where}: {name!r} holds {why}.")
    return _of_words(name, column_types.as_read(found.astype(str)), "text", where, column.marks)


def _coded(found: pd.Series) -> bool:
    """Whether some number would not be the same as a number: it has a leading zero, or more digits than one keeps."""
    words = found.unique().astype(str)
    return any(column_types.CODE.fullmatch(word) or _beyond(word) for word in words)


def _beyond(word: str) -> bool:
    return len(word) > 15 and word.removeprefix("-").isdecimal() and abs(int(word)) > column_types.EXACT


def _of_numbers(name: str, numbers: pd.Series, where: str, marks: tuple[str, ...]) -> Target:
    different = numbers.nunique()
    if different <= FEW_NUMBERS and (numbers == numbers.round()).all():
        return _of_words(name, numbers.astype("int64"), "integer", where, marks)
    why = f"{name} holds {different:,} different numbers, {numbers.min():.6g} to {numbers.max():.6g}"
    return Target(name, "regression", "", why, numbers, {}, marks)


def _of_words(name: str, found: pd.Series, label: str, where: str, marks: tuple[str, ...]) -> Target:
    classes = {key: int(count) for key, count in found.value_counts().items()}
    if len(classes) == 1:
        raise DataError(f"{where}: {name!r} is {next(iter(classes))!r} in every row: there is nothing to tell apart.")
    made = Target(name, "classification", label, "", found, classes, marks)
    if len(classes) > MOST_CLASSES or len(made.kept) < 2:
        raise _not_enough(made, where)
    shown = ", ".join(f"{str(key)[:40]} {count / len(found):.0%}" for key, count in [*classes.items()][:5])
    why = f"{name} holds {len(classes)} different {'numbers' if label == 'integer' else 'words'}: {shown}"
    return Target(
        name,
        "classification",
        label,
        why + (" ..." if len(classes) > 5 else "") + column_types.alike([*map(str, classes)]),
        found,
        classes,
        marks,
    )


def _not_enough(made: Target, where: str) -> DataError:
    """Too many classes, or too few rows of each but one: which, and how many are missing."""
    many = len(made.classes)
    if made.kept and many <= FEW_NUMBERS:
        rare = [f"{made.classes[name]} rows of class {str(name)[:40]!r}" for name in made.rare[:5]]
        one = next(iter(made.kept))
        return DataError(
            f"{where}: {made.name!r} has {', '.join(rare)}{' ...' if len(made.rare) > 5 else ''} beside "
            f"{made.kept[one]:,} rows of {str(one)[:40]!r}, and {FEWEST_OF_CLASS} of a class are needed, "
            "so that training, validation and test each have some.",
            "Bring more of these rows, or put rare classes together in the source.",
        )
    return DataError(
        f"{where}: {made.name!r} has {many:,} different values in {len(made.values):,} rows, and {len(made.kept):,} "
        f"of them have the {FEWEST_OF_CLASS} rows that a class needs (at most {MOST_CLASSES:,} classes).",
        "Choose another --target, or group its values in the source.",
    )


def as_amount(found: Target, why: str) -> Target:
    """The same numbers, not as classes. why: what speaks for it."""
    numbers = found.values.astype(float)
    held = f"{len(found.classes)} different whole numbers, {numbers.min():.6g} to {numbers.max():.6g}"
    return Target(found.name, "regression", "", f"{found.name} holds {held}; {why}", numbers, {}, found.marks)
