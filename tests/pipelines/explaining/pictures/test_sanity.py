"""Sanity checks: a map follows the weights of every layer and the labels of the training (Adebayo et al. 2018)."""

import numpy as np
import pytest

from pipelines.config.data import Data
from pipelines.explaining import gradients
from pipelines.explaining.parts import Parts
from pipelines.explaining.pictures import sanity
from pipelines.model import features, networks, statistics
from pipelines.model.networks import Network
from tests.support.world import tiles

TILES = Data(kind="image", task="classification", target="tile", label="integer", shape=[6, 6, 1])
IMAGES = np.frombuffer(b"".join(tiles()["image"]), np.uint8).reshape(-1, 6, 6, 1)
LABELS = tiles()["tile"].to_numpy()


def trained(labels, seed=0):
    """keras.Model of raw rows: a small network that has learned these labels of the tiles."""
    import keras

    keras.utils.set_random_seed(seed)
    fitted = statistics.measure(TILES, lambda: [({"image": IMAGES}, labels)])
    before = features.features(TILES, fitted)
    network = networks.network(Network(network="cnn", filters=[4], hidden=[8]), before.output.shape[1:], 3, seed)
    network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    network.optimizer.learning_rate = 0.02
    network.fit(before({"image": IMAGES}), labels, batch_size=60, epochs=12, verbose=0)
    return features.whole(before, network, fitted)


@pytest.mark.long
@pytest.mark.usefixtures("hardware")
@pytest.mark.tensorflow
def test_maps_follow_the_weights_of_every_layer_and_the_labels():
    model, some = trained(LABELS), {"image": IMAGES[:20]}
    baseline, chosen = {"image": gradients.mean_picture(IMAGES)}, LABELS[:20]
    weights, expected = model.get_weights(), sanity.saliency(Parts(model), some, baseline, chosen)
    assert (np.asarray(model({"image": IMAGES})).argmax(axis=1) == LABELS).mean() > 0.9

    found = sanity.with_random_layers(model, some, baseline, chosen, seed=0)
    assert list(found) == ["convolution_0", "hidden_0", "output"]
    assert max(found.values()) < 0.7  # of the last layer half is left, as it only mixes what the others have found
    for kept, now in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, now)

    shuffled = Parts(trained(np.random.default_rng(0).permutation(LABELS)))
    assert sanity.agreement(expected, sanity.saliency(shuffled, some, baseline, chosen)) < 0.3
    again = sanity.saliency(Parts(model), some, baseline, chosen)
    assert sanity.agreement(expected, again) == pytest.approx(1.0)


def test_agreement_is_that_of_the_order_of_pixels_that_either_map_has():
    draw = np.random.default_rng(0)
    one = draw.normal(size=(3, 9, 9))
    assert sanity.agreement(one, 2 * one) == pytest.approx(1.0)
    assert sanity.agreement(one, -2 * one) == pytest.approx(-1.0)
    assert sanity.agreement(one, -2 * one, signs=False) == pytest.approx(1.0)
    assert abs(sanity.agreement(one, draw.normal(size=(3, 9, 9)))) < 0.2
    framed = [np.pad(values, ((0, 0), (20, 20), (20, 20))) for values in (one, draw.normal(size=(3, 9, 9)))]
    assert abs(sanity.agreement(*framed)) < 0.2


def test_maps_of_one_value_are_refused():
    with pytest.raises(ValueError, match="no picture has a map with two different values"):
        sanity.agreement(np.zeros((2, 3, 3)), np.zeros((2, 3, 3)))
