"""Fewer units: what is left computes exactly what the network computed without the units that are gone."""

import numpy as np
import pytest

from pipelines.compressing import prune
from pipelines.compressing.not_compressed import NotCompressed
from pipelines.model import networks
from pipelines.train import Train

pytestmark = pytest.mark.tensorflow
NETWORKS = {
    "dense": ((7,), {"hidden": [10, 6]}),
    "wide": ((7,), {"hidden": [10], "wide": True}),
    "convolutions": ((6, 6, 3), {"network": "cnn", "filters": [8, 4], "hidden": [10], "dropout": 0.2}),
    "steps": ((12, 3), {"network": "cnn", "filters": [8], "hidden": [10]}),
    "lstm": ((6, 3), {"network": "rnn", "recurrent": [8, 6], "hidden": [6]}),
    "gru": ((6, 3), {"network": "rnn", "recurrent": [8], "cell": "gru", "hidden": []}),
    "simple": ((6, 3), {"network": "rnn", "recurrent": [8], "cell": "simple", "hidden": [6]}),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_units_without_weights_go_first_and_nothing_else_changes(name, hardware):
    """Half of the units of each layer are set to zero, and each activation gives 0 for 0."""
    shape, config = NETWORKS[name]
    network, random = networks.network(Train(**config), shape, 3, seed=0), np.random.default_rng(0)
    for layer in network.layers:
        units = getattr(layer, "units", getattr(layer, "filters", 0))
        if not layer.weights or layer.name == "output":
            continue
        gone = random.permutation(units)[: units // 2]
        gates = prune.RECURRENT.get(type(layer).__name__, 1)
        columns = (np.arange(gates)[:, None] * units + gone).ravel()
        weights = layer.get_weights()
        for weight in weights:
            weight[..., columns] = 0.0
        if gates > 1 or type(layer).__name__ == "SimpleRNN":
            weights[1][gone] = 0.0
        layer.set_weights(weights)
    rows = random.normal(size=(20, *shape)).astype(np.float32)
    smaller = prune.cut(network, 0.5)
    np.testing.assert_allclose(smaller(rows), network(rows), atol=1e-6)
    assert smaller.count_params() < 0.75 * network.count_params()
    assert [layer.name for layer in smaller.layers] == [layer.name for layer in network.layers]


def test_the_share_of_units_and_at_least_one(hardware):
    network = networks.network(Train(hidden=[20, 2]), (5,), 1, seed=0)
    sizes = [layer.units for layer in prune.cut(network, 0.8).layers if hasattr(layer, "units")]
    assert sizes == [4, 1, 1]


def test_equally_strong_units_stay_in_order():
    assert prune.strongest(np.ones((3, 5)), 0.4).tolist() == [0, 1, 2]
    assert prune.strongest(np.array([[1.0, -3.0, 2.0, 0.0]]), 0.5).tolist() == [1, 2]


def test_a_network_of_ones_own_is_cut_as_far_as_its_layers_are_known(hardware):
    import keras
    from keras import layers

    start = keras.Input((5,))
    values = layers.BatchNormalization()(layers.Dense(8, activation="tanh")(start))
    own = keras.Model(start, layers.Activation("softmax")(layers.Dense(3)(values)))
    assert prune.cut(own, 0.5).output_shape == (None, 3)
    odd = keras.Model(start, layers.Dense(3)(layers.LayerNormalization(name="even")(layers.Dense(8)(start))))
    with pytest.raises(NotCompressed, match=r"the layer even \(LayerNormalization\) does not tell which"):
        prune.cut(odd, 0.5)
    with pytest.raises(NotCompressed, match="no layer with units that could be cut out"):
        prune.cut(keras.Model(start, layers.Dense(3)(start)), 0.5)
