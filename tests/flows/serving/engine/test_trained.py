"""Trained models answer raw rows as their predictor does: by their ONNX graph, and by TensorFlow in a child."""

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from flows.registry import columns, reading
from flows.serving.engine.live import Served
from pipelines.config import settings
from pipelines.config.data import Data
from pipelines.ingest import Ingest
from pipelines.model.predictor import Predictor
from pipelines.onnx import build
from tests.support import sequences
from tests.support.served import versions
from tests.support.served.versions import Parts
from tests.support.world import World

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def world(made, tmp_path_factory) -> World:
    """The models of `made`, and `shops`, a series."""
    found = made.copy(tmp_path_factory.mktemp("trained"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(found.root)
        sequences.prepared(found, sequences.shops(), "ingest", "validate", "clean", "check", "train")
    return found


def raw(world: World, model: str) -> tuple[list[Any], pd.DataFrame]:
    """Rows as the source has them, and the same as the predictor takes them."""
    if model == "shops":
        return forecasts(world)
    split = pd.read_parquet(world.root / "data" / model / "test.parquet")
    if model == "tiles":
        return [{"image": np.frombuffer(image, np.uint8).tolist()} for image in split["image"]], split
    plain = split.drop(columns="row_id").astype(object)
    return plain.where(plain.notna(), None).to_dict("records"), split


def forecasts(world: World) -> tuple[list[Any], pd.DataFrame]:
    """For each test window of the shop `b` the rows before it, and the windows."""
    split = pd.read_parquet(world.root / "data" / "shops" / "test.parquet").query("shop == 'b'").head(12)
    rows = pd.read_parquet(world.root / "data" / "shops" / "raw.parquet").query("shop == 'b'").sort_values("at")
    found, kept = [], []
    for place, at in enumerate(split["at"]):
        past = rows[rows["at"] < at].tail(30)
        if pd.isna(past["sold"].iloc[-1]):
            continue  # then what comes next is another row
        plain = past.drop(columns="row_id").astype(object)
        found.append({"rows": plain.where(plain.notna(), None).to_dict("records")})
        kept.append(place)
    return found, split.iloc[kept]


def promoted(world: World, state: Path, model: str, runtime: str, examples: list[Any]) -> None:
    """A version of a trained model, which a graph or a child computes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(world.root)
        data, config = settings.load(model, "data", Data), settings.load(model, "ingest", Ingest)
    folder = world.root / "data" / model / "model"
    test = pd.read_parquet(world.root / "data" / model / "test.parquet")
    about = build.build(folder, state / f"{model}-serving", [test])
    assert about["runtime"] == "onnx", about["why"]
    if runtime == "keras":
        (state / f"{model}-serving" / "serving.json").write_text(json.dumps(about | {"runtime": "keras", "why": "-"}))
    read = reading.write(reading.content(config), state / f"{model}-reading")
    described = columns.describe(data, folder, config.instants, None, None) | {"example": examples[0]}
    parts = Parts(folder, state / f"{model}-serving", read)
    versions.trained(state, model, 1, parts, described, examples[:50])


@pytest.mark.parametrize("runtime", ["onnx", "keras"])
@pytest.mark.parametrize("model", ["pets", "weights", "tiles", "shops"])
def test_raw_rows_are_answered_as_the_predictor_answers_them(world, tmp_path, model, runtime):
    rows, frame = raw(world, model)
    promoted(world, tmp_path, model, runtime, rows)

    async def answers() -> list[Any]:
        found = Served(tmp_path)
        await found.start()
        while found.models[model].version is None:  # TensorFlow takes longer
            await asyncio.sleep(0.1)
        assert found.models[model].problem == ""
        answered = await found.models[model].answer(rows)
        await found.close()
        assert answered.version.runtime == runtime
        return answered.answers

    found = asyncio.run(answers())
    wanted = Predictor(world.root / "data" / model / "model").predict(frame)
    if model in ("weights", "shops"):
        np.testing.assert_allclose([one.prediction for one in found], wanted["prediction"], rtol=1e-5)
        return
    assert [one.prediction for one in found] == wanted["prediction"].tolist()
    for name in found[0].probabilities:
        np.testing.assert_allclose([one.probabilities[name] for one in found], wanted[f"probability_{name}"], atol=1e-5)
