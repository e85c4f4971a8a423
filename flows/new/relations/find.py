"""Find: all that the columns of a table say of each other and of the target, each with its reason.

What no model should see is left out. What nobody can be sure of is told, for a person to look at.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import pyarrow as pa

from flows.new import column_types
from flows.new.column_types import Column
from flows.new.relations import copies, entities, identifiers, leaks, spelling, sums, time_order
from flows.new.relations.sample import Cells, Sample
from flows.new.target import Target

GROUPED = "{name} has {entities:,} different values, and rows equal in it repeat the target: they stay in one split"
MOST_TOLD = 3  # columns of one kind, for a person to look at
PROPOSED = "rows equal in {name} are alike, and lie in all splits: --group {name} keeps them together"


@dataclass(frozen=True)
class Relations:
    """columns: without the target, some now left out. group: columns whose equal rows stay in one split.

    moments: of each row, if a date orders the rows. equal: drop or keep, of equal rows. carried: an identifier that
    tells copies from rows that are merely equal. Each `why_` is the reason; look: sentences for a person.
    """

    columns: list[Column]
    group: list[str] = field(default_factory=list)
    why_group: str = ""
    moments: pd.Series | None = None
    why_split: str = ""
    equal: str = "drop"
    why_equal: str = ""
    carried: list[str] = field(default_factory=list)
    different: int = 0  # rows that are equal to no earlier one
    look: list[str] = field(default_factory=list)


def find(
    table: pa.Table,
    columns: list[Column],
    target: Target,
    sample: Sample | None,
    group: list[str],
    missing: list[str],
) -> Relations:
    """sample: of the columns that a model would see, if there is one. group: what a person wants to keep together."""
    cells = Cells.of(table, missing)
    columns = _without_counters(_without_keys(cells, columns), sample)
    columns, look = _without_leaks(columns, sample)
    look += [
        f"{name} says the same as {first} in every row: one of them is enough"
        for name, first in copies.columns({c.name: cells.codes[c.name] for c in columns if c.role != "ignore"})
    ]
    for column in columns:
        look += spelling.marked(column.name, table[column.name], missing) if column.role == "category" else []
    found = Relations(columns, group, look=look)
    if not group:
        found = _grouped(found, cells, target)
    if not found.group:
        found = _in_time(found, cells)
    return _equal(found, cells.codes, target.name)


def _without_keys(cells: Cells, columns: list[Column]) -> list[Column]:
    """Identifiers that come again only where the whole row does are left out, too."""
    first = copies.distinct(cells.codes)
    if first.all() or first.sum() < column_types.FEWEST_ROWS:
        return columns
    found = []
    for column in columns:
        once = len(np.unique(cells.codes[column.name][first])) == first.sum()
        if once and not column.key and _is_name(cells, first, column):
            why = f"{first.sum():,} different values, and equal ones only in rows that are copies: an identifier"
            column = replace(column_types.left_out(column, why), key=True)
        found.append(replace(column, key=column.key and once))
    return found


def _is_name(cells: Cells, first: np.ndarray, column: Column) -> bool:
    """Whether a column of different values is an identifier: words, or whole numbers that were handed out."""
    if column.role in ("category", "ignore"):
        return not column.missing
    if column.role != "number" or not column.whole:
        return False
    numbers = cells.numbers(column.name)[first]
    return identifiers.handed_out(numbers, np.ones(len(numbers)))


def _without_counters(columns: list[Column], sample: Sample | None) -> list[Column]:
    if sample is None:
        return columns
    why = "whole numbers that grow from row to row: an identifier"
    up = {name for name, values in sample.numbers.items() if identifiers.counts_up(values)}
    return [replace(column_types.left_out(c, why), key=True) if c.name in up else c for c in columns]


def _without_leaks(columns: list[Column], sample: Sample | None) -> tuple[list[Column], list[str]]:
    """The columns, and what to look at. If nothing were left to learn from, nothing is left out."""
    seen = {column.name for column in columns if column.role != "ignore"}
    if sample is None:
        return columns, []
    rest = sample.without([*sample.numbers.keys() - seen, *sample.words.keys() - seen])
    told = leaks.of_sample(rest) if rest.classes else {}
    why = {name: leak.why for name, leak in told.items() if leak.sure} if rest.classes else sums.of_sample(rest)
    look = [f"{name}: {leak.why}" for name, leak in told.items() if not leak.sure][:MOST_TOLD]
    if seen <= why.keys():
        return columns, [*look, *(f"{name}: {said}" for name, said in why.items())]
    return [column_types.left_out(c, why[c.name]) if c.name in why else c for c in columns], look


def _grouped(found: Relations, cells: Cells, target: Target) -> Relations:
    """Rows of one entity together, where they repeat the target; else a word about them."""
    features = [column.name for column in found.columns if column.role in ("number", "category")]
    roles = {
        c.name: c.role
        for c in found.columns
        if not c.key and (c.role == "category" or c.names or (c.role == "number" and c.whole))
    }
    known = target.values
    places = np.asarray(known.index)
    numbers = known.to_numpy(float) if not target.classes else pd.factorize(known)[0]

    def as_floats(name: str) -> np.ndarray | None:
        return cells.numbers(name)[places] if roles[name] == "number" else None

    some = {name: cells.codes[name][places] for name in {**roles, **dict.fromkeys(features)}}
    for one in entities.find([*roles], some, numbers, as_floats, features):
        if one.repeat_target:
            why = GROUPED.format(name=one.name, entities=one.entities)
            return replace(found, group=[one.name], why_group=why)
        found = replace(found, look=[*found.look, PROPOSED.format(name=one.name)])
    return found


def _in_time(found: Relations, cells: Cells) -> Relations:
    dates = [column for column in found.columns if column.role == "date"]
    whole = {c.name: column_types.instants(cells.table[c.name], c, cells.missing) for c in dates if not c.missing}
    if not whole:
        return found
    name, why = time_order.chosen(whole)
    if not name:
        advice = "to judge by later rows write clean: split: {by: time, column: ...}"
        return replace(found, why_split=why, look=[*found.look, f"{why}: {advice}"])
    late = [
        f"{other} comes after {name} in every row: is it known when you predict?"
        for other in time_order.after(whole, name)
    ]
    return replace(found, moments=whole[name], why_split=f"{name}: {why}", look=[*found.look, *late])


def _equal(found: Relations, codes: dict[str, np.ndarray], target: str) -> Relations:
    """Whether equal rows are copies: if an identifier says so, or if there are none yet."""
    names = [c.name for c in found.columns if c.role != "ignore" or c.name in found.group]
    first = copies.distinct({name: codes[name] for name in [*names, target]})
    equal, found = int((~first).sum()), replace(found, different=int(first.sum()))
    if not equal:
        return replace(found, why_equal="no two rows are equal: one that comes again is a copy")
    copied = int((~copies.distinct(codes)).sum())
    key = next((column.name for column in found.columns if column.key), "")
    said = f"{equal:,} rows are equal to another one" if equal > 1 else "1 row is equal to another one"
    if not (key and copied):
        other = (
            f", and their {key} differs: they are others" if key else ", and no identifier says that they are copies"
        )
        return replace(found, equal="keep", why_equal=said + other)
    if copied == equal:
        return replace(found, why_equal=f"{said}, in {key} too: copies")
    return replace(found, carried=[key], why_equal=f"{copied:,} rows are equal to another one in {key}, too: copies")
