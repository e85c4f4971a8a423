"""Profile: counts and quantiles are those of pandas, distances those of scipy, and nothing depends on the row order."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy.stats import ks_2samp

from pipelines.config import settings
from pipelines.config.data import PIXELS, Data
from pipelines.table import profile, row_groups
from pipelines.table.profile import distance
from tests.support.world import PETS, pets, tiles


def profiled(world, frame: pd.DataFrame, model: str = "pets", least: int = 1) -> dict:
    world.pin(frame, "rows.parquet", model)
    world.run("ingest", model=model)
    return profile.profile(world.root / "data" / model / "raw.parquet", settings.load(model, "data", Data), least)


def test_a_number_has_the_counts_mean_and_quantiles_of_pandas(world):
    frame = pets(300)
    found = profiled(world, frame)
    assert (found["rows"], found["sampled"], list(found["columns"])) == (
        300,
        300,
        ["age", "animal", "colour", "weight"],
    )
    for name in ("weight", "age"):
        column, known = found["columns"][name], frame[name].dropna()
        assert column["missing"] == frame[name].isna().sum()
        assert column["mean"] == pytest.approx(known.mean())
        quantiles = known.quantile(np.linspace(0, 1, 101), interpolation="lower")
        assert np.abs(np.array(column["quantiles"]) - quantiles).max() <= known.sort_values().diff().max()
        assert (column["quantiles"][0], column["quantiles"][-1]) == (known.min(), known.max())


def test_words_are_counted_and_the_most_frequent_named(world):
    frame = pets(300)
    column = profiled(world, frame)["columns"]["colour"]
    assert column["words"] == frame["colour"].value_counts().to_dict()
    assert (column["distinct"], column["known"]) == (3, frame["colour"].notna().sum())
    names = frame.assign(colour=[f"name {number}" for number in range(300)])
    assert len(profiled(world, names)["columns"]["colour"]["words"]) == profile.MOST_WORDS
    assert profiled(world, names, least=2)["columns"]["colour"]["words"] == {}  # what one row alone has is not told


def test_images_are_described_by_what_rules_see_of_them(world):
    world.declare_tiles()
    frame = tiles(50)
    columns = profiled(world, frame, "tiles")["columns"]
    assert set(columns) == {"pixel_min", "pixel_max", "pixel_mean", "tile"}
    means = [np.frombuffer(image, np.uint8).mean() for image in frame["image"]]
    assert columns["pixel_mean"]["mean"] == pytest.approx(np.mean(means))


def test_of_a_large_table_a_sample_by_identity_is_taken_and_its_size_is_told(world, monkeypatch):
    every = profiled(world, pets(2000))
    monkeypatch.setattr(profile, "MOST_ROWS", 500)
    found = profiled(world, pets(2000))
    assert 400 < found["sampled"] < 600
    for name in ("rows",):
        assert found[name] == every[name]
    for name in ("weight", "age"):
        told, known = found["columns"][name], every["columns"][name]
        assert told["missing"] == known["missing"]
        assert told["mean"] == known["mean"]
        assert (told["quantiles"][0], told["quantiles"][-1]) == (known["quantiles"][0], known["quantiles"][-1])
        assert distance(every, found, name) < 0.1
    shuffled = profiled(world, pets(2000).sample(frac=1, random_state=0))
    columns = [{k: v for k, v in one["columns"]["weight"].items() if k != "mean"} for one in (found, shuffled)]
    assert columns[0] == columns[1]  # only the last bits of a sum depend on the order


def test_a_sample_of_images_is_taken_in_the_same_way(world, monkeypatch):
    """Of row groups of any size: as many values are held as rows are taken."""
    world.declare_tiles()
    every = profiled(world, tiles(300), "tiles")
    monkeypatch.setattr(row_groups, "GROUP_ROWS", 40)
    monkeypatch.setattr(profile, "MOST_ROWS", 150)
    found = profiled(world, tiles(300), "tiles")
    assert 100 < found["sampled"] < 200
    for name in PIXELS:
        told, known = found["columns"][name], every["columns"][name]
        assert told["mean"] == pytest.approx(known["mean"])
        assert (told["quantiles"][0], told["quantiles"][-1]) == (known["quantiles"][0], known["quantiles"][-1])
        assert distance(every, found, name) < 0.2


def test_the_distance_of_numbers_is_that_of_kolmogorov_and_smirnov(world):
    frame = pets(1000)
    one, other = profiled(world, frame), profiled(world, frame.assign(weight=frame["weight"] * 1.3))
    exact = ks_2samp(frame["weight"], frame["weight"] * 1.3).statistic
    assert distance(one, other, "weight") == pytest.approx(exact, abs=0.02)
    assert distance(one, other, "age") == 0
    assert distance(one, one, "colour") == 0


def test_the_distance_of_words_is_the_share_that_would_have_to_change(world):
    frame = pets(1000).assign(colour=["black"] * 500 + ["white"] * 500)
    one, other = profiled(world, frame), profiled(world, frame.assign(colour=["black"] * 700 + ["grey"] * 300))
    assert distance(one, other, "colour") == pytest.approx(0.5)  # 500 white rows became 200 black and 300 grey ones


def test_words_that_are_not_listed_are_one_word(world):
    frames = [pets(1000).assign(colour=[f"{word} {number}" for number in range(1000)]) for word in ("a", "b")]
    one, other = (profiled(world, frame) for frame in frames)
    assert distance(one, other, "colour") == 0  # a free text has no distribution to speak of


def test_missing_values_count_and_what_cannot_be_compared_is_not(world):
    frame = pets(400)
    one, other = profiled(world, frame.assign(age=1.0)), profiled(world, frame.assign(age=[None, 1.0] * 200))
    assert distance(one, other, "age") == pytest.approx(0.5)
    assert distance(one, profiled(world, frame.assign(age=None)), "age") is None
    assert distance(one, other, "no such column") is None


def test_of_a_sensitive_column_only_the_missing_ones_are_counted(world):
    world.declare(data_=PETS["data"] | {"sensitive": ["age", "colour"]})
    columns = profiled(world, pets(200))["columns"]
    assert columns["age"] == {"kind": "number", "missing": pets(200)["age"].isna().sum()}
    assert columns["colour"] == {"kind": "word", "missing": pets(200)["colour"].isna().sum()}


def test_a_stage_writes_it_as_json_with_a_line_for_each_column(world):
    world.pin(pets())
    text = (world.run("ingest", "validate") / "profile.json").read_text()
    raw = pq.read_table(world.root / "data/pets/raw.parquet")
    assert json.loads(text)["rows"] == len(raw)
    assert len(text.splitlines()) == 4 + len(raw.column_names) - 1 + 3
