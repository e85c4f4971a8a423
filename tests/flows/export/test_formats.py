"""What a file gets wrong is noticed, and what a format lacks is named."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.export.compared import compare
from flows.export.format import NotCarried
from flows.export.formats import litert
from pipelines.config import yaml_text
from pipelines.config.data import Data
from pipelines.errors import RatchetError
from tests.flows.export import exported
from tests.pipelines.onnx.small import TABLE, saved
from tests.support.world import ROOT

pytestmark = [pytest.mark.usefixtures("hardware"), pytest.mark.tensorflow]


@pytest.fixture(scope="module")
def export(tmp_path_factory, hardware) -> tuple[Path, Path, Any]:
    """The folder of an export, that of its model, and the model."""
    place = tmp_path_factory.mktemp("exported")
    loaded = saved(place / "model", TABLE)
    return exported.written(place / "out", place / "model", loaded, TABLE, "litert"), place / "model", loaded


def test_a_changed_weight_is_noticed(export):
    folder, model, loaded = export
    path, weight = folder / "model.tflite", np.asarray(loaded.model.get_layer("network").weights[0])[0, 0]
    right = path.read_bytes()
    assert right.count(weight.tobytes()) == 1
    path.write_bytes(right.replace(weight.tobytes(), np.float32(9.0).tobytes()))
    with pytest.raises(NotCarried, match=r"differ from those of the model by up to .* 1e-05 is allowed"):
        exported.checked(folder, model, loaded, TABLE).verdict()
    path.write_bytes(right[:100])
    with pytest.raises(NotCarried, match="LiteRT cannot load or compute the file"):
        exported.checked(folder, model, loaded, TABLE)
    path.write_bytes(right)


def test_what_litert_lacks_is_named_with_its_layer():
    import keras
    import tensorflow as tf

    start = keras.Input((4,), name="normalised")
    values = keras.layers.Lambda(lambda taken: tf.math.erfinv(taken), name="own")(start)
    network = keras.Model(start, keras.layers.Dense(2, name="output")(values), name="network")
    with pytest.raises(NotCarried, match=r"^LiteRT lacks the operation Erfinv of the layer own$"):
        litert.converted(network, int8=False)


EXPECTED = np.array([[0.6, 0.4], [0.2, 0.8], [0.500001, 0.499999]], np.float32)


def test_labels_and_differences_are_counted_by_what_the_model_itself_is_sure_of():
    same = compare(EXPECTED, EXPECTED, 3, 1.0, int8=False)
    assert (same.largest_difference, same.labels_changed, same.planted) == (0.0, 0, 0)
    same.verdict()
    tie = EXPECTED + np.array([[0, 0], [0, 0], [-2e-6, 2e-6]], np.float32)
    assert compare(EXPECTED, tie, 2, 1.0, int8=False).labels_changed == 0
    turned = compare(EXPECTED, EXPECTED[:, ::-1], 2, 1.0, int8=True)
    assert (turned.labels_changed, turned.planted) == (2, 1)
    with pytest.raises(NotCarried, match=r"by up to 0\.6 on 2 kept rows and 1 with gaps"):
        turned.verdict()


def test_no_number_in_one_of_the_two_is_noticed_however_small_the_rest():
    found = EXPECTED.copy()
    found[0] = np.nan
    with pytest.raises(NotCarried, match="only one of the model and the file gives a number"):
        compare(EXPECTED, found, 3, 1.0, int8=True).verdict()
    compare(found, found, 3, 1.0, int8=False).verdict()


def test_answers_of_another_shape_are_refused():
    with pytest.raises(NotCarried, match=r"gives answers of the shape \[3, 1\], and the model \[3, 2\]"):
        compare(EXPECTED, EXPECTED[:, :1], 3, 1.0, int8=False)


def test_the_scale_of_a_regression_decides():
    expected = np.array([[100.0], [900.0]], np.float32)
    compare(expected, expected + np.float32(0.003), 2, 400.0, int8=False).verdict()
    with pytest.raises(NotCarried, match=r"0\.004 is allowed"):
        compare(expected, expected + np.float32(0.1), 2, 400.0, int8=False).verdict()


@pytest.mark.long
def test_a_check_that_has_imported_tensorflow_has_shown_nothing(export, tmp_path):
    folder, model, loaded = export
    other = tmp_path / "litert"
    shutil.copytree(folder, other)
    path = other / "reader.py"
    path.write_text(path.read_text().replace("import numpy as np\n", "import keras\nimport numpy as np\n", 1))
    with pytest.raises(RatchetError, match=r"has imported .*, so it has shown nothing"):
        exported.checked(other, model, loaded, TABLE)


@pytest.mark.long
@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize("name", ["mnist", "mnist_cnn"])
def test_the_networks_of_mnist_run_in_litert_without_tensorflow(name, int8, tmp_path):
    """Untrained, on rows of noise: that they answer as Keras does, where `fresh` lets no TensorFlow in."""
    declared = yaml_text.plain((ROOT / "models" / f"{name}.yaml").read_text())
    keys = {key: declared["train"][key] for key in ("network", "filters", "hidden") if key in declared["train"]}
    data = Data.model_validate(declared["data"] | {"columns": {}})
    loaded = saved(tmp_path / "model", data, **keys)
    export = exported.written(tmp_path / "out", tmp_path / "model", loaded, data, "litert", int8)
    exported.checked(export, tmp_path / "model", loaded, data, int8).verdict()
