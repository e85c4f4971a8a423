"""Attention: shares that add up, each under the name of its own column or step, in pictures."""

from typing import Any

import numpy as np
import pytest

from pipelines.config.data import Data
from pipelines.explaining import attention
from pipelines.explaining.columns import Arrays, columns
from pipelines.model.predictor import to_arrays
from tests.pipelines.onnx.small import IMAGE, TABLE, raw, saved
from tests.support.sequences import SHOPS

pytestmark = [pytest.mark.usefixtures("hardware"), pytest.mark.tensorflow]

SMALL: dict[str, Any] = {"network": "attention", "width": 4, "heads": 2, "hidden": []}
SERIES = Data.model_validate(SHOPS)


@pytest.fixture(scope="module")
def of_table(tmp_path_factory, hardware) -> tuple[Any, Arrays]:
    model = saved(tmp_path_factory.mktemp("table") / "model", TABLE, **SMALL)
    return model, to_arrays(raw(TABLE), model.about)


def test_shares_add_up_for_every_token_and_head_and_the_last_block_has_those_of_the_answer(of_table):
    model, arrays = of_table
    found = attention.attended(model.model, model.about, arrays)
    assert [block.shape for block in found.blocks] == [(2, 6, 6), (2, 1, 6)]
    assert found.rows == 60
    for block in found.blocks:
        np.testing.assert_allclose(block.sum(axis=2), 1, rtol=1e-6)


NUMBERS = Data(kind="table", task="regression", target="paid", columns={"weight": "number", "age": "number"})


@pytest.mark.parametrize("data", [TABLE, NUMBERS], ids=["of many kinds", "alike"])
def test_a_token_has_the_name_of_the_column_that_changes_it(data, of_table, tmp_path):
    import keras

    model, arrays = of_table
    if data is NUMBERS:
        model = saved(tmp_path / "model", data, **SMALL)
        arrays = to_arrays(raw(data), model.about)
    names = attention.attended(model.model, model.about, arrays).names
    assert sorted(names) == sorted([attention.ANSWER, *data.features])
    network = model.model.get_layer("network")
    before = keras.Model(model.model.input, network._inbound_nodes[0].input_tensors[0])
    tokens = keras.Model(network.input, network.get_layer("attention_0").input[1])
    as_it_was = np.asarray(tokens(before(arrays)))
    for column in columns(model.about):
        changed = arrays[column.array].copy()
        changed[:, column.place] = changed[::-1, column.place]
        now = np.asarray(tokens(before(arrays | {column.array: changed})))
        assert [names[place] for place in np.flatnonzero((now != as_it_was).any(axis=(0, 2)))] == [column.name]


def test_means_do_not_depend_on_how_many_rows_are_held_at_once(of_table, monkeypatch):
    model, arrays = of_table
    whole = attention.attended(model.model, model.about, arrays)
    monkeypatch.setattr(attention, "SCORES", 500)
    parts = attention.attended(model.model, model.about, arrays)
    for one, other in zip(whole.blocks, parts.blocks, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_pictures_are_the_same_bytes_twice(of_table, tmp_path):
    model, arrays = of_table
    first = attention.draw(model.model, model.about, arrays, tmp_path)
    assert [one["file"] for one in first] == ["attention-answer.png", "attention-between.png"]
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert all(content.startswith(b"\x89PNG") for content in before.values())
    assert attention.draw(model.model, model.about, arrays, tmp_path) == first
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.long
@pytest.mark.parametrize(("data", "tokens"), [(SERIES, 7), (IMAGE, 7)], ids=["window", "image"])
def test_steps_and_rows_have_pictures_too(data, tokens, tmp_path):
    model = saved(tmp_path / "model", data, **SMALL, blocks=1)
    arrays = to_arrays(raw(data), model.about)
    found = attention.attended(model.model, model.about, arrays)
    assert len(found.names) == tokens
    assert found.blocks[0].shape == (2, 1, tokens)
    pictures = attention.draw(model.model, model.about, arrays, tmp_path)
    assert [one["file"] for one in pictures] == ["attention-answer.png"]
    assert (tmp_path / "attention-answer.png").stat().st_size > 1000


def test_other_networks_have_no_pictures(tmp_path):
    model = saved(tmp_path / "model", TABLE, hidden=[3])
    assert attention.draw(model.model, model.about, to_arrays(raw(TABLE), model.about), tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
