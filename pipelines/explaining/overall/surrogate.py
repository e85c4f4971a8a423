"""Rules that answer nearly as the model does: a small tree, fitted to the model's answers and not to the truth.

How nearly stands beside them, on rows that the tree has not seen, with what a single answer for all rows would reach.
Rules that are no better than that are refused.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from pipelines import visible_text
from pipelines.explaining.columns import Arrays, Column, values

LEVELS = 3
WORDS = 20  # of a column that a rule may ask for, at most: the most frequent ones
LEAST_SHARE, LEAST_ROWS = 0.01, 5  # of the training rows in a leaf


@dataclass(frozen=True)
class Question:
    """One column of the tree's table. words: how a rule asks; date: whether its threshold is an instant."""

    name: str
    column: Column
    word: str | None = None
    of_window: str = ""  # "last" or "mean"
    date: bool = False

    def values(self, arrays: Arrays) -> np.ndarray:
        """float64 [rows], NaN where missing."""
        found = values(arrays, self.column)
        if self.word is not None:
            return (found == self.word).astype(np.float64)
        if self.of_window == "last":
            return found[:, -1]
        if self.of_window == "mean":
            known = ~np.isnan(found)
            total = np.where(known, found, 0.0).sum(axis=1)
            return np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan)
        return found

    def asked(self, threshold: float, lower: bool) -> str:
        """The condition of one side: lower for values up to the threshold."""
        name = visible_text.line(self.name)
        if self.word is not None:
            return f"{name} is {'not ' if lower else ''}{_quoted(self.word)}"
        if not np.isfinite(threshold):  # the tree asks only whether there is a value
            return f"{name} is {'known' if lower else 'missing'}"
        told = f"{threshold:.4g}"
        if self.date:
            told = datetime.fromtimestamp(threshold, UTC).isoformat(timespec="minutes")
        return f"{name} {'<=' if lower else '>'} {told}"


@dataclass(frozen=True)
class Rules:
    """text: the rules, a line for each condition and answer, "" if refused. fidelity: of the test rows, the share with
    the model's class, or R2 of the model's number. majority: what one answer for all rows reaches. refused: why."""

    text: str
    fidelity: float | None
    majority: float | None
    refused: str


def rules(
    train: Arrays, answered: np.ndarray, test: Arrays, wanted: np.ndarray, columns: Sequence[Column], classes: list
) -> Rules:
    """train, test: rows; answered, wanted: the model's answers to them, float32 [rows, outputs]."""
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    asked = list(questions(train, columns))
    if not asked:
        return Rules("", None, None, "there is no column that rules could ask for")
    table, rows = (np.column_stack([question.values(found) for question in asked]) for found in (train, test))
    labels, truth = (_labels(found, bool(classes)) for found in (answered, wanted))
    least = max(LEAST_ROWS, round(LEAST_SHARE * len(table)))
    kind = DecisionTreeClassifier if classes else DecisionTreeRegressor
    tree = kind(max_depth=LEVELS, min_samples_leaf=least, random_state=0).fit(table, labels)
    fidelity, majority = _fidelity(truth, tree.predict(rows), labels, bool(classes))
    if fidelity <= majority:
        told = "the share of the most frequent class" if classes else "the mean for all rows"
        return Rules("", fidelity, majority, f"they would be no better than {told}")
    gaps = np.isnan(table).any(axis=0)
    return Rules("\n".join(_lines(tree, asked, gaps, classes)), fidelity, majority, "")


def questions(arrays: Arrays, columns: Sequence[Column]) -> Iterator[Question]:
    """What rules may ask: numbers, dates, whether a word is one of the frequent, and of a window its last and mean."""
    for column in columns:
        if column.array == "past_numbers":
            yield Question(f"the last {column.name}", column, of_window="last")
            yield Question(f"the mean {column.name}", column, of_window="mean")
        elif column.array == "categories":
            words, counts = np.unique(values(arrays, column).astype(str), return_counts=True)
            for word in words[np.argsort(-counts, kind="stable")][:WORDS].tolist():
                yield Question(column.name, column, word=word)
        elif column.array != "past_categories":
            yield Question(column.name, column, date=column.array == "dates")


def _labels(outputs: np.ndarray, classes: bool) -> np.ndarray:
    return outputs.argmax(axis=1) if classes else outputs[:, 0].astype(np.float64)


def _fidelity(wanted: np.ndarray, given: np.ndarray, trained: np.ndarray, classes: bool) -> tuple[float, float]:
    """(of the rules, of one answer for all): the share of the same class; R2 of numbers, where the mean reaches 0."""
    if classes:
        most = np.bincount(trained).argmax()
        return float((wanted == given).mean()), float((wanted == most).mean())
    spread = float(((wanted - wanted.mean()) ** 2).sum())
    return (1 - float(((wanted - given) ** 2).sum()) / spread if spread else 0.0), 0.0


def _lines(tree: Any, asked: list[Question], gaps: np.ndarray, classes: list, node: int = 0) -> Iterator[str]:
    """gaps: bool [questions], whether a training row lacks the value."""
    found = tree.tree_
    if found.children_left[node] < 0:
        yield _answer(found, node, tree, classes)
        return
    place, threshold = found.feature[node], float(found.threshold[node])
    for lower in (True, False):
        condition = asked[place].asked(threshold, lower)
        if np.isfinite(threshold) and gaps[place] and bool(found.missing_go_to_left[node]) == lower:
            condition += ", or it is missing"
        yield f"if {condition}:"
        child = found.children_left[node] if lower else found.children_right[node]
        yield from (f"  {line}" for line in _lines(tree, asked, gaps, classes, child))


def _answer(found: Any, node: int, tree: Any, classes: list) -> str:
    rows = int(found.n_node_samples[node])
    if not classes:
        return f"about {float(found.value[node].ravel()[0]):.4g}  ({rows:,} training rows)"
    shares = found.value[node].ravel() / found.value[node].sum()
    place = int(shares.argmax())
    name = visible_text.line(str(classes[int(tree.classes_[place])]))
    return f"{name}  ({rows:,} training rows, {shares[place]:.0%} of them)"


def _quoted(word: str) -> str:
    return f"'{visible_text.line(word)}'" if word else "missing"
