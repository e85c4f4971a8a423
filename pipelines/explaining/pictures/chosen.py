"""Which test rows are drawn: the most typical of each class, and the most wrong ones."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines import visible_text

if TYPE_CHECKING:  # half a second to import, and needed only where rows are at hand
    import pandas as pd

MOST = 10  # rows of each kind
LETTERS = 13  # of the name of a class below a picture


@dataclass(frozen=True)
class Chosen:
    """rows: int [n], places in the test split. outputs: int [n], the output that is explained of each. titles: two
    lines for each."""

    rows: np.ndarray
    outputs: np.ndarray
    titles: list[str]


def typical(predictions: "pd.DataFrame", classes: list[Any], most: int = MOST) -> Chosen:
    """The right answer with the highest probability to each class, of the largest classes in their order. Of a
    regression the smallest error in each of `most` parts of the test rows, from the lowest target to the highest.

    predictions: of evaluate.py, those of all test rows. classes: of model.json, [] for a regression.
    """
    if not classes:
        order = np.argsort(predictions["actual"].to_numpy(), kind="stable")
        errors = _errors(predictions)
        found = [part[errors[part].argmin()] for part in np.array_split(order, most) if len(part)]
        return _of_numbers(predictions, np.array(found, int))
    actual, sure = predictions["actual"].to_numpy(), _probabilities(predictions, classes)
    right = sure.argmax(axis=1) == _places(actual, classes)
    counts = np.array([(actual == name).sum() for name in classes])
    found = []
    for place in np.sort(np.argsort(-counts, kind="stable")[:most]):
        rows = np.flatnonzero(right & (actual == classes[place]))
        found += [rows[sure[rows, place].argmax()]] if len(rows) else []
    return _of_classes(predictions, classes, np.array(found, int))


def wrong(predictions: "pd.DataFrame", classes: list[Any], most: int = MOST) -> Chosen:
    """The wrong answers with the highest probability, or the largest errors of a regression, the worst first."""
    if not classes:
        return _of_numbers(predictions, np.argsort(-_errors(predictions), kind="stable")[:most])
    sure = _probabilities(predictions, classes)
    rows = np.flatnonzero(sure.argmax(axis=1) != _places(predictions["actual"].to_numpy(), classes))
    order = np.argsort(-sure[rows].max(axis=1), kind="stable")
    return _of_classes(predictions, classes, rows[order][:most])


def _errors(predictions: "pd.DataFrame") -> np.ndarray:
    return np.abs(predictions["prediction"].to_numpy(float) - predictions["actual"].to_numpy(float))


def _probabilities(predictions: "pd.DataFrame", classes: list[Any]) -> np.ndarray:
    """float32 [rows, classes]."""
    return predictions[[f"probability_{name}" for name in classes]].to_numpy()


def _places(actual: np.ndarray, classes: list[Any]) -> np.ndarray:
    """int [rows]: the place of each class among all; -1 for one that the model does not know."""
    places = {name: place for place, name in enumerate(classes)}
    return np.array([places.get(name, -1) for name in actual.tolist()], int)


def _of_classes(predictions: "pd.DataFrame", classes: list[Any], rows: np.ndarray) -> Chosen:
    sure = _probabilities(predictions, classes)[rows]
    outputs, actual = sure.argmax(axis=1), predictions["actual"].to_numpy()[rows]
    titles = [
        f"answer {_short(classes[output])}, {_percent(float(chance))}\nactual {_short(name)}"
        for output, chance, name in zip(outputs, sure.max(axis=1, initial=0.0), actual.tolist(), strict=True)
    ]
    return Chosen(rows, outputs, titles)


def _of_numbers(predictions: "pd.DataFrame", rows: np.ndarray) -> Chosen:
    both = predictions[["prediction", "actual"]].to_numpy(float)[rows]
    titles = [f"answer {answer:.4g}\nactual {actual:.4g}" for answer, actual in both]
    return Chosen(rows, np.zeros(len(rows), int), titles)


def _percent(chance: float) -> str:
    """Never rounded up to 100 %."""
    return f"{np.floor(chance * 1000) / 10:.1f} %" if chance < 1 else "100 %"


def _short(name: Any) -> str:
    text = visible_text.line(str(name))
    return text if len(text) <= LETTERS else text[: LETTERS - 1] + "…"
