"""Fewer units: the weakest units of every layer are cut out, and the smaller network is trained once more.

Whole units and filters go, not single weights, so what is left is an ordinary smaller network: fewer bytes, fewer
steps, and nothing special to store or to run. Single weights set to zero change neither in ONNX Runtime, which
computes with them all the same. The weakest units are those whose incoming weights have the smallest norm (Li et al.
2017, https://arxiv.org/abs/1608.08710). Then all epochs are done again with the declared learning rate, from the
weights that are left, which is as good as more patient ways (Renda et al. 2020, https://arxiv.org/abs/2003.02389).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.compressing.not_compressed import NotCompressed

POOLING = ("MaxPooling1D", "MaxPooling2D", "AveragePooling1D", "AveragePooling2D")
SAME = ("Activation", "BatchNormalization", "Dropout", *POOLING)  # have one output for each input
RECURRENT = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}  # and how many gates each has


@dataclass(frozen=True)
class Cut:
    """A layer that has lost units. kept: the places of those that stay [units left]; weights: as layer.get_weights."""

    kept: np.ndarray
    weights: list[np.ndarray]


def cut(network: Any, share: float) -> Any:
    """keras.Model: the network without the given share of the units of each layer but the last, and with the weights
    that are left. Raises NotCompressed, naming the layer, for a network that is not made of layers in a row.
    """
    import keras

    cuts, whole = _cuts(network, share)
    if not whole:
        raise NotCompressed("the network has no layer with units that could be cut out")

    def smaller(layer: Any) -> Any:
        config, units = layer.get_config(), "filters" if "filters" in layer.get_config() else "units"
        if layer.name in whole:
            config |= {units: len(cuts[layer.name].kept)}
        return type(layer).from_config(config)

    found = keras.models.clone_model(network, clone_function=smaller)
    for layer in found.layers:
        if layer.name in cuts and cuts[layer.name].weights:
            layer.set_weights(cuts[layer.name].weights)
    return found


def _cuts(network: Any, share: float) -> tuple[dict[str, Cut], set[str]]:
    """What is left of each layer, and the names of those that have lost units of their own."""
    found: dict[str, Cut] = {}
    whole: set[str] = set()
    last = [layer.name for layer in network.layers if type(layer).__name__ == "Dense"][-1:]
    for layer in network.layers:
        kind, sources = type(layer).__name__, _sources(layer)
        before = [found[name].kept for name in sources]
        if kind == "InputLayer":
            found[layer.name] = Cut(np.arange(layer.output.shape[-1]), [])
        elif kind == "Concatenate":
            sizes = [value.shape[-1] for value in layer.input]
            starts = np.cumsum([0, *sizes[:-1]])
            found[layer.name] = Cut(np.concatenate([one + at for one, at in zip(before, starts, strict=True)]), [])
        elif kind == "Flatten":
            width = layer.input.shape[-1]
            places = np.arange(layer.output.shape[-1] // width) * width
            found[layer.name] = Cut((places[:, None] + before[0]).ravel(), [])
        elif kind == "Reshape" and len(before[0]) == layer.input.shape[-1]:  # nothing before it was cut
            found[layer.name] = Cut(np.arange(layer.output.shape[-1]), [])
        elif kind in SAME:
            found[layer.name] = Cut(before[0], [np.take(one, before[0], axis=-1) for one in layer.get_weights()])
        elif [layer.name] == last:
            found[layer.name] = Cut(np.arange(layer.units), _dense(layer, before[0], np.arange(layer.units)))
        elif kind in ("Dense", "Conv1D", "Conv2D"):
            kept = strongest(np.concatenate([one.reshape(-1, one.shape[-1]) for one in layer.get_weights()[:1]]), share)
            found[layer.name] = Cut(kept, _dense(layer, before[0], kept))
            whole.add(layer.name)
        elif kind in RECURRENT:
            kept, gates = _strongest_cells(layer, share), RECURRENT[kind]
            found[layer.name] = Cut(kept, _cells(layer, before[0], kept, gates))
            whole.add(layer.name)
        else:
            raise NotCompressed(f"the layer {layer.name} ({kind}) does not tell which of its units belong together")
    return found, whole


def _sources(layer: Any) -> list[str]:
    """The names of the layers before a layer."""
    values = layer.input if isinstance(layer.input, list) else [layer.input]
    return [] if type(layer).__name__ == "InputLayer" else [value._keras_history.operation.name for value in values]


def strongest(weights: np.ndarray, share: float) -> np.ndarray:
    """The places of the units that stay, in order; at least one. weights: [incoming, units]."""
    count = max(1, round(weights.shape[-1] * (1 - share)))
    norms = np.linalg.norm(weights.astype(np.float64), axis=0)
    return np.sort(np.argsort(-norms, kind="stable")[:count])


def _dense(layer: Any, before: np.ndarray, kept: np.ndarray) -> list[np.ndarray]:
    """The weights [..., incoming, units], and the bias if there is one."""
    kernel, *bias = layer.get_weights()
    return [np.take(np.take(kernel, before, axis=-2), kept, axis=-1), *(one[kept] for one in bias)]


def _strongest_cells(layer: Any, share: float) -> np.ndarray:
    """By the weights of all gates, from the input and from the state."""
    both = np.concatenate([one.reshape(len(one), -1, layer.units) for one in layer.get_weights()[:2]])
    return strongest(both.reshape(-1, layer.units), share)


def _cells(layer: Any, before: np.ndarray, kept: np.ndarray, gates: int) -> list[np.ndarray]:
    """The weights of all gates side by side: of the input, of the state, and the bias."""
    columns = (np.arange(gates)[:, None] * layer.units + kept).ravel()
    kernel, state, *bias = layer.get_weights()
    return [kernel[before][:, columns], state[kept][:, columns], *(np.take(one, columns, axis=-1) for one in bias)]
