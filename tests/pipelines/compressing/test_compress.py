"""Compress: the stage, on models that the stages before it have made."""

import json

import pyarrow.parquet as pq
import pytest

from flows.deployment import serving_files
from pipelines.model.predictor import file_hash, model_hash
from tests.support.world import World


def compressed(world: World, model: str = "pets", **section) -> dict:
    """What the stage says of a model with this section, after `export`."""
    declare = {"pets": world.declare, "weights": world.declare_weights, "tiles": world.declare_tiles}[model]
    declare(**({"compress_": section} if section else {}))
    folder = world.run("export", "compress", model=model)
    return json.loads((folder / "compressed/compressed.json").read_text())


@pytest.fixture
def here(made, tmp_path, monkeypatch):
    world = made.copy(tmp_path / "here")
    monkeypatch.chdir(world.root)
    return world


def test_without_the_section_there_are_no_variants(here):
    found = compressed(here)
    folder = here.root / "data/pets"
    assert found == {
        "format": 1,
        "model_hash": model_hash(folder / "model"),
        "serving_hash": file_hash(folder / "serving/serving.json"),
        "variants": {},
    }
    assert [path.name for path in (folder / "compressed").iterdir()] == ["compressed.json"]


@pytest.mark.parametrize("model", ["pets", "weights", "tiles"])
def test_a_variant_is_a_folder_of_serving_files_with_its_answers_to_the_same_rows(here, model):
    found = compressed(here, model, quantize=["int8", "float16"])
    folder = here.root / "data" / model
    assert list(found["variants"]) == ["int8", "float16"]
    before = pq.read_table(folder / "predictions.parquet")
    for name, one in found["variants"].items():
        if one["why"]:
            assert model == "pets"  # a hidden layer of eight units
            continue
        place = folder / "compressed" / name
        served = serving_files.check(place, found["model_hash"])
        assert (served.runtime, served.hash, served.names) == (
            "onnx",
            one["serving_hash"],
            ("model.onnx", "serving.json"),
        )
        assert json.loads((place / "serving.json").read_text())["variant"] == name
        assert one["bytes"] == (place / "model.onnx").stat().st_size
        assert one["parent_bytes"] == (folder / "serving/model.onnx").stat().st_size
        after = pq.read_table(place / "predictions.parquet")
        assert after.schema == before.schema
        assert after.select(["row_id", "actual"]) == before.select(["row_id", "actual"])
        declared = json.loads((folder / "metrics.json").read_text())["test"]
        assert one["metrics"] == pytest.approx(declared, abs=0.05)
        assert set(one["metrics"]) == set(declared)
        assert (one["changed_labels"] is None) == (model == "weights")
        assert one["largest"] > 0
