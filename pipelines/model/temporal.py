"""Time in a graph: calendar numbers of dates, the values in a window of a sequence, and its forecast without a model.

All of it uses Keras' own operations, so that it is saved with the model.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.config.data import Data

if TYPE_CHECKING:  # half a second to import, and needed only where rows are at hand
    import pandas as pd

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


def mean_known(windows: Any, otherwise: float) -> Any:
    """Windows [rows, window] of one column, NaN where missing -> the mean of what is known [rows, 1], in doubles.

    otherwise: the value if nothing is known.
    """
    import keras

    known = keras.ops.logical_not(keras.ops.isnan(windows))
    total = keras.ops.sum(keras.ops.where(known, windows, 0.0), axis=1, keepdims=True)
    count = keras.ops.sum(keras.ops.cast(known, "float64"), axis=1, keepdims=True)
    return keras.ops.where(keras.ops.equal(count, 0.0), otherwise, total / keras.ops.maximum(count, 1.0))


def steps(values: Any, window: int) -> Any:
    """Constant values of a window [rows, n], repeated for each of its steps: [rows, window, n]."""
    import keras

    return keras.layers.RepeatVector(window, name="at_each_step")(values)


def baseline(inputs: Any, wanted: str | None, otherwise: float) -> Any:
    """The naive forecast of each row [rows, 1], in doubles. inputs: arrays of predictor.to_arrays, of a sequence.

    wanted: `data.baseline`. otherwise: the value if nothing is known. A seasonal forecast that is not known is the
    last known value.
    """
    import keras

    windows = inputs["past_numbers"][:, :, -1]
    if wanted == "mean":
        return mean_known(windows, otherwise)
    last = last_known(windows, otherwise)
    if wanted in (None, "last"):
        return last
    seasonal = inputs["numbers"][:, :1]
    if wanted == "season_and_change":
        seasonal = keras.ops.add(seasonal, keras.ops.subtract(last, inputs["numbers"][:, 1:2]))
    return keras.ops.where(keras.ops.isnan(seasonal), last, seasonal)


def baseline_of_rows(frame: "pd.DataFrame", data: Data) -> np.ndarray:
    """The same of the rows of a split file [rows]; NaN where nothing is known. A test holds the two equal."""
    import pandas as pd

    windows = pd.DataFrame(np.stack(frame[data.past_target].to_list()).astype(np.float64))
    if data.baseline == "mean":
        return windows.mean(axis=1).to_numpy()
    last = windows.ffill(axis=1).iloc[:, -1]
    if data.baseline in (None, "last"):
        return last.to_numpy()
    before, then = (frame[name].reset_index(drop=True).astype(float) for name in list(data.lags)[:2])
    found = before + (last - then) if data.baseline == "season_and_change" else before
    return found.fillna(last).to_numpy()
