"""Recipe: the settings of `train:` that a new model starts with, from what its rows look like.

What it rests on is measured by benchmarks/quality.py. Nothing here knows a set, a file or a column: whoever wants
another value changes it in the model's YAML.
"""

import math
from typing import Any

TEST = 0.2  # of the rows, the latest of a series
VALIDATION = 0.1  # of the rows, `clean.split.validation`: enough to see when to stop, and the rest is for training
WINDOW, SHORT_WINDOW = 24, 12  # rows that a forecast of a series sees,
SHORT = 400  # the second, if a series has fewer rows than this,
WIDEST_WINDOW = 168  # and at most, where rows lack
FEW = 2000  # rows of a series below which its network is small and learns slowly
STEPS = 8000  # of a training on a series, about, unless it ends earlier
WIDEST = 2048  # values that all numbers of a row become together, about: so that many columns cost no endless training


def table(rows: int, features: int) -> dict[str, Any]:
    """The section `train` of a table, to be written as it is; the same for classes and for numbers.

    rows: of all splits. features: numbers and categories, at least one.
    """
    return {
        "network": "mlp",
        "hidden": [128],  # a second layer, or twice the units, won nothing on any set
        "wide": True,  # where the truth is nearly linear, it is learned at once, and the hidden layer adds the rest
        "numbers": "quantiles",  # against skew, extreme values, and curves that few units bend to
        "bins": bins(rows, features),
        "min_count": 10 if rows >= 1000 else 2,  # so that the place of unknown words is trained
        "dropout": 0.3,
        "weight_decay": 1.0,  # what few rows and a regression need; large classifications do not notice it
        "batch_size": batch_size(rows),
        "learning_rate": 0.001,
        "epochs": 200,  # a limit: the validation loss ends it after 15 to 75
        "early_stopping": {"patience": 10},
    }


def class_weights(metric: str) -> str:
    """metric: the one of `promote`. Classes are balanced for balanced_accuracy alone, however rare one is: where one of
    two had 2 % of the rows, that brought this metric from 0.69 to 0.88, cost 0.006 of ROC AUC, and left probabilities
    that are not true (log loss 0.29, not 0.06).
    """
    return "balanced" if metric == "balanced_accuracy" else "equal"


def bins(rows: int, features: int) -> int:
    """About 200 rows to a bin, from 8 to 64 bins, fewer where there are many columns."""
    return max(2, min(WIDEST // features, 64, max(8, rows // 200)))


def batch_size(rows: int) -> int:
    """A power of two, so that an epoch has at least twenty steps: from 32 to 256, beyond a million rows 1,024."""
    return 1024 if rows > 1_000_000 else 2 ** math.floor(math.log2(min(256, max(32, rows / 20))))


def images(rows: int, shape: list[int]) -> dict[str, Any]:
    """shape: [height, width, channels]."""
    filters = [16, 32] if min(shape[:2]) < 32 else [16, 32, 64]
    return {
        "network": "cnn",
        "filters": filters,
        "hidden": [128],
        "dropout": 0.3,
        "epochs": 20,
        "early_stopping": {"patience": 5},
        "batch_size": 64 if rows > 5000 else 32,
        "learning_rate": 0.001,
    }


def window(length: float, lacking: int) -> int:
    """Steps that a forecast sees: the usual number beyond a gap. length: rows of the middle one of the series; lacking:
    rows that a usual gap lacks."""
    return min(WIDEST_WINDOW, (WINDOW if length >= SHORT else SHORT_WINDOW) + lacking)


def sequence(rows: int) -> dict[str, Any]:
    """The section `train` of a forecast. rows: of all series.

    With few rows the network is small and learns slowly, in small steps away from the forecast that it begins with, so
    that early stopping can end it near that forecast.
    """
    few, batch = rows < FEW, batch_size(rows) if rows >= FEW else 16
    units = 16 if few else 32
    epochs = min(300, max(30, math.ceil(STEPS * batch / rows / 10) * 10))
    return {
        "network": "rnn",
        "recurrent": [units],
        "cell": "gru",
        "hidden": [units],
        "loss": "mean_absolute_error",
        "batch_size": batch,
        "learning_rate": 0.0003 if few else 0.001,
        "epochs": epochs,
        "early_stopping": {"patience": max(5, epochs // 10)},
    }
