"""Small models of every kind in their folders, with raw rows for them: no training, so that each takes a second.

The weights are those that a network begins with, which is as good for a graph as any others.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipelines.config.data import Data
from pipelines.model import features, networks, statistics
from pipelines.model.predictor import Predictor, to_arrays
from pipelines.train import Train, save
from pipelines.training.data_loader import described

TABLE = Data(
    kind="table",
    task="classification",
    target="animal",
    columns={"weight": "number", "age": "number", "born": "date", "colour": "category", "food": "category"},
)
IMAGE = Data(kind="image", task="classification", target="tile", label="integer", shape=[6, 6, 3])
WORDS = {"colour": ["black", "brown", "white", "grün", ""], "food": ["fish", "meat", ""], "sky": ["clear", "cloud", ""]}


def raw(data: Data, rows: int = 60, seed: int = 0) -> pd.DataFrame:
    """Rows of a split file; one value in ten is missing."""
    random = np.random.default_rng(seed)
    if data.kind == "image":
        size = int(np.prod(data.shape))
        pixels = random.integers(0, 256, (rows, size), np.uint8)
        return pd.DataFrame({"image": [one.tobytes() for one in pixels], data.target: random.integers(0, 3, rows)})

    def number(*shape: int) -> np.ndarray:
        return np.where(random.random(shape) < 0.1, np.nan, random.normal(100.0, 50.0, shape))

    def word(name: str, *shape: int) -> np.ndarray:
        return random.choice(WORDS.get(name, ["a", "b", "c", ""]), shape).astype(object)

    found: dict[str, Any] = {}
    for name in data.features:
        at = pd.to_datetime(random.integers(1_500_000_000, 1_800_000_000, rows), unit="s", utc=True)
        if name in data.dates:
            found[name] = [None if one.second < 6 else one.isoformat() for one in at]
        elif data.kind == "sequence" and name in data.past_numbers:
            found[name] = list(number(rows, data.window))
        elif data.kind == "sequence" and name in data.past_categories:
            found[name] = list(word(name, rows, data.window))
        else:
            found[name] = word(name, rows) if name in data.categories else number(rows)
    classes = random.choice(["cat", "dog", "owl"], rows)
    return pd.DataFrame(found | {data.target: classes if data.task == "classification" else random.normal(3, 9, rows)})


def saved(folder: Path, data: Data, own: Any = None, **config: Any) -> Predictor:
    """The model of a configuration, untrained, in the folder. own(shape, outputs): a user's own network."""
    declared, rows = Train(**config), raw(data)
    arrays, target = to_arrays(rows, described(data)), rows[data.target].to_numpy()
    fitted = statistics.measure(data, lambda: [(arrays, target)], declared)
    before = features.features(data, fitted)
    shape, outputs = before.output.shape[1:], len(fitted.classes) or 1
    with networks.computed_in(declared.precision):
        places = features.places(data, fitted)
        made = own(shape, outputs) if own else networks.network(declared, shape, outputs, 0, columns=places)
        made = networks.answering(made)
    save(features.whole(before, made, fitted), data, declared, fitted, folder)
    return Predictor(folder)
