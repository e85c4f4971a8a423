"""Every kind of network and feature answers in ONNX Runtime as in Keras, missing values and unknown words included."""

from typing import Any

import pytest

from pipelines.config.data import Data
from pipelines.model.predictor import to_arrays
from pipelines.onnx import build, check, planted
from tests.pipelines.onnx.small import IMAGE, TABLE, raw, saved
from tests.support.sequences import SHOPS

pytestmark = [pytest.mark.usefixtures("hardware"), pytest.mark.tensorflow]

SERIES = Data.model_validate(SHOPS)
MANY = Data(
    kind="table",
    task="regression",
    target="paid",
    columns={"weight": "number"} | {f"word_{number}": "category" for number in range(101)},
)
RNN: dict[str, Any] = {"network": "rnn", "recurrent": [3], "hidden": []}
ATTENTION: dict[str, Any] = {"network": "attention", "width": 8, "heads": 2, "dropout": 0.1}
TABLES = {
    "words, dates and numbers": (TABLE, {}),
    "quantiles": (TABLE, {"numbers": "quantiles", "bins": 4}),
    "a linear model beside, and gelu": (TABLE, {"wide": True, "activation": "gelu", "dropout": 0.1}),
    "one lookup for more than a hundred columns of words": (MANY, {"hidden": [3]}),
    "an image": (IMAGE, {}),
    "convolutions": (IMAGE, {"network": "cnn", "filters": [4]}),
    "an image row by row": (IMAGE, RNN | {"cell": "gru"}),
    "attention between columns": (TABLE, ATTENTION),
    "attention between columns of bins, and gelu": (TABLE, ATTENTION | {"numbers": "quantiles", "activation": "gelu"}),
    "attention between rows of an image": (IMAGE, ATTENTION | {"heads": 1, "blocks": 1}),
}
WINDOWS = {
    "lstm": (SERIES, RNN | {"recurrent": [3, 2]}),
    "gru": (SERIES, RNN | {"cell": "gru"}),
    "simple": (SERIES, RNN | {"cell": "simple", "predict": "value"}),
    "convolutions": (SERIES, {"network": "cnn", "filters": [4]}),
    "mlp": (SERIES, {"wide": True}),
    "attention": (SERIES, ATTENTION | {"blocks": 3}),
}
SEASONS = {"seasons": [24], "horizon": 2}
BASELINES = {"last": {}, "mean": {}, "season": SEASONS, "season_and_change": SEASONS}


def most_are_long(names: dict[str, Any], quick: str) -> list[Any]:
    """The names as parameters of a test: all but one only in `make long`."""
    return [name if name == quick else pytest.param(name, marks=pytest.mark.long) for name in names]


def round_trip(folder: Any, data: Data, **config: Any) -> dict[str, Any]:
    model = saved(folder / "model", data, **config)
    found = build.build(folder / "model", folder / "serving", [raw(data, seed=1)])
    assert found["runtime"] == "onnx", found["why"]
    rows = 60 + sum(len(next(iter(some.values()))) for some in planted.rows(to_arrays(raw(data, 5), model.about)))
    assert found["checked"]["rows"] == rows + min(rows, check.SINGLE)
    return found["checked"]


@pytest.mark.parametrize("case", most_are_long(TABLES, "convolutions"))
def test_rows_of_a_table_and_images(case, tmp_path):
    data, config = TABLES[case]
    assert round_trip(tmp_path, data, **config)["largest_difference"] < 1e-5


@pytest.mark.parametrize("case", most_are_long(WINDOWS, ""))
def test_windows_of_a_sequence(case, tmp_path):
    data, config = WINDOWS[case]
    assert round_trip(tmp_path, data, **config)["largest_difference"] < 1e-3


@pytest.mark.parametrize("baseline", most_are_long(BASELINES, "season_and_change"))
def test_the_baselines_of_a_sequence(baseline, tmp_path):
    data = Data.model_validate(SHOPS | BASELINES[baseline] | {"baseline": baseline})
    assert round_trip(tmp_path, data, **RNN, cell="gru")["largest_difference"] < 1e-3
