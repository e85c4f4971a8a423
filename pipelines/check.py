"""Check: are the splits fit for training and for the test?

    python -m pipelines check digits

    data/<model>/train.parquet, validation.parquet, test.parquet  ->  data/<model>/check.json

overlap: validation rows whose features also occur in train, and test rows whose features occur in either.
leakage: a single feature that nearly reveals the target.
drift: how much each number's distribution differs between test and train (Kolmogorov-Smirnov statistic).
repeats: rows of fewer entities than rows, such as customers, without a declared group. It is a warning.
rules: expectations, as in `validate`, on the training split. A failed run leaves data/<model>/failed/check.json.
"""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from pipelines import visible_text
from pipelines.config import settings, user_code
from pipelines.config.data import Data
from pipelines.config.rules import Rules
from pipelines.config.settings import FORMAT
from pipelines.config.stage import Stage
from pipelines.errors import ExpectationError
from pipelines.table import expectations, id_sets, repeats, row_groups, rows
from pipelines.table.expectations import Suite

SAMPLE_ROWS = 100_000  # leakage and drift use so many rows from all parts of a split; the report has the number
SAMPLE_GROUPS = 20  # row groups of the sample
SAMPLE_CELLS = 50_000_000  # of all columns: a table with thousands of columns has a smaller sample
TREE_ROWS = 20_000  # of the sample, for each tree: more take minutes, and fewer find a copy of the target too
MOST_TREES = 200  # up to so many features each get a tree; of more, only those that say most about the target


class Check(Rules):
    """What must hold for the splits. Its rules apply to the training split and cannot have the level `quarantine`."""

    overlap: float = Field(0.0, ge=0, le=1)
    """The largest share of a split's rows whose features also occur in an earlier split."""
    leakage: float = Field(0.999, gt=0, le=1)
    """The largest score that one feature may reach alone: balanced accuracy or R2."""
    drift: float = Field(1.0, gt=0, le=1)
    """The largest Kolmogorov-Smirnov statistic of a number between training and test."""

    @model_validator(mode="after")
    def _nothing_to_quarantine(self) -> "Check":
        if any(rule.level == "quarantine" for rule in self.rules):
            raise ValueError("a rule of level quarantine belongs in `validate`: here the splits are already made")
        return self


STAGE = Stage("check", Check, after="clean", preload="rules", refuses_data=True, report="check.json")


def run(model: str) -> None:
    data = settings.load(model, "data", Data)
    config = settings.load(model, "check", Check)
    folder = Path("data") / model
    report = check(folder, data, config, user_code.deriver(model))
    judge(report, folder, config, f"models/{model}.yaml")
    for words in [*expectations.warnings(report), *repeats.warnings(report)]:
        visible_text.note(words)
    write_report(folder / "check.json", report)


def check(folder: Path, data: Data, config: Check, derive: user_code.Deriver | None = None) -> dict[str, Any]:
    """The report on the splits. derive: makes the columns that only rules see, by the model's own code."""
    columns = [*data.numbers, *data.categories, data.target]
    train = sample(folder / "train.parquet", columns)
    test = sample(folder / "test.parquet", columns)
    found = _repeats(folder, data)
    return {
        "format": FORMAT,
        "sample_rows": {
            "train": train.num_rows,
            "test": test.num_rows,
            "of_train": row_groups.rows(folder / "train.parquet"),
        },
        "overlap": overlap(folder, data),
        "leakage": leakage(train, data),
        "drift": drift(train, test, data),
        "rules": _rules(folder / "train.parquet", data, config, derive),
    } | ({"repeats": found} if found else {})


def _repeats(folder: Path, data: Data) -> dict[str, Any] | None:
    if data.kind != "table":
        return None
    columns = [*data.numbers, *data.categories, *data.carried, data.target]
    train, test = (sample(folder / f"{split}.parquet", columns) for split in ("train", "test"))
    return repeats.find(train, test, data)


def sample(path: Path, columns: list[str]) -> pa.Table:
    """All rows (there is at least one), or a sample of SAMPLE_ROWS rows or SAMPLE_CELLS cells. It comes from all parts
    of the file, because the file may be sorted."""
    most, sizes = max(1, min(SAMPLE_ROWS, SAMPLE_CELLS // len(columns))), np.array(row_groups.group_rows(path))
    groups = np.arange(len(sizes))
    if sizes.sum() > most:
        groups = np.unique(np.linspace(0, len(sizes) - 1, SAMPLE_GROUPS).astype(int))
    share = min(1.0, most / sizes[groups].sum())
    return pa.Table.from_batches([_evenly(batch, share) for batch in row_groups.batches(path, columns, groups)])


def _evenly(batch: pa.RecordBatch, share: float) -> pa.RecordBatch:
    count = max(1, round(batch.num_rows * share))
    return batch.take(pa.array(np.linspace(0, batch.num_rows - 1, count).astype(int)))


def overlap(folder: Path, data: Data) -> dict[str, float]:
    """The share of validation rows with the features of a training row, and of test rows with the features of a
    training or validation row."""

    paths = [folder / f"{split}.parquet" for split in ("train", "validation", "test")]
    readers = [partial(_feature_ids, path, data) for path in paths]
    validation, test = id_sets.shares_known(readers, [row_groups.rows(path) for path in paths])
    return {"validation": validation, "test": test}


def _feature_ids(path: Path, data: Data) -> Iterator[np.ndarray]:
    return (rows.identify(batch, data.features) for batch in row_groups.batches(path, data.features))


def leakage(train: pa.Table, data: Data) -> dict[str, float]:
    """How well each feature alone predicts the target, cross-validated: balanced accuracy, or R2 for a regression.

    One decision tree for each number and category (scikit-learn), or for the MOST_TREES with the closest neighbours.
    An image has no single feature that could be a copy, and a window ends before the time of its target.
    """
    if data.kind != "table":
        return {}
    from sklearn.model_selection import cross_val_score
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    classify = data.task == "classification"
    train = train.take(pa.array(enough(train[data.target].to_numpy(), classify)))
    target = np.array(train[data.target].to_pylist())
    tree = (DecisionTreeClassifier if classify else DecisionTreeRegressor)(random_state=0)
    scoring = "balanced_accuracy" if classify else "r2"
    folds = min(3, np.unique(target, return_counts=True)[1].min() if classify else len(target) // 2)
    if folds < 2:
        return {}  # too few rows to hold any out
    scores = {
        name: cross_val_score(tree, _coded(train[name]), target, scoring=scoring, cv=folds).mean()
        for name in telling(train, [*data.numbers, *data.categories], target, classify)
    }
    return {name: round(float(score), 6) for name, score in scores.items()}


def enough(target: np.ndarray, classify: bool) -> np.ndarray:
    """The rows for the trees [rows], shuffled, because folds of a sorted file are useless.

    At most TREE_ROWS. A classification takes equally many of each class, at least three if it has them, even if the
    total then exceeds TREE_ROWS.
    """
    order = np.random.default_rng(0).permutation(len(target))
    if not classify:
        return order[:TREE_ROWS]
    codes, counts = np.unique(target[order], return_inverse=True, return_counts=True)[1:]
    by_class = np.argsort(codes, kind="stable")
    place = np.empty(len(target), np.int64)  # among the rows of its class
    place[by_class] = np.arange(len(target)) - np.repeat(np.cumsum(counts) - counts, counts)
    return order[place < max(3, TREE_ROWS // len(counts))]


def telling(train: pa.Table, names: list[str], target: np.ndarray, classify: bool) -> list[str]:
    """The features that get a tree, in order: all, or the MOST_TREES whose neighbours are most alike.

    If a feature reveals the target, rows with nearly the same value have nearly the same target. This check takes one
    sort for each feature, a hundredth of the time of a tree.
    """
    if len(names) <= MOST_TREES:
        return names
    of_rows = np.random.default_rng(0).permutation(len(target))  # equal values: not in the order of the file
    known = (np.unique(target, return_inverse=True)[1] if classify else target.astype(float))[of_rows]
    alike = [neighbours(_coded(train[name])[of_rows, 0], known, classify) for name in names]
    best = np.sort(np.argsort(-np.array(alike), kind="stable")[:MOST_TREES])
    return [names[index] for index in best]


def neighbours(values: np.ndarray, target: np.ndarray, classify: bool) -> float:
    """How similar the targets [rows] of neighbours are when rows are sorted by their values [rows]: 1 if equal.

    Classes: the share of neighbours of the same class, from 0, a mean over the classes. Numbers: the part of the
    variance that the squared differences leave (von Neumann 1941), 0 for a feature that says nothing.
    """
    ordered = target[np.argsort(values, kind="stable")]
    if not classify:
        return float(1 - np.square(np.diff(ordered)).mean() / max(2 * ordered.var(), np.finfo(float).tiny))
    same = ordered[1:] == ordered[:-1]
    classes = ordered.max() + 1
    rows, found = (
        np.bincount(ordered[1:], weights, classes) + np.bincount(ordered[:-1], weights, classes)
        for weights in (None, same)
    )
    return float((found / rows).mean())


def _coded(column: pa.ChunkedArray) -> np.ndarray:
    """A column as [rows, 1] doubles: categories by number, missing as NaN, which trees accept."""
    if pa.types.is_string(column.type):
        codes = column.combine_chunks().dictionary_encode().indices.to_pandas()
        return codes.to_numpy(float).reshape(-1, 1)
    return column.to_numpy().astype(float).reshape(-1, 1)


def drift(train: pa.Table, test: pa.Table, data: Data) -> dict[str, float]:
    """The Kolmogorov-Smirnov statistic of each number between train and test (scipy); of a window, its last value."""
    from scipy.stats import ks_2samp

    result = {}
    for name in data.numbers:
        pair = [column[~np.isnan(column)] for column in (_last(t[name]) for t in (train, test))]
        if len(pair[0]) and len(pair[1]):
            result[name] = round(float(ks_2samp(*pair, method="asymp").statistic), 6)
    return result


def _last(column: pa.ChunkedArray) -> np.ndarray:
    """A column of numbers as doubles [rows]; for a column of windows the last number of each."""
    if pa.types.is_fixed_size_list(column.type):
        column = pc.list_element(column, column.type.list_size - 1)
    return np.asarray(column.to_numpy().astype(float))


def _rules(path: Path, data: Data, config: Check, derive: user_code.Deriver | None) -> list[dict[str, Any]]:
    if not config.rules:
        return []
    suite = Suite(config, row_groups.rows(path), sensitive=data.sensitive)
    for frame in expectations.read(path, config, data, derive):
        suite.feed(frame)
    return suite.report()


def judge(report: dict[str, Any], folder: Path, config: Check, where: str) -> None:
    """Raises ExpectationError if a limit is exceeded, after saving the report outside the outputs."""
    problems = [
        f"{share:.1%} of the {split} rows have the features of a row of {others} "
        f"(check.overlap allows {config.overlap:.1%})"
        for split, others in (("validation", "train"), ("test", "train or validation"))
        if (share := report["overlap"][split]) > config.overlap
    ]
    problems += [
        f"the feature {name!r} alone predicts the target (score {score:.4f}, check.leakage allows {config.leakage:g})"
        for name, score in report["leakage"].items()
        if score > config.leakage
    ]
    problems += [
        f"the column {name!r} is distributed differently in test ({value:.3f}, check.drift allows {config.drift:g})"
        for name, value in report["drift"].items()
        if value > config.drift
    ]
    problems += [
        expectations.told(entry) for entry in report["rules"] if entry["level"] == "stop" and not entry["success"]
    ]
    kept = folder / "failed" / "check.json"
    kept.unlink(missing_ok=True)
    if problems:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_report(kept, report)
        raise ExpectationError(
            f"The splits of {folder} are not fit to use: {'; '.join(problems)}.",
            f"See {kept}. Remove the feature or the rows, or change the limit in {where}.",
        )


def write_report(path: Path, report: dict[str, Any]) -> None:
    path.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")
