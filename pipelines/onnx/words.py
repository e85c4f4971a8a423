"""Words without lookup tables, which ONNX does not have.

Keras finds the position of a word in a StringLookup, and ONNX Runtime in a LabelEncoder. So the graph is cut there: the
model without its lookups takes positions, and a LabelEncoder for each column of words goes before it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.onnx.not_carried import NotCarried

COLUMN = re.compile(r"category_(\d+)")  # the names of the layers, as pipelines/model/features.py gives them
ALL = "categories_lookup"
UNKNOWN = 0  # the position of a word that the model has never seen, and of a missing one


@dataclass(frozen=True)
class Lookup:
    """The words of one column of an input, in the order of their positions, which count from 1.

    column: None if all columns of the input share the words.
    """

    input: str
    column: int | None
    words: list[str]


def lookups(model: Any, about: dict[str, Any]) -> list[Lookup]:
    """Those of a keras.Model. about: model.json. Raises NotCarried for one that features.py does not make."""
    import keras

    return [_lookup(layer, about) for layer in model.layers if isinstance(layer, keras.layers.StringLookup)]


def encoded(layer: Any, positions: Any) -> Any:
    """What a StringLookup makes of words, made of their positions, a KerasTensor int64 [..., 1] or [rows, columns]."""
    import keras

    if layer.output_mode == "int":
        return positions
    return keras.ops.one_hot(keras.ops.squeeze(positions, -1), layer.vocabulary_size(), dtype="float32")


def _lookup(layer: Any, about: dict[str, Any]) -> Lookup:
    one = COLUMN.fullmatch(layer.name)
    wanted = {"num_oov_indices": 1, "mask_token": None, "invert": False, "output_mode": "one_hot" if one else "int"}
    config = layer.get_config()
    if not (one or layer.name == ALL) or any(config[key] != value for key, value in wanted.items()):
        raise NotCarried(f"the layer {layer.name} looks words up in a way that ONNX does not have")
    words = [str(word) for word in layer.get_vocabulary(include_special_tokens=False)]
    if not one:
        return Lookup("categories", None, words)
    past, index = len(about.get("past", {}).get("categories", [])), int(one[1])
    return Lookup("past_categories", index, words) if index < past else Lookup("categories", index - past, words)


def encoder(known: list[Lookup], name: str, wanted: str) -> Iterator[Any]:
    """The onnx nodes and constants that turn the words of the input `name` into their positions, named `wanted`."""
    from onnx import helper, numpy_helper

    mine = [lookup for lookup in known if lookup.input == name]
    columns = []
    for lookup in mine:
        source = name
        if lookup.column is not None:
            index, source = f"{name}/{lookup.column}/index", f"{name}/{lookup.column}/words"
            yield numpy_helper.from_array(np.array([lookup.column], np.int64), index)
            yield helper.make_node("Gather", [name, index], [source], axis=-1)
        columns.append(f"{name}/{lookup.column}/positions" if len(mine) > 1 else wanted)
        yield helper.make_node(
            "LabelEncoder",
            [source],
            [columns[-1]],
            domain="ai.onnx.ml",
            keys_strings=lookup.words,
            values_int64s=list(range(1, len(lookup.words) + 1)),
            default_int64=UNKNOWN,
        )
    if len(columns) > 1:
        yield helper.make_node("Concat", columns, [wanted], axis=-1)
