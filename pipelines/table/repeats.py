"""Repeats: do rows come from fewer entities than there are rows, such as customers, without a declared group?

Rows of one customer fail together, and a model meets in the test whom it knows from training. The split files show it:
the values of a column come again and again, on both sides of the split, and rows of one value are far more alike than
chance; or test rows are nearly copies of training rows. With `clean: split: key:` no value crosses the split. So a
column of alike rows that never crosses it is taken for the key, and nothing is reported.
"""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from pipelines.config.data import Data

FEWEST_ENTITIES = 20
ROWS_EACH = 3  # at least, on average
ALIKE = 0.5  # the mean intraclass correlation from which on the rows of a value are those of an entity
LEAST_COLUMNS = 2  # features beside the column: a target alone may follow from any category
MOST_CANDIDATES = 20  # columns that are tried,
MOST_COLUMNS = 50  # and with how many others each is compared
NEIGHBOURS = 4  # whole numbers that are put together: if the rows stay half as alike, the column is a measurement
CELL = 0.001  # of a standard deviation: numbers in a cell of this width are nearly equal
SHARE = 0.2  # of the test rows: so many nearly equal ones are reported
SAME_PAIRS = 4  # so many times as many pairs at most in cells ten times as wide: values of a continuum have ten times


def find(train: pa.Table, test: pa.Table, data: Data) -> dict[str, Any] | None:
    """`column`, `entities` and `rows` (of training), or `nearly_equal` (a share of the test rows); None for neither.

    train, test: numbers, categories, carried columns and target of the rows of a table, or of a sample.
    """
    others = _spread([*data.numbers, *data.categories], MOST_COLUMNS)
    shown = {name: _coded(train[name].to_pandas()) for name in [*others, data.target]}
    found: dict[str, Any] = {}
    for name, values in _candidates(train, data):
        codes = pd.factorize(values)[0]
        if _alike(values, codes, {other: column for other, column in shown.items() if other != name}, data) <= ALIKE:
            continue
        if not test[name].to_pandas().dropna().isin(values.unique()).any():
            return None
        found = found or {"column": name, "entities": int(codes.max()) + 1, "rows": int((codes >= 0).sum())}
    if found:
        return found
    share = nearly_equal(train.select(others), test.select(others))
    return {"nearly_equal": round(share, 6)} if share >= SHARE else None


def warnings(report: dict[str, Any]) -> list[str]:
    """What a report of `check` says of them, and what to do about it."""
    return [_told(report["repeats"])] if "repeats" in report else []


def _told(repeats: dict[str, Any]) -> str:
    if name := repeats.get("column"):
        rows = f"{repeats['rows']:,} training rows of {repeats['entities']:,}"
        repair = f"clean: split: {{by: hash, key: [{name}]}} keeps those of one in one split"
        return f"warning: rows repeat {name} ({rows}, alike): {repair}"
    repair = "clean: split: {by: hash, key: [...]} with its column keeps them in one split"
    found = f"{repeats['nearly_equal']:.0%} of the test rows are nearly equal to a training row"
    return f"warning: {found}; if they are of one entity, {repair}"


def _candidates(train: pa.Table, data: Data) -> list[tuple[str, pd.Series]]:
    """The columns whose values repeat as the names of entities would: words, or whole numbers."""
    found: list[tuple[str, pd.Series]] = []
    for name in [*data.carried, *data.categories, *data.numbers]:
        values = train[name].to_pandas()
        if name in data.numbers and not (values.dropna() % 1 == 0).all():
            continue
        if FEWEST_ENTITIES <= values.nunique() <= values.count() / ROWS_EACH and len(found) < MOST_CANDIDATES:
            found.append((name, values))
    return found


def _coded(column: pd.Series) -> np.ndarray:
    """Numbers as ranks, so that no extreme value decides, missing as NaN; words as numbers, missing as -1 [rows]."""
    return column.rank().to_numpy(float) if pd.api.types.is_float_dtype(column) else pd.factorize(column)[0]


def _alike(values: pd.Series, codes: np.ndarray, others: dict[str, np.ndarray], data: Data) -> float:
    """How alike the rows of one value are in the other columns: 0 as by chance, 1 if equal.

    The mean over the features, or with the target if that is less. codes: the number of each row's value [rows].
    """

    def mean(codes: np.ndarray) -> float:
        known = {name: intraclass(column, codes) for name, column in others.items()}
        target = known.pop(data.target)
        features = [value for value in known.values() if value is not None]
        if len(features) < LEAST_COLUMNS or target is None:
            return 0.0
        return float(min(np.mean(features), np.mean([*features, target])))

    alike = mean(codes)
    if alike <= ALIKE or not pd.api.types.is_numeric_dtype(values):
        return alike
    near = np.where(codes < 0, -1, values.rank(method="dense").fillna(0).to_numpy(int) // NEIGHBOURS)
    return 0.0 if mean(near) > alike / 2 else alike


def intraclass(values: np.ndarray, groups: np.ndarray) -> float | None:
    """The intraclass correlation of a column, by a one-way analysis of variance (Fisher, 1925); None if it is constant.

    Of words that of their indicators together: how much more often two rows of a group agree than any two rows.
    values: floats [rows], NaN for none, or numbers of words [rows], -1 for none; groups: [rows], -1 for none.
    """
    numbers = values.dtype.kind == "f"
    there = (groups >= 0) & (~np.isnan(values) if numbers else values >= 0)
    codes, values = groups[there], values[there]
    counts = np.bincount(codes).astype(float) if len(codes) else np.zeros(1)
    sizes = np.where(counts > 0, counts, 1.0)
    rows, many = len(codes), int((counts > 0).sum())
    if many < 2 or rows <= many:
        return None
    if numbers:
        centred = values - values.mean()
        total, between = float(centred @ centred), float((np.bincount(codes, centred) ** 2 / sizes).sum())
    else:
        kinds = int(values.max()) + 1
        pairs, found = np.unique(codes * kinds + values, return_counts=True)
        common = float((np.bincount(values).astype(float) ** 2).sum()) / rows
        total, between = rows - common, float((found.astype(float) ** 2 / sizes[pairs // kinds]).sum()) - common
    if total <= 0:
        return None
    across, within = between / (many - 1), (total - between) / (rows - many)
    typical = (rows - float((counts**2).sum()) / rows) / (many - 1)
    return (across - within) / (across + (typical - 1) * within)


def nearly_equal(train: pa.Table, test: pa.Table) -> float:
    """The share of test rows that are nearly equal to a training row, and equal to none.

    0 where numbers lie so close only because they fill a range: there wider cells hold many more pairs of rows.
    """
    both = pd.concat([train.to_pandas(), test.to_pandas()], ignore_index=True)
    floats = both.select_dtypes("float")
    numbers = floats.to_numpy(float) + 0.0  # one zero, not two
    words = [pd.factorize(column)[0].astype(np.uint64) for _, column in both.select_dtypes(exclude="float").items()]
    spread = floats[: train.num_rows].std(ddof=0).fillna(0.0).to_numpy(float)
    numbers, spread = numbers[:, spread > 0], spread[spread > 0]
    if not len(spread):
        return 0.0
    exact = pd.Series(_hashed(numbers.view(np.uint64), words))
    once = ~exact.duplicated().to_numpy()

    def cells(width: float) -> pd.Series:
        place = np.nan_to_num(np.round(numbers / (spread * width)), nan=2.0**62, posinf=2.0**61, neginf=-(2.0**61))
        return pd.Series(_hashed(place.astype(np.int64).view(np.uint64), words))

    narrow, wide = cells(CELL)[once], cells(10 * CELL)[once]
    pairs, wider = (float((count * (count - 1) / 2).sum()) for count in map(pd.Series.value_counts, (narrow, wide)))
    if wider > SAME_PAIRS * pairs:
        return 0.0
    tested = narrow.index >= train.num_rows
    return float(narrow[tested].isin(narrow[~tested]).sum()) / max(1, test.num_rows)


def _hashed(numbers: np.ndarray, words: list[np.ndarray]) -> np.ndarray:
    """One number for each row [rows] of whole numbers [rows, columns] and of words [rows] each."""
    factors = np.random.default_rng(0).integers(1, 2**63, numbers.shape[1] + len(words), np.uint64) | np.uint64(1)
    mixed = (numbers ^ (numbers >> np.uint64(32))) * factors[: numbers.shape[1]]
    found = (mixed ^ (mixed >> np.uint64(29))).sum(axis=1, dtype=np.uint64)
    for column, factor in zip(words, factors[numbers.shape[1] :], strict=True):
        found += column * factor
    return found


def _spread(names: list[str], most: int) -> list[str]:
    """At most so many names, from all over the list."""
    return [names[index] for index in np.unique(np.linspace(0, len(names) - 1, min(most, len(names))).astype(int))]
