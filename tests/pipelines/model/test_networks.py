"""Networks: what is fitted on the training split, and the graph from raw rows to answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.config.data import Data
from pipelines.errors import TrainingError
from pipelines.model import features, networks, statistics
from pipelines.model.networks import Network
from pipelines.model.statistics import Fitted

pytestmark = pytest.mark.usefixtures("hardware")

TABLE = Data(
    kind="table",
    task="classification",
    target="y",
    columns={"a": "number", "b": "number", "c": "number", "word": "category"},
)
IMAGE = Data(kind="image", task="classification", target="y", label="integer", shape=[4, 4, 3])


def table(rows: int = 200, scale: float = 1.0, offset: float = 0.0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    numbers = random.normal(size=(rows, 3)) * scale + offset
    numbers[random.random((rows, 3)) < 0.1] = np.nan
    return {"numbers": numbers, "categories": random.choice(["", "x", "y"], (rows, 1)).astype(object)}


def pieces(arrays: dict[str, np.ndarray], target: np.ndarray, step: int = 70) -> statistics.Pieces:
    """The rows as a split gives them, `step` at a time."""

    def read():
        for start in range(0, len(target), step):
            here = slice(start, start + step)
            yield {name: values[here] for name, values in arrays.items()}, target[here]

    return read


def fit(data: Data, arrays: dict[str, np.ndarray]) -> tuple[Fitted, np.ndarray]:
    """What is measured, and the features of the same rows."""
    fitted = statistics.measure(data, pieces(arrays, np.arange(len(next(iter(arrays.values())))) % 2))
    return fitted, np.asarray(features.features(data, fitted)(arrays))


@pytest.mark.parametrize(
    ("scale", "offset"), [(1, 0), (1e-9, 0), (1e12, 0), (10, 1.7e9), (1e-6, 1e3)], ids=lambda value: f"{value:g}"
)
def test_numbers_have_mean_zero_and_variance_one_whatever_their_unit(scale, offset):
    arrays = table(scale=scale, offset=offset)
    _, found = fit(TABLE, arrays)
    present = np.where(np.isnan(arrays["numbers"]), np.nan, found[:, :3])
    np.testing.assert_allclose(np.nanmean(present, axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(np.nanstd(present, axis=0), 1, atol=1e-5)


def test_a_missing_number_is_the_mean_and_is_marked():
    arrays = table()
    _, found = fit(TABLE, arrays)
    missing = np.isnan(arrays["numbers"])
    np.testing.assert_allclose(found[:, :3][missing], 0, atol=1e-6)
    np.testing.assert_array_equal(found[:, 3:6], missing.astype(np.float32))


def test_a_category_is_one_hot_and_what_is_unknown_has_a_place_of_its_own():
    fitted, _ = fit(TABLE, table())
    graph = features.features(TABLE, fitted)
    words = np.array([["x"], ["y"], [""], ["new"]], object)
    found = np.asarray(graph({"numbers": np.zeros((4, 3)), "categories": words}))[:, 6:]
    assert found.tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0], [1, 0, 0]]


@pytest.mark.parametrize("words", [["only"], [""], ["[UNK]", "a"], ["é", "日本", "a b"]])
def test_a_category_may_hold_any_words_one_or_none(words):
    arrays = table(60) | {"categories": np.resize(np.array(words, object), (60, 1))}
    _, found = fit(TABLE, arrays)
    np.testing.assert_allclose(found[:, 6:].sum(axis=1), 1)
    assert len({tuple(row) for row in found[:, 6:]}) == len(words)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9 + 0.1, np.nan])
def test_a_constant_column_becomes_zero_and_not_nan(value):
    arrays = table()
    arrays["numbers"][:, 1] = value
    _, found = fit(TABLE, arrays)
    np.testing.assert_array_equal(found[:, 1], 0)


@given(
    st.lists(st.floats(-1e12, 1e12).map(lambda value: round(value, 9)) | st.just(np.nan), min_size=1, max_size=50),
    st.integers(1, 50),
)
def test_mean_and_scale_are_numpys_whatever_the_parts(values, step):
    column = np.array(values)[:, None]
    parts = [column[start : start + step] for start in range(0, len(column), step)]
    present = column[~np.isnan(column)]
    mean, scale = statistics.mean_and_scale(lambda: parts)
    if len(present) and np.ptp(present):
        size = np.abs(present).max()
        np.testing.assert_allclose(mean, present.mean(), atol=1e-12 * size)
        np.testing.assert_allclose(scale, present.std(), rtol=1e-6, atol=1e-12 * size)
    else:
        assert scale == 1
        assert mean == (present[0] if len(present) else 0)


def test_pixels_are_normalised_by_channel():
    random = np.random.default_rng(0)
    images = random.integers(0, [20, 100, 255], (50, 4, 4, 3)).astype(np.uint8)
    fitted, found = fit(IMAGE, {"image": images})
    assert found.shape == (50, 4, 4, 3)
    np.testing.assert_allclose(found.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(found.std(axis=(0, 1, 2)), 1, atol=1e-5)
    np.testing.assert_allclose(fitted.mean, images.mean(axis=(0, 1, 2)))


@pytest.mark.parametrize("step", [10, 64, 150])
def test_what_is_measured_does_not_depend_on_the_pieces_in_which_rows_come(step):
    target = np.random.default_rng(1).choice(["cat", "dog", "eel"], 200)
    whole, parts = (statistics.measure(TABLE, pieces(table(), target, size)) for size in (200, step))
    assert (parts.vocabularies, parts.classes) == (whole.vocabularies, whole.classes)
    np.testing.assert_allclose([*parts.mean, *parts.scale], [*whole.mean, *whole.scale], rtol=1e-12)
    images = {"image": np.random.default_rng(0).integers(0, 256, (200, 4, 4, 3)).astype(np.uint8)}
    assert statistics.measure(IMAGE, pieces(images, target, step)) == statistics.measure(
        IMAGE, pieces(images, target, 200)
    )


def test_classes_are_counted_in_the_order_of_the_probabilities():
    target = np.array(["b", "c", "a", "b", "b", "c"])
    fitted = statistics.measure(TABLE, pieces(table(6), target, 2))
    assert list(fitted.classes.items()) == [("a", 1), ("b", 3), ("c", 2)]
    assert fitted.target == (0.0, 1.0)


def test_pixels_of_one_level_become_zero_and_not_nan():
    _, found = fit(IMAGE, {"image": np.full((5, 4, 4, 3), 7, np.uint8)})
    np.testing.assert_array_equal(found, 0)


def test_a_category_of_too_many_words_is_refused_by_name():
    arrays = table(2000) | {"categories": np.array([[f"id{i}"] for i in range(2000)], object)}
    with pytest.raises(TrainingError, match=r"'word' has more than 1,000 different words.*Declare it `carried`"):
        fit(TABLE, arrays)


def test_a_word_in_too_few_rows_is_unknown_so_that_this_place_is_trained():
    words = np.array([["often"]] * 5 + [["twice"]] * 2 + [["once"], ["alone"], [""]], object)
    arrays = {"numbers": np.zeros((10, 3)), "categories": words}
    fitted = statistics.measure(TABLE, pieces(arrays, np.arange(10) % 2, 3), Network(min_count=2))
    assert fitted.vocabularies == [["often", "twice"]]
    found = np.asarray(features.features(TABLE, fitted)(arrays))[:, 6:]
    assert found.sum(axis=0).tolist() == [3, 5, 2]
    nothing = statistics.measure(TABLE, pieces(arrays, np.arange(10) % 2), Network(min_count=6))
    assert np.asarray(features.features(TABLE, nothing)(arrays))[:, 6].tolist() == [1] * 9 + [0]  # the last has none


def test_a_category_of_many_words_fits_when_few_of_them_are_common():
    words = np.array([["a"], ["b"]] * 10 + [[f"id{i}"] for i in range(2000)], object)
    arrays = {"numbers": np.zeros((2020, 3)), "categories": words}
    target = np.arange(2020) % 2
    assert statistics.measure(TABLE, pieces(arrays, target), Network(min_count=10)).vocabularies == [["a", "b"]]


def test_words_without_end_are_refused_before_they_fill_the_memory(monkeypatch):
    monkeypatch.setattr(statistics, "MOST_COUNTED", 1500)
    arrays = table(2000) | {"categories": np.array([[f"id{i}"] for i in range(2000)], object)}
    with pytest.raises(TrainingError, match=r"'word' has more than 1,500 different words"):
        statistics.measure(TABLE, pieces(arrays, np.arange(2000) % 2), Network(min_count=2))


def test_a_wide_network_is_a_linear_model_and_the_hidden_layers_added_up():
    config = Network(hidden=[3], wide=True)
    model = networks.network(config, (4,), 2, seed=1)
    rows = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    kernel, bias = model.get_layer("output").get_weights()
    hidden = np.asarray(model.get_layer("hidden_0")(rows))
    logits = hidden @ kernel[:3] + rows @ kernel[3:] + bias
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model(rows), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"bins": 8}, "`bins` belongs to numbers: quantiles"),
        ({"network": "cnn", "filters": [2], "wide": True}, "`wide` belongs to network mlp, not to cnn"),
    ],
)
def test_keys_that_would_do_nothing_are_refused(keys, message):
    with pytest.raises(ValueError, match=message):
        Network(**keys)


@pytest.mark.parametrize(
    ("config", "shape", "names"),
    [
        (Network(hidden=[5, 3]), (7,), ["hidden_0", "hidden_1", "output"]),
        (Network(hidden=[]), (7,), ["output"]),
        (Network(hidden=[5], wide=True), (7,), ["hidden_0", "wide", "output"]),
        (Network(hidden=[5], dropout=0.5), (7,), ["hidden_0", "dropout_0", "output"]),
        (Network(hidden=[5]), (4, 4, 3), ["flat", "hidden_0", "output"]),
        (
            Network(network="cnn", filters=[2, 2, 2], hidden=[]),
            (4, 4, 3),
            ["convolution_0", "pooling_0", "convolution_1", "pooling_1", "convolution_2", "flat", "output"],
        ),
        (
            Network(network="rnn", recurrent=[3, 2], hidden=[5], dropout=0.1),
            (4, 4, 3),
            ["rows", "recurrent_0", "recurrent_1", "hidden_0", "dropout_0", "output"],
        ),
    ],
    ids=["dense", "linear", "wide", "dropout", "image", "convolution", "recurrent"],
)
def test_the_network_is_the_declared_one_and_every_layer_has_a_name(config, shape, names):
    model = networks.network(config, shape, 3, seed=1)
    assert [layer.name for layer in model.layers] == ["normalised", *names]
    answers = np.asarray(model(np.zeros((2, *shape), np.float32)))
    np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(("cell", "kind"), [("lstm", "LSTM"), ("gru", "GRU"), ("simple", "SimpleRNN")])
def test_a_recurrent_network_reads_an_image_row_by_row_with_the_declared_cell(cell, kind):
    model = networks.network(Network(network="rnn", recurrent=[3, 2], cell=cell), (4, 5, 2), 2, seed=1)
    assert [type(model.get_layer(f"recurrent_{index}")).__name__ for index in (0, 1)] == [kind] * 2
    images = np.random.default_rng(0).random((6, 4, 5, 2), np.float32)
    np.testing.assert_array_equal(model.get_layer("rows")(images), [[row.ravel() for row in image] for image in images])
    assert [model.get_layer(f"recurrent_{index}").output.shape[1:] for index in (0, 1)] == [(4, 3), (2,)]


@pytest.mark.parametrize("key", ["rotation", "translation", "zoom"])
def test_pictures_are_altered_while_it_trains_and_never_afterwards(key):
    network = networks.network(Network(hidden=[3]), (6, 6, 1), 2, seed=1)
    model = networks.augmented(Network(augment={key: 0.3}), network, seed=1)
    images = np.random.default_rng(0).random((8, 6, 6, 1), np.float32)
    plain = np.asarray(network(images))
    assert [layer.name for layer in model.layers] == ["picture", key, "network"]
    np.testing.assert_array_equal(model(images, training=False), plain)
    seen = [np.asarray(model(images, training=True)) for _ in range(2)]
    assert not np.allclose(seen[0], plain)
    assert not np.allclose(seen[0], seen[1])
    assert model.trainable_variables == network.trainable_variables  # what is trained is what is saved


def test_a_picture_that_moves_brings_no_other_colour_in():
    network = networks.network(Network(hidden=[]), (6, 6, 1), 2, seed=1)
    model = networks.augmented(Network(augment={"rotation": 0.5, "translation": 0.5, "zoom": 0.9}), network, seed=1)
    images = np.full((8, 6, 6, 1), 3.0, np.float32)
    np.testing.assert_allclose(model(images, training=True), network(images), rtol=1e-5)


def test_without_augment_the_network_itself_is_trained():
    network = networks.network(Network(), (6, 6, 1), 2, seed=1)
    assert networks.augmented(Network(), network, seed=1) is network


def test_a_regression_answers_in_the_targets_own_units():
    data = Data(kind="table", task="regression", target="y", columns={"a": "number"})
    arrays, target = {"numbers": np.arange(50.0)[:, None]}, np.arange(50.0) * 3 + 1e6
    fitted = statistics.measure(data, pieces(arrays, target, 7))
    before = features.features(data, fitted)
    network = networks.network(Network(hidden=[]), (2,), 1, seed=0)
    network.layers[-1].set_weights([np.array([[1.0], [0.0]]), np.zeros(1)])  # the target is the feature, both scaled
    answers = np.asarray(features.whole(before, network, fitted)(arrays))
    np.testing.assert_allclose(answers[:, 0], target, rtol=1e-6)


def test_a_table_may_have_categories_alone():
    data = Data(kind="table", task="classification", target="y", columns={"c": "category"})
    rows = ({"categories": np.array([["red"], ["blue"]], object)}, np.array(["a", "b"], object))
    found = statistics.measure(data, lambda: [rows])
    assert (found.mean, found.scale, found.vocabularies) == ([], [], [["blue", "red"]])
