"""Time in a graph: calendar numbers of dates, and the values in a window of a sequence.

All of it uses Keras' own operations, so that it is saved with the model.
"""

from typing import Any

import numpy as np

CYCLES = {"hour of day": 86_400.0, "day of week": 604_800.0, "day of year": 31_556_952.0}  # seconds; a year on average


def calendar(seconds: Any) -> Any:
    """Instants, in seconds since 1970 (UTC) [rows, n], NaN where missing -> float32 [rows, n * 7].

    For each instant: sine and cosine of the hour of the day, the day of the week and the day of the year, 0 if missing.
    At the end, for each instant, whether it was missing.
    """
    import keras

    missing = keras.ops.isnan(seconds)
    present = keras.ops.where(missing, 0.0, seconds)
    parts = []
    for length in CYCLES.values():
        angle = keras.ops.multiply(keras.ops.mod(present, length), 2 * np.pi / length)
        parts += [keras.ops.where(missing, 0.0, turned(angle)) for turned in (keras.ops.sin, keras.ops.cos)]
    return keras.ops.cast(keras.ops.concatenate([*parts, keras.ops.cast(missing, "float64")], axis=1), "float32")


def last_known(windows: Any, otherwise: float) -> Any:
    """Windows [rows, window] of one column, NaN where missing -> the last value that is known [rows, 1], in doubles.

    otherwise: the value if none is known.
    """
    import keras

    known = keras.ops.logical_not(keras.ops.isnan(windows))
    places = keras.ops.where(known, np.arange(1.0, windows.shape[1] + 1), 0.0)
    last = keras.ops.max(places, axis=1, keepdims=True)
    chosen = keras.ops.logical_and(known, keras.ops.equal(places, last))
    found = keras.ops.sum(keras.ops.where(chosen, windows, 0.0), axis=1, keepdims=True)
    return keras.ops.where(keras.ops.equal(last, 0.0), otherwise, found)


def steps(values: Any, window: int) -> Any:
    """Constant values of a window [rows, n], repeated for each of its steps: [rows, window, n]."""
    import keras

    return keras.layers.RepeatVector(window, name="at_each_step")(values)
