"""Do the maps depend on what was learned? The checks of Adebayo et al. (2018), said in numbers.

A map that stays the same when weights are drawn anew, or when the labels of the training were shuffled, shows the
picture and not the model.
"""

from typing import Any

import numpy as np

from pipelines.explaining import gradients
from pipelines.explaining.columns import Arrays
from pipelines.explaining.parts import Parts


def with_random_layers(
    model: Any, pictures: Arrays, baseline: Arrays, chosen: np.ndarray, seed: int
) -> dict[str, float]:
    """Layer -> the agreement of the saliency with that of the model whose weights of this layer, alone, are mixed: each
    array of them is shuffled, so that it keeps its values.

    model: a keras.Model of raw rows; it has its own weights again afterwards. chosen: int [rows], the outputs that are
    explained, of both models.
    """
    parts, draw = Parts(model), np.random.default_rng(seed)
    before = saliency(parts, pictures, baseline, chosen)
    found = {}
    for layer in parts.network.layers:
        if not (kept := layer.get_weights()):
            continue
        layer.set_weights([draw.permutation(values.reshape(-1)).reshape(values.shape) for values in kept])
        try:
            found[layer.name] = agreement(before, saliency(parts, pictures, baseline, chosen))
        finally:
            layer.set_weights(kept)
    return found


def saliency(parts: Parts, pictures: Arrays, baseline: Arrays, chosen: np.ndarray) -> np.ndarray:
    """float64 [rows, height, width]: integrated gradients, summed over the channels."""
    return gradients.of_pictures(parts, pictures, baseline, chosen).values.sum(axis=3)


def agreement(one: np.ndarray, other: np.ndarray, signs: bool = True) -> float:
    """The rank correlation of two maps [rows, height, width] of the same pictures: the mean over the pictures. 1 for
    the same order of pixels, about 0 for maps that have nothing to do with each other.

    signs: whether they count. Without them maps agree by about a half for the picture's sake, because integrated
    gradients are large where the picture differs from the baseline, whatever the model.

    Pixels where both maps are exactly 0 do not count, as a mean picture has them along its edges. Raises ValueError if
    no picture has two others.
    """
    from scipy.stats import spearmanr

    found = []
    for first, second in zip(*((one, other) if signs else (np.abs(one), np.abs(other))), strict=True):
        seen = (first != 0) | (second != 0)
        if min(len(np.unique(first[seen])), len(np.unique(second[seen]))) > 1:
            found.append(float(spearmanr(first[seen], second[seen]).statistic))
    if not found:
        raise ValueError("no picture has a map with two different values")
    return float(np.mean(found))
