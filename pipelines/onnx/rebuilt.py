"""A model rebuilt for tf2onnx: the same layers and weights, but for those that it cannot turn into ONNX, or badly."""

from typing import Any

from pipelines.onnx import recurrent, words
from pipelines.onnx.words import Lookup


def rebuilt(model: Any, about: dict[str, Any]) -> tuple[Any, list[Lookup]]:
    """The keras.Model that takes positions (int64) in place of words, and the lookups that are gone.

    model: a keras.Model of raw rows. about: model.json. Raises NotCarried for a lookup that features.py does not make.
    """
    import keras

    lookups = words.lookups(model, about)

    def called(layer: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(layer, keras.layers.StringLookup):
            return words.encoded(layer, *arguments)
        if recurrent.mode(layer) and options.get("mask") is None:
            return recurrent.carrier(layer)(arguments[0])
        return layer(*arguments, **options)

    inputs = {
        name: keras.Input(value.shape[1:], dtype="int64" if value.dtype == "string" else value.dtype, name=name)
        for name, value in model.input.items()
    }
    same = {"clone_function": lambda layer: layer, "call_function": called, "recursive": True}
    return keras.models.clone_model(model, input_tensors=inputs, **same), lookups
