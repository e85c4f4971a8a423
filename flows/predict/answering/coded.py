"""A model's own graph with its words as numbers, for several batches in one call: the same bits in half the time.

The lookup of a word takes TensorFlow longer than the rest of a small network. Arrow finds the words of a piece in the
vocabularies, and the graph begins behind its lookups, with what these would have given. Features are computed for
several batches at once, as each value depends on its row alone; the network gets each batch alone, as recorded.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flows.predict.answering import arrays

TOGETHER = 8  # batches in one call


def of_predictor(predictor: Any) -> "Coded | None":
    """None for a model whose graph is not that of a table with numbers and words, as pipelines/model/features.py
    makes it. (Sine and cosine of dates may differ in the last bit with the place of a row in its batch.)"""
    about = predictor.about
    layers = {layer.name: layer for layer in predictor.model.layers}
    lookups = [layers.get(f"category_{place}") for place in range(len(about["categories"]))]
    if about["kind"] != "table" or about.get("dates") or "joined" not in layers or not all(map(_is_one_hot, lookups)):
        return None
    return Coded(predictor, lookups)


def _is_one_hot(lookup: Any) -> bool:
    """Whether a lookup gives each known word a position of its own, after a first one for all others."""
    if type(lookup).__name__ != "StringLookup":
        return False
    words = lookup.get_vocabulary(include_special_tokens=False)
    found = np.asarray(lookup(np.array([["\0"], *([word] for word in words)], object)))
    return bool(np.array_equal(found, np.eye(len(words) + 1, dtype=np.float32)))


class Coded:
    """lookups: the layers that take the words, column by column. most: rows of one call."""

    def __init__(self, predictor: Any, lookups: list[Any]):
        import keras

        self._about, self._size = predictor.about, predictor.about["batch_size"]
        self.most = TOGETHER * self._size
        self._words = [pa.array(one.get_vocabulary(include_special_tokens=False), pa.string()) for one in lookups]
        model, middle = predictor.model, predictor.model.get_layer("joined").output
        others = [value for value in model.inputs if value.name != "categories"]
        self._others = [value.name for value in others]
        self._features = keras.Model([*(one.output for one in lookups), *others], middle)
        self._network = keras.Model(middle, model.output)
        self._one, self._many = self._compiled(1), self._compiled(TOGETHER)

    def computed(self, rows: pa.Table) -> np.ndarray:
        """Typed rows -> float32 [rows, classes], or [rows, 1] for a regression."""
        inputs = arrays.to_arrays(rows, self._about | {"categories": []})
        if self._words:
            names = zip(self._about["categories"], self._words, strict=True)
            inputs["codes"] = np.column_stack([_codes(rows[name], words) for name, words in names])
        whole = rows.num_rows // self.most * self.most
        parts = [self._many(_cut(inputs, start, self.most)) for start in range(0, whole, self.most)]
        parts += [self._one(_cut(inputs, start, self._size)) for start in range(whole, rows.num_rows, self._size)]
        return np.concatenate([np.asarray(part) for part in parts])

    def _compiled(self, batches: int) -> Any:
        """The graph for so many batches, each of the recorded size; for one it may also be a smaller one."""
        import tensorflow as tf

        def compute(inputs: dict[str, Any]) -> Any:
            sizes = [len(words) + 1 for words in self._words]
            hot = [tf.one_hot(inputs["codes"][:, place], size) for place, size in enumerate(sizes)]
            rows = self._features([*hot, *(inputs[name] for name in self._others)], training=False)
            if batches == 1:
                return self._network(rows, training=False)
            starts = range(0, batches * self._size, self._size)
            return tf.concat([self._network(rows[at : at + self._size], training=False) for at in starts], 0)

        return tf.function(compute, autograph=False, reduce_retracing=True)


def _cut(inputs: dict[str, np.ndarray], start: int, count: int) -> dict[str, np.ndarray]:
    return {name: values[start : start + count] for name, values in inputs.items()}


def _codes(column: pa.ChunkedArray, words: pa.Array) -> np.ndarray:
    """int32 [rows]: the place of each word behind 0, which is for unknown ones; a missing word is the empty one."""
    found = pc.fill_null(arrays.whole(column), "").dictionary_encode()
    places = pc.add(pc.fill_null(pc.index_in(found.dictionary, words), -1), 1)
    return np.asarray(places.take(found.indices).to_numpy(zero_copy_only=False), np.int32)
