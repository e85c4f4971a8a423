"""Explain: the stage, on models that the stages before it have made."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import explain
from pipelines.config import settings
from pipelines.errors import IntegrityError, SettingsError
from pipelines.explain import Explain
from pipelines.model.predictor import file_hash, model_hash
from tests.support.sequences import prepared, shops
from tests.support.world import STAGES, World, pets


def content(folder):
    return json.loads((folder / "explanations/explanations.json").read_text(encoding="utf-8"))


@pytest.fixture
def world(made, tmp_path, monkeypatch):
    found = made.copy(tmp_path / "here")
    monkeypatch.chdir(found.root)
    return found


def test_a_table_is_explained_in_files_that_are_named_and_nothing_sensitive_is_kept(world):
    world.declare_weights(data={"sensitive": ["animal"]})
    folder = world.run("explain", model="weights")
    found = content(folder)
    assert (found["format"], found["off"], found["model_hash"]) == (1, False, model_hash(folder / "model"))
    assert found["metric"] == "mean_absolute_error"
    assert found["importance"][0]["columns"] == ["animal"]  # dogs are heavier; shown by name, and never a value
    assert found["importance"][0]["mean"] > 0
    assert {entry["column"] for entry in found["dependence"]} == {"age", "colour"}
    assert "animal" not in found["rules"]["text"]
    there = {path.name: file_hash(path) for path in (folder / "explanations").iterdir()}
    assert there.pop("explanations.json")
    assert there == found["files"]
    assert found["fixed"] == []
    assert {picture["file"] for picture in found["pictures"]} | {"background.parquet"} == set(there)
    rows = pq.read_table(folder / "explanations/background.parquet")
    assert rows.schema.names == ["row_id", "age", "colour"]
    assert set(rows["row_id"].to_pylist()) <= set(pq.read_table(folder / "train.parquet")["row_id"].to_pylist())
    assert "dog" not in json.dumps(found)


def test_pictures_are_explained_by_pictures(world):
    found = content(world.run("explain", model="tiles"))
    names = [picture["file"] for picture in found["pictures"]]
    assert names == ["saliency.png", "grad-cam.png", "layers.png"]
    assert set(found["files"]) == {*names, "background.parquet"}
    assert (found["importance"], found["rules"]) == ([], None)
    rows = pq.read_table(world.root / "data/tiles/explanations/background.parquet")
    assert rows.schema.names == ["row_id", "image"]


def test_off_leaves_a_file_that_says_so(world):
    world.declare_weights(explain_="off")
    folder = world.run("explain", model="weights")
    assert content(folder) == {"format": 1, "model_hash": model_hash(folder / "model"), "off": True, "files": {}}
    assert [path.name for path in (folder / "explanations").iterdir()] == ["explanations.json"]


def test_the_section_is_empty_or_off():
    assert settings.parse("pets", "explain", "off", Explain).off
    assert not settings.parse("pets", "explain", {}, Explain).off
    with pytest.raises(SettingsError, match=r"explain should be a mapping, got 'no'"):
        settings.parse("pets", "explain", "no", Explain)


def test_a_model_that_was_changed_by_hand_is_refused(world):
    path = world.root / "data/pets/model/model.json"
    path.write_text(path.read_text() + " ")
    with pytest.raises(IntegrityError, match=r"model\.json is not what the manifest says\. Restore it with"):
        world.run("explain")
    assert not (world.root / "data/pets/explanations").exists()


def test_a_sample_is_the_smallest_row_ids_of_all_row_groups(tmp_path):
    ids = [f"{number:04x}" for number in np.random.default_rng(0).permutation(500)]
    pq.write_table(pa.table({"row_id": ids, "a": range(500)}), tmp_path / "rows.parquet", row_group_size=64)
    found = explain.sample(tmp_path / "rows.parquet", 30, ["a"])
    assert found["row_id"].to_pylist() == sorted(ids)[:30]
    assert found["a"].to_pylist() == [ids.index(row) for row in sorted(ids)[:30]]
    assert explain.sample(tmp_path / "rows.parquet", 1000, ["a"]).num_rows == 500


@pytest.mark.parametrize(("columns", "window"), [(1, 0), (30, 0), (200, 0), (2000, 0), (9, 24), (5, 5000)])
def test_the_work_is_bounded_however_many_columns_and_steps_there_are(columns, window, monkeypatch):
    asked = explain.Asked(None, settings.parse("m", "data", _declared(columns, window), explain.Data), None)
    monkeypatch.setattr(explain.Asked, "columns", [None] * columns)
    rows = max(explain.FEWEST_ROWS, asked.shuffled_rows)
    assert rows <= explain.TEST_ROWS
    asks = rows * asked.times(rows) * asked.sets * asked.steps
    smallest = explain.FEWEST_ROWS * explain.SHUFFLES[0] * asked.sets * asked.steps
    assert asks <= max(explain.BUDGET, smallest)


def _declared(columns, window):
    table = {
        "kind": "table",
        "task": "regression",
        "target": "y",
        "columns": {f"c{n}": "number" for n in range(columns)},
    }
    if not window:
        return table
    return (
        table
        | {"kind": "sequence", "time": "at", "step": 60.0, "window": window}
        | {"columns": {"at": "date", **table["columns"]}}
    )


@pytest.mark.long
@pytest.mark.tensorflow
def test_a_second_process_writes_the_same_bytes(world):
    folder = world.run("explain", model="weights") / "explanations"
    before = {path.name: file_hash(path) for path in folder.iterdir()}
    done = world.command("explain", "weights")
    assert done.returncode == 0, done.stderr
    assert {path.name: file_hash(path) for path in folder.iterdir()} == before


@pytest.mark.long
@pytest.mark.tensorflow
def test_with_shuffled_labels_in_training_importances_vanish(tmp_path, monkeypatch, hardware):
    monkeypatch.chdir(tmp_path)
    world, table = World(tmp_path), pets(1000)
    table["animal"] = table["animal"].sample(frac=1, random_state=1).to_numpy()
    world.declare(promote_={"metric": "log_loss", "at_most": 9.0})
    world.pin(table)
    found = content(world.run(*STAGES, "explain"))
    for entry in [*found["importance"], *found["groups"]]:
        assert entry["low"] <= 0.01
        assert abs(entry["mean"]) < 0.02
    truth = World(tmp_path / "true")
    truth.root.mkdir()
    monkeypatch.chdir(truth.root)
    truth.declare(promote_={"metric": "log_loss", "at_most": 9.0})
    truth.pin(pets(1000))
    first = content(truth.run(*STAGES, "explain"))["importance"][0]
    assert first["columns"] == ["weight"]
    assert first["low"] > 0.02


@pytest.mark.long
@pytest.mark.tensorflow
def test_a_series_says_which_part_of_its_window_matters(tmp_path, monkeypatch, hardware):
    monkeypatch.chdir(tmp_path)
    folder = prepared(World(tmp_path), shops(), *STAGES, "explain")
    found = content(folder)
    window = found["series"]["window"]
    steps = found["series"]["steps"]
    assert (steps[0]["first"], steps[-1]["last"]) == (1, window)
    assert {entry["columns"][0] for entry in found["importance"]} >= {"past_sold", "warm", "shop"}
    assert max(steps, key=lambda step: step["mean"])["first"] == 1  # the forecast begins with the last known value
    assert "window.png" in {picture["file"] for picture in found["pictures"]}
