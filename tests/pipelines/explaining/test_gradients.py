"""Integrated gradients: the contributions add up, and belong to the column or pixel that makes the difference."""

from functools import partial

import numpy as np
import pytest

from pipelines.config.data import Data
from pipelines.explaining import gradients
from pipelines.explaining.columns import columns, count, rows
from pipelines.explaining.parts import Parts
from pipelines.model.predictor import to_arrays
from tests.pipelines.onnx.small import IMAGE, TABLE, raw, saved
from tests.support.sequences import SHOPS

pytestmark = [pytest.mark.usefixtures("hardware"), pytest.mark.tensorflow]

SERIES = Data.model_validate(SHOPS)
WORDS = Data(kind="table", task="classification", target="animal", columns={"a": "category", "b": "category"})


def explained(folder, data, steps=64, own=None, **config):
    """The contributions to the answers of some rows, from ten others."""
    model = saved(folder / "model", data, own, **config)
    parts, given, background = Parts(model.model), *(to_arrays(raw(data, 20, seed), model.about) for seed in (1, 2))
    chosen = parts.answers(given).argmax(axis=1)
    known = columns(model.about)
    found = gradients.of_rows(parts, given, rows(background, slice(0, 10)), known, chosen, steps)
    return found, [column.name for column in known]


def linear(shape, outputs, weights):
    """A user's own network without a hidden layer, of given weights."""
    import keras

    start = keras.Input(shape)
    values = keras.layers.Flatten()(start) if len(shape) > 1 else start
    kernel = weights(values.shape[-1])[:, None] * np.ones(outputs)
    model = keras.Model(start, keras.layers.Dense(outputs, name="output")(values), name="linear")
    model.get_layer("output").set_weights([kernel, np.zeros(outputs)])
    return model


@pytest.mark.parametrize(
    ("data", "config"),
    [
        (TABLE, {"activation": "gelu"}),
        pytest.param(SERIES, {"network": "rnn", "recurrent": [3], "hidden": [], "cell": "gru"}, marks=pytest.mark.long),
    ],
    ids=["words, dates, missing numbers", "windows, beside the last known value"],
)
def test_contributions_add_up_to_the_answer(tmp_path, data, config):
    found, _ = explained(tmp_path, data, **config)
    spread = np.ptp(found.answer - found.base)
    assert found.error.max() < 1e-3 * spread
    assert np.abs(found.values).max() > 1e-2 * spread


@pytest.mark.long
def test_more_steps_are_closer(tmp_path):
    few, many = (explained(tmp_path / str(steps), TABLE, steps)[0] for steps in (2, 256))
    assert many.error.mean() < few.error.mean() / 5


def test_a_network_that_uses_one_column_gives_that_column_all(tmp_path):
    def weights(width):  # of the features of TABLE: weight, age, whether missing, words, the date
        return np.eye(width)[0]

    found, names = explained(tmp_path, TABLE, own=partial(linear, weights=weights))
    place = names.index("weight")
    assert np.abs(np.delete(found.values, place, axis=1)).max() == 0
    np.testing.assert_allclose(found.values[:, place], found.answer - found.base, atol=1e-5)
    assert np.abs(found.values[:, place]).max() > 0.1


def test_of_a_linear_network_a_contribution_is_the_weight_times_the_difference(tmp_path):
    def weights(width):
        return np.random.default_rng(3).normal(size=width)

    model = saved(tmp_path / "model", IMAGE, partial(linear, weights=weights))
    parts, images = Parts(model.model), to_arrays(raw(IMAGE, 5), model.about)
    baseline = {"image": gradients.mean_picture(images["image"])}
    found = gradients.of_pictures(parts, images, baseline, np.zeros(5, int))
    difference = parts.features_of(images).astype(float) - parts.features_of(baseline)
    np.testing.assert_allclose(found.values, difference * weights(108).reshape(6, 6, 3), atol=1e-5)
    assert found.error.max() < 1e-4


def test_pictures_that_do_not_fit_at_once_are_computed_in_parts(tmp_path, monkeypatch):
    model = saved(tmp_path / "model", IMAGE, network="cnn", filters=[4])
    parts, images = Parts(model.model), to_arrays(raw(IMAGE, 5), model.about)
    baseline = {"image": gradients.mean_picture(images["image"])}
    expected = gradients.of_pictures(parts, images, baseline, np.zeros(5, int))
    monkeypatch.setattr(gradients, "VALUES", 108 * 10)
    found = gradients.of_pictures(parts, images, baseline, np.zeros(5, int))
    np.testing.assert_allclose(found.values, expected.values, atol=1e-7)
    monkeypatch.setattr(gradients, "VALUES", 108 * 150)
    found = gradients.of_pictures(parts, images, baseline, np.zeros(5, int))
    np.testing.assert_allclose(found.values, expected.values, atol=1e-7)


def test_words_of_a_column_are_one_contribution(tmp_path):
    found, names = explained(tmp_path, WORDS)
    assert names == ["a", "b"]
    assert found.values.shape == (20, 2)
    assert found.error.max() < 1e-3


@pytest.mark.long
def test_the_same_rows_give_the_same_bits(tmp_path):
    model = saved(tmp_path / "model", TABLE)
    given = to_arrays(raw(TABLE, 8), model.about)
    twice = [
        gradients.of_rows(Parts(model.model), given, given, columns(model.about), np.zeros(count(given), int))
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*(one.values for one in twice))
