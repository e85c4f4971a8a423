"""Every kind of network and row, in every format that carries it: a fresh process answers as the model does."""

from pathlib import Path

import pytest

from flows.export import convert
from tests.flows.export import exported
from tests.pipelines.onnx.small import saved
from tests.pipelines.onnx.test_round_trip import BASELINES, RNN, TABLES, WINDOWS, Data
from tests.support.sequences import SHOPS

pytestmark = [pytest.mark.usefixtures("hardware"), pytest.mark.tensorflow]

CASES = TABLES | {f"windows: {name}": case for name, case in WINDOWS.items()}
CASES |= {
    f"baseline: {name}": (Data.model_validate(SHOPS | more | {"baseline": name}), RNN | {"cell": "gru"})
    for name, more in BASELINES.items()
}
FORMATS = ["keras", "litert", "onnx", "saved_model"]
QUICK = [("words, dates and numbers", "litert"), ("windows: gru", "litert")]


def cases() -> list:
    every = [(case, name) for case in CASES for name in FORMATS]
    return [one if one in QUICK else pytest.param(*one, marks=pytest.mark.long) for one in every]


def test_the_formats_are_those_that_are_tried_here():
    assert list(convert.known()) == FORMATS


@pytest.mark.parametrize(("case", "name"), cases())
def test_a_fresh_process_answers_as_the_model_does(case: str, name: str, tmp_path: Path):
    data, config = CASES[case]
    loaded = saved(tmp_path / "model", data, **config)
    export = exported.written(tmp_path / "out", tmp_path / "model", loaded, data, name)
    found = exported.checked(export, tmp_path / "model", loaded, data)
    found.verdict()
    assert found.rows == 20
    assert found.planted > (0 if data.kind == "image" else 3)


@pytest.mark.long
@pytest.mark.parametrize("name", ["litert", "onnx"])
@pytest.mark.parametrize("case", [case for case in CASES if "baseline" not in case])
def test_eight_bits_are_smaller_or_as_large_and_nearly_the_same(case: str, name: str, tmp_path: Path):
    data, config = CASES[case]
    loaded = saved(tmp_path / "model", data, **config)
    export = exported.written(tmp_path / "out", tmp_path / "model", loaded, data, name, int8=True)
    exported.checked(export, tmp_path / "model", loaded, data, int8=True).verdict()
