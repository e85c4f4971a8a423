"""A model rebuilt for tf2onnx: the same layers and weights, but for those that it cannot turn into ONNX, or badly."""

from itertools import groupby
from typing import Any

from pipelines.onnx import attended, recurrent, words
from pipelines.onnx.words import Lookup


def rebuilt(model: Any, about: dict[str, Any]) -> tuple[Any, dict[str, list[Lookup]]]:
    """The keras.Model that takes positions (int64) in place of words, and the lookups that are gone, by input.

    model: a keras.Model of raw rows. about: model.json. Raises NotCarried for a lookup that features.py does not make.
    """
    import keras

    inputs = {
        name: keras.Input(value.shape[1:], dtype="int64" if value.dtype == "string" else value.dtype, name=name)
        for name, value in model.input.items()
    }
    found = {name: list(mine) for name, mine in groupby(words.lookups(model, about), lambda lookup: lookup.input)}
    encoded = [words.encoded(inputs[name], mine) for name, mine in found.items()]
    parts = {layer: part for one in encoded for layer, part in one.parts.items()}

    def called(layer: Any, *arguments: Any, **options: Any) -> Any:
        if layer.name in parts and isinstance(layer, keras.layers.StringLookup):
            return parts[layer.name]
        if recurrent.mode(layer) and options.get("mask") is None:
            return recurrent.carrier(layer)(arguments[0])
        if not options and (plain := attended.carrier(layer, arguments)) is not None:
            return plain(*arguments)
        if isinstance(layer, keras.layers.Concatenate):
            tensors = list(arguments[0])
            for one in encoded:
                tensors = one.of_layers(tensors)
            return layer(tensors) if len(tensors) > 1 else tensors[0]
        return layer(*arguments, **options)

    same = {"clone_function": lambda layer: layer, "call_function": called, "recursive": True}
    return keras.models.clone_model(model, input_tensors=inputs, **same), found
