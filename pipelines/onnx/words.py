"""Words without lookup tables, which ONNX does not have.

Keras finds the position of a word in a StringLookup, and ONNX Runtime in a LabelEncoder. So the graph is cut there: the
model without its lookups takes positions, and what finds them goes before it. All columns of an input go together: each
operation costs a single row as much as hundreds of comparisons.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from pipelines.onnx.not_carried import NotCarried

COLUMN = re.compile(r"category_(\d+)")  # the names of the layers, as pipelines/model/features.py gives them
ALL = "categories_lookup"
UNKNOWN = 0  # the position of a word that the model has never seen, and of a missing one
MOST_ENTRIES = 250_000  # of a table that has every word of an input for every column of it


@dataclass(frozen=True)
class Lookup:
    """The words of one column of an input, in the order of their positions, which count from 1.

    column: None if all columns of the input share the words.
    """

    layer: str
    input: str
    column: int | None
    words: list[str]


def lookups(model: Any, about: dict[str, Any]) -> list[Lookup]:
    """Those of a keras.Model, by input and column. about: model.json.

    Raises NotCarried for one that features.py does not make.
    """
    import keras

    found = [_lookup(layer, about) for layer in model.layers if isinstance(layer, keras.layers.StringLookup)]
    return sorted(found, key=lambda lookup: (lookup.input, lookup.column or 0))


def _lookup(layer: Any, about: dict[str, Any]) -> Lookup:
    one = COLUMN.fullmatch(layer.name)
    wanted = {"num_oov_indices": 1, "mask_token": None, "invert": False, "output_mode": "one_hot" if one else "int"}
    config = layer.get_config()
    if not (one or layer.name == ALL) or any(config[key] != value for key, value in wanted.items()):
        raise NotCarried(f"the layer {layer.name} looks words up in a way that ONNX does not have")
    words = [str(word) for word in layer.get_vocabulary(include_special_tokens=False)]
    if not one:
        return Lookup(layer.name, "categories", None, words)
    past, index = len(about.get("past", {}).get("categories", [])), int(one[1])
    place = ("past_categories", index) if index < past else ("categories", index - past)
    return Lookup(layer.name, *place, words)


@dataclass(frozen=True)
class Encoded:
    """What the lookups of one input make of its words: KerasTensors.

    parts: by the name of the layer, in the order of the columns. together: all parts side by side.
    """

    together: Any
    parts: dict[str, Any]

    def of_layers(self, tensors: list[Any]) -> list[Any]:
        """The tensors to be joined; all parts in a row become the one tensor that they are cut from."""
        ids, mine = [id(tensor) for tensor in tensors], [id(part) for part in self.parts.values()]
        for start in range(len(ids) - len(mine) + 1):
            if ids[start : start + len(mine)] == mine:
                return [*tensors[:start], self.together, *tensors[start + len(mine) :]]
        return tensors


def encoded(positions: Any, mine: list[Lookup]) -> Encoded:
    """positions: of the words of an input, a KerasTensor int64 [..., columns]. mine: the lookups of this input."""
    if mine[0].column is None:
        return Encoded(positions, {mine[0].layer: positions})
    sizes = [len(lookup.words) + 1 for lookup in mine]
    columns = np.repeat([lookup.column for lookup in mine], sizes)
    own = np.concatenate([np.arange(size) for size in sizes])

    def one_hot(values: Any) -> Any:
        from keras import ops

        return ops.cast(ops.equal(ops.take(values, columns, axis=-1), own), "float32")

    together = _step(f"{mine[0].input}_one_hot", one_hot, positions)
    parts, start = {}, 0
    for lookup, size in zip(mine, sizes, strict=True):
        parts[lookup.layer] = _step(lookup.layer, partial(_columns, start=start, end=start + size), together)
        start += size
    return Encoded(together, parts)


def _columns(values: Any, start: int, end: int) -> Any:
    return values[..., start:end]


def _step(name: str, work: Callable[[Any], Any], values: Any) -> Any:
    """One step in the graph of a model. Operations of Keras' own would take names that are in the model already."""
    import keras

    class Step(keras.layers.Layer):
        def call(self, values: Any) -> Any:
            return work(values)

    return Step(name=name)(values)


def finders(mine: list[Lookup], name: str, wanted: str) -> Iterator[Any]:
    """The onnx nodes and constants that turn the words of the input `name` into their positions, named `wanted`."""
    from onnx import helper, numpy_helper

    every = sorted({word for lookup in mine for word in lookup.words})
    if len(mine) == 1:
        yield _finder(mine[0].words, name, wanted)
    elif len(mine) * (len(every) + 1) > MOST_ENTRIES:
        yield from _one_by_one(mine, name, wanted)
    else:
        number = {word: index for index, word in enumerate(every, 1)}
        table = np.full((len(mine), len(every) + 1), UNKNOWN, np.int64)
        for row, lookup in zip(table, mine, strict=True):
            row[[number[word] for word in lookup.words]] = np.arange(1, len(lookup.words) + 1)
        starts = np.arange(len(mine)) * (len(every) + 1)
        yield numpy_helper.from_array(starts, f"{name}/starts")
        yield numpy_helper.from_array(table.ravel(), f"{name}/table")
        yield _finder(every, name, f"{name}/numbers")
        yield helper.make_node("Add", [f"{name}/numbers", f"{name}/starts"], [f"{name}/entries"])
        yield helper.make_node("Gather", [f"{name}/table", f"{name}/entries"], [wanted])


def _one_by_one(mine: list[Lookup], name: str, wanted: str) -> Iterator[Any]:
    """The same, a column at a time."""
    from onnx import helper, numpy_helper

    columns = []
    for lookup in mine:
        place = f"{name}/{lookup.column}"
        yield numpy_helper.from_array(np.array([lookup.column], np.int64), f"{place}/index")
        yield helper.make_node("Gather", [name, f"{place}/index"], [f"{place}/words"], axis=-1)
        yield _finder(lookup.words, f"{place}/words", f"{place}/positions")
        columns.append(f"{place}/positions")
    yield helper.make_node("Concat", columns, [wanted], axis=-1)


def _finder(words: list[str], source: str, wanted: str) -> Any:
    """The onnx node that finds the position of each word, from 1."""
    from onnx import helper

    return helper.make_node(
        "LabelEncoder",
        [source],
        [wanted],
        domain="ai.onnx.ml",
        keys_strings=words,
        values_int64s=list(range(1, len(words) + 1)),
        default_int64=UNKNOWN,
    )
