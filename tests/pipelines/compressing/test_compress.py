"""Compress: the stage, on models that the stages before it have made."""

import hashlib
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flows.deployment import serving_files
from pipelines import compress
from pipelines.compressing import variants
from pipelines.errors import IntegrityError
from pipelines.model.predictor import check_manifest, file_hash, model_hash
from tests.support.world import World

ALL = {"quantize": ["int8", "float16"], "prune": 0.5, "distill": {"hidden": [4]}}


def compressed(world: World, model: str = "pets", **section) -> dict:
    """What the stage says of a model with this section."""
    declare = {"pets": world.declare, "weights": world.declare_weights, "tiles": world.declare_tiles}[model]
    declare(**({"compress_": section} if section else {}))
    folder = world.run(*(["export"] if not (world.root / f"data/{model}/serving").exists() else []), model=model)
    world.run("compress", model=model)
    return json.loads((folder / "compressed/compressed.json").read_text())


def hashes(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


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


@pytest.mark.parametrize(
    "model", ["weights", *(pytest.param(name, marks=pytest.mark.long) for name in ("pets", "tiles"))]
)
def test_a_variant_is_a_folder_of_serving_files_with_its_answers_to_the_same_rows(here, model):
    found = compressed(here, model, **ALL)
    folder = here.root / "data" / model
    assert list(found["variants"]) == ["int8", "float16", "pruned", "distilled"]
    before, declared = pq.read_table(folder / "predictions.parquet"), json.loads((folder / "metrics.json").read_text())
    for name, one in found["variants"].items():
        assert one["why"] == ""
        place = folder / "compressed" / name
        served = serving_files.check(place, found["model_hash"])
        assert (served.runtime, served.hash) == ("onnx", one["serving_hash"])
        assert json.loads((place / "serving.json").read_text())["variant"] == name
        assert one["bytes"] == (place / "model.onnx").stat().st_size
        assert one["parent_bytes"] == (folder / "serving/model.onnx").stat().st_size
        after = pq.read_table(place / "predictions.parquet")
        assert after.schema == before.schema
        assert after.select(["row_id", "actual"]) == before.select(["row_id", "actual"])
        assert set(one["metrics"]) == set(declared["test"])
        assert (one["changed_labels"] is None) == (model == "weights")
        assert one["largest"] > 0
        assert (place / "model").exists() == (one["kind"] == "model") == (name in ("pruned", "distilled"))
        if one["kind"] == "model":
            check_manifest(place / "model")
            assert 0.2 < one["weights_kept"] < 0.9
        else:
            assert one["metrics"] == pytest.approx(declared["test"], rel=0.05)
    assert set(found["variants"]["distilled"]["plain"]["metrics"]) == set(declared["test"])
    assert not list(folder.glob(".compressed*"))
    first = hashes(folder / "compressed")
    alone = compressed(here, model, distill=ALL["distill"])  # whatever else a process has done
    assert alone["variants"]["distilled"] == found["variants"]["distilled"]
    assert hashes(folder / "compressed/distilled") == {
        name.removeprefix("distilled/"): digest for name, digest in first.items() if name.startswith("distilled/")
    }


def test_a_model_that_keras_serves_has_no_file_to_store_in_fewer_bits(here):
    compressed(here)
    path = here.root / "data/pets/serving/serving.json"
    about = json.loads(path.read_text())
    path.write_text(json.dumps(about | {"runtime": "keras", "why": "ONNX lacks the operation Erfinv", "files": {}}))
    found = compressed(here, quantize=["int8"])["variants"]["int8"]
    assert found == variants.refused("serving", found["why"])
    assert found["why"] == "only an ONNX file is stored in fewer bits, and ONNX lacks the operation Erfinv"
    assert not (here.root / "data/pets/compressed/int8").exists()


@pytest.mark.tensorflow
def test_a_model_that_was_changed_by_hand_is_refused(here):
    path = here.root / "data/pets/model/model.json"
    path.write_text(path.read_text() + " ")
    with pytest.raises(IntegrityError, match=r"model\.json is not what the manifest says\. Restore it with"):
        compress.run("pets")
