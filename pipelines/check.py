"""Check: are the splits fit to train on and to be judged by?

    python -m pipelines check digits

    data/<model>/train.parquet, validation.parquet, test.parquet  ->  data/<model>/check.json

overlap: rows of validation whose features also occur in train, rows of test whose features occur in either.
leakage: a single feature that nearly gives the target away.
drift: how far each number's distribution in test is from that in train (Kolmogorov-Smirnov statistic).
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
from pipelines.config.rules import Rules
from pipelines.config.settings import FORMAT, Data
from pipelines.config.stage import Stage
from pipelines.errors import ExpectationError
from pipelines.table import expectations, id_sets, row_groups, rows
from pipelines.table.expectations import Suite

SAMPLE_ROWS = 100_000  # leakage and drift look at so many rows of a split, from all over it; the report says how many
SAMPLE_GROUPS = 20  # row groups that they are taken from
SAMPLE_CELLS = 50_000_000  # of all columns: of a table with thousands of them they look at fewer rows
TREE_ROWS = 20_000  # of them a tree is fitted on: more take minutes, and no copy of the target needs them
MOST_TREES = 200  # features of a table up to which each has its tree; of more, those that tell most of the target


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
            raise ValueError("a rule of level quarantine belongs to `validate`: here the splits are already made")
        return self


STAGE = Stage("check", Check, after="clean", preload="rules", refuses_data=True, report="check.json")


def run(model: str) -> None:
    data = settings.load(model, "data", Data)
    config = settings.load(model, "check", Check)
    folder = Path("data") / model
    report = check(folder, data, config, user_code.deriver(model))
    judge(report, folder, config, f"models/{model}.yaml")
    for words in expectations.warnings(report):
        visible_text.note(words)
    write_report(folder / "check.json", report)


def check(folder: Path, data: Data, config: Check, derive: user_code.Deriver | None = None) -> dict[str, Any]:
    """The report on the splits. derive: gives the columns that only rules see, by the model's own code."""
    columns = [*data.numbers, *data.categories, data.target]
    train = sample(folder / "train.parquet", columns)
    test = sample(folder / "test.parquet", columns)
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
    }


def sample(path: Path, columns: list[str]) -> pa.Table:
    """All rows, of which there are some; or SAMPLE_ROWS, or as many as have SAMPLE_CELLS, from all over the file, which
    may be sorted."""
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
    """The share of validation rows whose features are also those of a training row, and of test rows whose
    features are those of a training or validation row."""

    paths = [folder / f"{split}.parquet" for split in ("train", "validation", "test")]
    readers = [partial(_feature_ids, path, data) for path in paths]
    validation, test = id_sets.shares_known(readers, [row_groups.rows(path) for path in paths])
    return {"validation": validation, "test": test}


def _feature_ids(path: Path, data: Data) -> Iterator[np.ndarray]:
    return (rows.identify(batch, data.features) for batch in row_groups.batches(path, data.features))


def leakage(train: pa.Table, data: Data) -> dict[str, float]:
    """How well each feature alone gives the target, cross-validated: balanced accuracy, or R2 for a regression.

    One decision tree for each number and category (scikit-learn), or for the MOST_TREES with the closest neighbours.
    Images have no single feature that could be a copy, and a window holds nothing of the time of its target or later.
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
    """The rows that trees are fitted on [rows], in no order that the file gives: folds of a sorted one tell nothing.

    At most TREE_ROWS, but for rare classes, of a classification: of each class as many, and three if it has them.
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
    """The features that a tree is fitted for, in order: all, or the MOST_TREES whose neighbours are most alike.

    Where a feature gives the target away, rows with nearly the same value of it have nearly the same target. That takes
    one sort for each feature, a hundredth of the time of a tree.
    """
    if len(names) <= MOST_TREES:
        return names
    of_rows = np.random.default_rng(0).permutation(len(target))  # equal values: in no order that the file gives
    known = (np.unique(target, return_inverse=True)[1] if classify else target.astype(float))[of_rows]
    alike = [neighbours(_coded(train[name])[of_rows, 0], known, classify) for name in names]
    best = np.sort(np.argsort(-np.array(alike), kind="stable")[:MOST_TREES])
    return [names[index] for index in best]


def neighbours(values: np.ndarray, target: np.ndarray, classify: bool) -> float:
    """How much the targets [rows] of rows are alike that lie side by side by their values [rows]: 1 if they are equal.

    Of classes, from 0: the share of neighbours of the same class, a mean over the classes. Of numbers: what the squared
    differences leave of the variance (von Neumann 1941), 0 for a feature that tells nothing.
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
    """The Kolmogorov-Smirnov statistic of each number between train and test (scipy); the last one of a window."""
    from scipy.stats import ks_2samp

    result = {}
    for name in data.numbers:
        pair = [column[~np.isnan(column)] for column in (_last(t[name]) for t in (train, test))]
        if len(pair[0]) and len(pair[1]):
            result[name] = round(float(ks_2samp(*pair, method="asymp").statistic), 6)
    return result


def _last(column: pa.ChunkedArray) -> np.ndarray:
    """A column of numbers as doubles [rows]; of a column of windows the last one in each."""
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
    """Raises ExpectationError if a limit is passed, after keeping the report where it is not an output."""
    problems = [
        f"{share:.1%} of the {split} rows have the features of a row of {others} "
        f"(check.overlap allows {config.overlap:.1%})"
        for split, others in (("validation", "train"), ("test", "train or validation"))
        if (share := report["overlap"][split]) > config.overlap
    ]
    problems += [
        f"the feature {name!r} alone gives the target (score {score:.4f}, check.leakage allows {config.leakage:g})"
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
            f"See {kept}. Take out the feature or the rows, or change the limit in {where}.",
        )


def write_report(path: Path, report: dict[str, Any]) -> None:
    path.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")
