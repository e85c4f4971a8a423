"""Attention: a column, a step or a row of an image is a token of its own, and the answer depends on values alone."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.config.data import Data
from pipelines.model import features, networks, statistics
from pipelines.model.networks import Network
from pipelines.model.predictor import to_arrays
from pipelines.onnx import planted
from pipelines.training.data_loader import described
from tests.pipelines.onnx.small import IMAGE, TABLE, raw
from tests.pipelines.test_train import STEPWISE, copied, trained
from tests.support.world import World, pets

pytestmark = pytest.mark.usefixtures("hardware")

MANY = Data(
    kind="table",
    task="regression",
    target="paid",
    columns={"weight": "number", "born": "date", "paid_on": "date"} | {f"word_{n}": "category" for n in range(101)},
)
SMALL: dict[str, Any] = {"network": "attention", "width": 4, "heads": 2, "hidden": []}


def measured(data: Data, **config: Any) -> tuple[Any, features.Places, dict[str, np.ndarray]]:
    """The graph of the features, where those of each column lie, and rows."""
    rows = raw(data)
    arrays = to_arrays(rows, described(data))
    fitted = statistics.measure(data, lambda: [(arrays, rows[data.target].to_numpy())], Network(**config))
    return features.features(data, fitted), features.places(data, fitted), arrays


@pytest.mark.parametrize(
    ("data", "config"),
    [(TABLE, {}), (TABLE, {"numbers": "quantiles", "bins": 4}), (MANY, {})],
    ids=["scaled", "quantiles", "one lookup for all words"],
)
def test_a_column_changes_its_own_features_and_no_others(data, config):
    before, places, arrays = measured(data, **config)
    as_it_was = np.asarray(before(arrays))
    assert sorted(place for mine in places for place in mine) == list(range(as_it_was.shape[1]))
    inputs = [(name, place) for name in ("numbers", "categories", "dates") for place in range(arrays[name].shape[1])]
    assert len(inputs) == len(places)
    for (name, place), mine in zip(inputs, places, strict=True):
        changed = arrays[name].copy()
        changed[:, place] = planted.NEVER if name == "categories" else changed[::-1, place]
        now = np.asarray(before(arrays | {name: changed}))
        different = set(np.flatnonzero((now != as_it_was).any(axis=0)))
        assert different
        assert different <= set(mine)


def test_images_and_sequences_have_no_columns():
    before, places, _ = measured(IMAGE)
    assert places is None
    assert before.output.shape[1:] == (6, 6, 3)


def test_each_column_of_a_table_is_one_token_and_the_first_one_reads_nothing():
    before, places, arrays = measured(TABLE)
    model = networks.network(Network(**SMALL), before.output.shape[1:], 3, seed=1, columns=places)
    tokens, x = as_tokens(model), np.asarray(before(arrays))
    as_it_was = tokens(x)
    assert as_it_was.shape == (60, 1 + 5, 4)
    np.testing.assert_array_equal(as_it_was[:, 0], np.repeat(as_it_was[:1, 0], 60, axis=0))
    seen = set()
    for mine in places:
        changed = x.copy()
        changed[:, mine] += 1
        (token,) = np.flatnonzero((tokens(changed) != as_it_was).any(axis=(0, 2)))
        seen.add(token)
    assert seen == {1, 2, 3, 4, 5}


def as_tokens(model: Any) -> Any:
    """The tokens of features, as arrays."""
    import keras

    part = keras.Model(model.input, model.get_layer("attention_0").input[0])
    return lambda rows: np.asarray(part(rows))


@pytest.mark.parametrize(("shape", "steps"), [((7, 3), 7), ((6, 5, 2), 6), ((4,), 4)], ids=["window", "image", "plain"])
def test_equal_steps_differ_by_their_place_alone(shape, steps):
    """So that the network can tell the last step from the first one."""
    model = networks.network(Network(**SMALL), shape, 1, seed=1)
    tokens = as_tokens(model)(np.ones((1, *shape), np.float32))[0]
    assert tokens.shape == (1 + steps, 4)
    assert len(np.unique(tokens, axis=0)) == 1 + steps


@pytest.mark.parametrize("blocks", [1, 3])
def test_the_network_is_the_declared_one_and_every_layer_and_every_random_layer_has_its_own(blocks):
    config = Network(network="attention", width=6, heads=3, blocks=blocks, hidden=[5], dropout=0.1)
    model = networks.network(config, (7, 2), 3, seed=1)
    names = [layer.name for layer in model.layers]
    assert len(set(names)) == len(names)
    assert not [name for name in names if name.startswith(tuple("CDELMRZ"))]
    attention = [model.get_layer(f"attention_{index}") for index in range(blocks)]
    assert {(layer.num_heads, layer.key_dim) for layer in attention} == {(3, 2)}
    seeds = [layer.seed for layer in model._flatten_layers() if getattr(layer, "seed", None) is not None]
    assert None not in seeds
    assert len(set(seeds)) == 2 * blocks + 1  # an attention layer gives its own to the dropout inside of it
    answers = np.asarray(model(np.zeros((2, 7, 2), np.float32)))
    np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"network": "attention", "heads": 5}, "`heads` 5 does not divide `width` 32: each head has an equal part"),
        ({"network": "attention", "heads": 3, "width": 8}, "`heads` 3 does not divide `width` 8"),
        ({"network": "mlp", "heads": 4}, "`heads` belongs to network attention, not to mlp"),
        ({"network": "rnn", "recurrent": [4], "blocks": 1}, "`blocks` belongs to network attention, not to rnn"),
        ({"network": "attention", "recurrent": [4]}, "`recurrent` belongs to network rnn, not to attention"),
        ({"network": "attention", "wide": True}, "`wide` belongs to network mlp, not to attention"),
    ],
)
def test_keys_that_do_not_fit_are_refused(keys, message):
    with pytest.raises(ValueError, match=message):
        Network(**keys)


def test_a_table_gives_the_same_bytes_twice_and_others_with_another_seed(tmp_path, made):
    declared = copied(made, "pets", tmp_path)
    declared["train"] = {**SMALL, **STEPWISE, "dropout": 0.2}
    first = trained(tmp_path, declared)
    assert trained(tmp_path, declared) == first
    assert trained(tmp_path, declared, seed=2)["model.weights.h5"] != first["model.weights.h5"]


@pytest.mark.long
def test_two_processes_make_the_same_model_compiled_by_xla(world: World):
    world.declare(train_={**SMALL, "blocks": 1, "dropout": 0.2, "epochs": 3})
    world.pin(pets())
    world.run("ingest", "validate", "clean", "check")
    found = []
    for _ in range(2):
        done = world.command("train", "pets")
        assert (done.returncode, done.stderr) == (0, "")
        assert "step by step" not in done.stdout
        folder = world.root / "data/pets/model"
        found.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert found[0] == found[1]
    history = pd.read_csv(world.root / "data/pets/history.csv")
    assert history["train/loss"].iloc[-1] < history["train/loss"].iloc[0]
