"""The sheets of a model of pictures: which rows they show, what they say, and the same bytes for the same inputs."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipelines.config.data import Data
from pipelines.explaining.parts import Parts
from pipelines.explaining.pictures import chosen, drawn, gradcam, layers, sheet
from pipelines.explaining.pictures.sheet import Block, Tile
from pipelines.model.predictor import to_arrays
from tests.pipelines.onnx.small import IMAGE, raw, saved

PREDICTIONS = pd.DataFrame(
    {
        "actual": [0, 0, 1, 1, 2, 2],
        "prediction": [0, 0, 1, 0, 0, 1],
        "probability_0": np.array([0.6, 0.9, 0.1, 0.7, 0.8, 0.3], np.float32),
        "probability_1": np.array([0.2, 0.1, 0.9, 0.2, 0.1, 0.4], np.float32),
        "probability_2": np.array([0.2, 0.0, 0.0, 0.1, 0.1, 0.3], np.float32),
    }
)
NUMBERS = pd.DataFrame({"actual": np.arange(40.0), "prediction": np.arange(40.0) + np.tile([1.0, 0.1, -2.0, 3.0], 10)})
REGRESSION = Data(kind="image", task="regression", target="age", shape=[6, 6, 1])


def test_the_most_typical_row_of_a_class_is_the_right_one_with_the_highest_probability():
    found = chosen.typical(PREDICTIONS, [0, 1, 2])
    assert found.rows.tolist() == [1, 2]  # no answer 2 is right
    assert found.outputs.tolist() == [0, 1]
    assert found.titles[0] == "answer 0, 89.9 %\nactual 0"


def test_the_most_wrong_rows_are_those_of_the_highest_wrong_probability():
    found = chosen.wrong(PREDICTIONS, [0, 1, 2], 2)
    assert found.rows.tolist() == [4, 3]
    assert found.titles[0] == "answer 0, 80.0 %\nactual 2"


def test_a_regression_shows_small_errors_over_all_targets_and_the_largest_errors():
    typical, wrong = chosen.typical(NUMBERS, []), chosen.wrong(NUMBERS, [], 4)
    assert typical.rows.tolist() == list(range(1, 40, 4))
    assert wrong.rows.tolist() == [3, 7, 11, 15]
    assert wrong.titles[0] == "answer 6\nactual 3"


def test_classes_that_the_model_does_not_know_are_wrong():
    found = chosen.wrong(PREDICTIONS.assign(actual=["?", "0", "1", "1", "2", "2"]), ["0", "1", "2"])
    assert 0 in found.rows


def test_no_probability_is_rounded_up_to_a_hundred():
    sure = PREDICTIONS.assign(probability_0=np.float32(0.99999))
    assert "99.9 %" in chosen.typical(sure, [0, 1, 2]).titles[0]


@pytest.mark.usefixtures("hardware")
@pytest.mark.tensorflow
class TestOfAModel:
    def drawn(self, folder, data, predictor=None, **config):
        """What draw returns, and its files."""
        predictor = predictor or saved(folder / "model", data, **config)
        test = raw(data, 60, seed=1)
        test["row_id"] = [f"{number:032x}" for number in range(len(test))]
        test.to_parquet(folder / "test.parquet", row_group_size=7)
        answers = predictor.predict(test)
        answers.insert(0, "actual", test[data.target].to_numpy())
        background = to_arrays(raw(data, 20, seed=2), predictor.about)
        (folder / "out").mkdir()
        told = drawn.draw(predictor, folder / "test.parquet", answers, background, folder / "out")
        assert sorted(one["file"] for one in told) == sorted(path.name for path in (folder / "out").iterdir())
        classes = predictor.about["classes"]
        rows = [*chosen.typical(answers, classes).rows, *chosen.wrong(answers, classes).rows]
        named = [one["row_ids"] for one in told if one["file"] != "layers.png"]
        assert named == [test["row_id"].iloc[rows].tolist()] * len(named) != []
        return told, {path.name: path.read_bytes() for path in (folder / "out").iterdir()}

    def test_convolutions_have_all_three_sheets_of_the_same_bytes(self, tmp_path):
        found, predictor = [], saved(tmp_path / "model", IMAGE, network="cnn", filters=[4, 6])
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            found.append(self.drawn(tmp_path / name, IMAGE, predictor))
        assert found[0] == found[1]
        assert {*found[0][1]} == {"saliency.png", "grad-cam.png", "layers.png"}
        assert "the largest error of the sum is" in found[0][0][0]["about"]
        for content in found[0][1].values():
            assert len(content) <= sheet.MOST_BYTES
            assert b"matplotlib" not in content
            assert Image.open(io.BytesIO(content)).size[0] == 960

    @pytest.mark.long
    def test_a_dense_layer_on_pixels_has_its_weights_drawn(self, tmp_path):
        told, _ = self.drawn(tmp_path, REGRESSION, hidden=[4])
        assert [one["file"] for one in told] == ["saliency.png", "layers.png"]

    @pytest.mark.long
    def test_recurrent_layers_have_saliency_alone(self, tmp_path):
        told, _ = self.drawn(tmp_path, IMAGE, network="rnn", recurrent=[3], hidden=[])
        assert [one["file"] for one in told] == ["saliency.png"]

    def test_a_map_of_the_last_convolution_is_where_its_filter_answers(self, tmp_path):
        """Of one filter that copies bright pixels, and an output that counts them, the map is the picture."""

        def own(shape, outputs):
            import keras

            start = keras.Input(shape)
            seen = keras.layers.Conv2D(1, 1, activation="relu", name="seen")(start)
            output = keras.layers.Dense(outputs, name="output")(keras.layers.Flatten()(seen))
            model = keras.Model(start, output, name="own")
            model.get_layer("seen").set_weights([np.ones((1, 1, shape[2], 1)), np.zeros(1)])
            model.get_layer("output").set_weights([np.ones((36, outputs)), np.zeros(outputs)])
            return model

        predictor = saved(tmp_path / "model", REGRESSION, own)
        images = to_arrays(raw(REGRESSION, 4), predictor.about)
        parts = Parts(predictor.model)
        found = gradcam.maps(parts, images, np.zeros(4, int))
        expected = np.maximum(parts.features_of(images)[..., 0], 0)
        np.testing.assert_allclose(found, expected / expected.max(axis=(1, 2), keepdims=True), atol=1e-6)
        assert layers.weights(parts, REGRESSION.shape) is None
        assert layers.maps(parts, images)[0].values.shape == (4, 1, 6, 6)


LARGE = [pytest.param(shape, marks=pytest.mark.long) for shape in ((200, 300, 3), (1, 90, 1), (40, 4, 4))]


@pytest.mark.parametrize("shape", [(8, 8, 1), *LARGE])
def test_a_sheet_is_small_whatever_it_shows(tmp_path, shape):
    pictures = np.random.default_rng(0).integers(0, 256, (10, *shape), np.uint8)
    tiles = [Tile(one, title="answer\nactual") for one in pictures]
    signed = [Tile(sheet.summed(one.mean(axis=2) - 128.0), "signed") for one in pictures]
    heat = [Tile(np.eye(3), "heat", over=one) for one in pictures]
    lines = sheet.in_lines([tiles, signed, heat], sheet.across(shape))
    sheet.save([Block("Noise", lines)], sheet.across(shape), tmp_path / "a.png", drawn.SIGNED)
    assert (tmp_path / "a.png").stat().st_size <= sheet.MOST_BYTES
    with Image.open(tmp_path / "a.png") as image:
        assert image.size[0] >= 240


def test_cells_of_a_map_are_sums_of_their_pixels():
    values = np.random.default_rng(0).normal(size=(200, 300))
    found = sheet.summed(values)
    assert found.shape == (27, 40)
    assert found.sum() == pytest.approx(values.sum())
    assert found[0, 0] == pytest.approx(values[:7, :7].sum())
    np.testing.assert_array_equal(sheet.summed(values[:8, :8]), values[:8, :8])


def test_pictures_with_few_levels_are_seen():
    dark = np.array([[[0], [16]]], np.uint8)
    np.testing.assert_array_equal(sheet._seen(dark, 16), [[0.0, 1.0]])
