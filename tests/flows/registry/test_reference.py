"""The reference of a version: its rows as they were, in no words that training chose to its own advantage."""

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.monitoring.drift import compare, periods
from flows.registry import reference
from pipelines.config.data import Data
from pipelines.table.summary import columns
from pipelines.table.summary.columns import WORDS
from pipelines.table.summary.gather import Gathered
from tests.support import sequences
from tests.support.served import watched


def made(tmp_path, data=watched.PETS, **changes):
    stages = watched.stages(
        tmp_path / "stages", watched.pets(600, seed=1, **changes), watched.pets(200, seed=2, **changes)
    )
    return written(stages, data)


def written(stages, data):
    reference.write(stages, data, {"categories": data.categories}, stages / reference.NAME)
    return columns.read(stages / reference.NAME)


def test_it_has_each_column_and_the_answers(tmp_path):
    found = {line.name: line for line in made(tmp_path) if not line.group}
    assert [*found] == [
        "weight",
        "age",
        "colour",
        "born",
        "prediction",
        "probability_cat",
        "probability_dog",
        "confidence",
    ]
    assert found["weight"].rows == 600
    assert 200 < found["colour"].rows < 400
    assert found["prediction"].words == ["cat", "dog"]
    assert found["prediction"].counts == [0, 200]
    assert found["confidence"].points == [0.75]
    assert 120 < found["confidence"].right[0] < 160
    assert found["probability_cat"].right[0] + found["probability_dog"].right[0] == 200


def test_the_same_rows_give_the_same_bytes(tmp_path):
    made(tmp_path / "one"), made(tmp_path / "two")
    one, two = ((tmp_path / name / "stages" / reference.NAME).read_bytes() for name in ("one", "two"))
    assert one == two


def test_a_sensitive_column_is_not_in_it(tmp_path):
    data = watched.PETS.model_copy(update={"sensitive": ["colour", "weight"]})
    found = made(tmp_path, data, colour="a secret")
    assert not {"colour", "weight"} & {line.name for line in found}
    assert b"secret" not in (tmp_path / "stages" / reference.NAME).read_bytes()


def test_a_model_with_a_date_has_each_month(tmp_path):
    rows = [
        row | {"born": f"2023-{place % 12 + 1:02d}-01T00:00:00+00:00"} for place, row in enumerate(watched.pets(600, 1))
    ]
    found = written(watched.stages(tmp_path, rows, rows[:200]), watched.PETS)
    months = {line.group for line in found if line.group}
    assert months == {f"{month:02d}" for month in range(1, 13)}

    season = periods.of_season([line for line in found if line.name == "weight"], date(2026, 1, 15))
    assert {line.group for line in season} == {"12", "01", "02"}
    assert sum(line.rows for line in season) == 150


@pytest.mark.parametrize("words", [50, 500, 20_000])
def test_of_rare_words_new_rows_of_the_same_kind_are_no_drift(tmp_path, words):
    """Words that are chosen and counted on the same rows would be rarer in any other rows."""
    random = np.random.default_rng(3)
    data = Data(kind="table", task="regression", target="y", columns={"name": "category"})
    ids = [random.bytes(16).hex() for _ in range(5_000)]
    names = random.integers(0, words, 5_000).astype(str)
    pq.write_table(pa.table({"row_id": ids, "name": names}), tmp_path / "train.parquet")
    pq.write_table(pa.table({"row_id": ids[:9], "name": names[:9]}), tmp_path / "test.parquet")
    pq.write_table(pa.table({"row_id": ids[:9], "prediction": np.ones(9)}), tmp_path / "predictions.parquet")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "architecture.json").write_text('{"config": {"layers": []}}')
    then = [line for line in written(tmp_path, data) if line.name == "name"]
    found = []
    for _ in range(40):
        day = Gathered("2026-11-29", "name", WORDS, named=then[0].words)
        drawn, counts = np.unique(random.integers(0, words, 1_000).astype(str), return_counts=True)
        day.add_words(dict(zip(drawn.tolist(), counts.tolist(), strict=True)), 0)
        found.append(compare.apart(then, list(day.columns())))
    assert sum(one.p < 0.05 for one in found) <= 8
    assert max(one.distance for one in found) < 0.1


def test_of_a_series_the_last_row_of_each_window_is_kept(world):
    folder = sequences.prepared(world, sequences.shops())
    data = Data.model_validate(sequences.SHOPS)
    table = pq.read_table(folder / "train.parquet").to_pylist()
    pq.write_table(pa.table({"prediction": [1.0, 2.0]}), folder / "predictions.parquet")
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model" / "architecture.json").write_text('{"config": {"layers": []}}')
    about = {"past": {"categories": ["sky"]}, "categories": ["shop"]}
    reference.write(folder, data, about, folder / reference.NAME)
    found = {line.name: line for line in columns.read(folder / reference.NAME) if not line.group}
    assert {"warm", "sky", "shop", "sold", "at", "prediction"} == set(found)
    known = [row["past_sold"][-1] for row in table if row["past_sold"][-1] is not None]
    assert found["sold"].known == len(known)
    assert found["sold"].total == pytest.approx(sum(known))
    assert found["warm"].total == pytest.approx(sum(row["warm"][-1] for row in table if row["warm"][-1] is not None))
