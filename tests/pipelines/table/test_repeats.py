"""Repeats: rows of few entities are noticed where no key keeps them together, and nothing else is."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.config.data import Data
from pipelines.table import repeats
from tests.support.world import pets

MEASURED = dict.fromkeys(("height", "length", "depth"), "number")
STAGES = ("ingest", "validate", "clean", "check")


def visits(customers: int = 60, each: int = 20, noise: float = 0.05, seed: int = 0) -> pd.DataFrame:
    """Rows of customers that differ little from visit to visit; the numbers of customers have no order."""
    random = np.random.default_rng(seed)
    who = np.repeat(np.arange(customers), each)
    rows = random.normal(size=(customers, 3))[who] + noise * random.normal(size=(len(who), 3))
    table = pd.DataFrame(rows, columns=list(MEASURED))
    number = random.permutation(10 * customers)[who].astype(float)
    return table.assign(customer=[f"c{each}" for each in who], number=number, animal=np.where(who % 2, "cat", "dog"))


def declared(**columns: str) -> Data:
    return Data(kind="table", task="classification", target="animal", columns={**MEASURED, **columns})


def found(table: pd.DataFrame, data: Data, key: str = "") -> dict | None:
    """By a split of rows, or of the values of `key`."""
    random = np.random.default_rng(1)
    names = table[key].unique() if key else table.index.to_numpy()
    kept = (table[key] if key else table.index.to_series()).isin(random.permutation(names)[: len(names) * 7 // 10])
    train, test = (pa.Table.from_pandas(part, preserve_index=False) for part in (table[kept], table[~kept]))
    return repeats.find(train, test, data)


@pytest.mark.parametrize("role", ["carried", "category"])
def test_a_column_whose_rows_are_alike_is_an_entity(role):
    report = found(visits(), declared(customer=role))
    assert report == {"column": "customer", "entities": 60, "rows": 840}


def test_whole_numbers_may_name_an_entity_but_a_measurement_names_none():
    assert found(visits(), declared(number="number"))["column"] == "number"
    random = np.random.default_rng(2)
    age = random.integers(18, 90, 3000).astype(float)
    grown = {name: age + random.normal(size=3000) for name in MEASURED}
    table = pd.DataFrame(grown | {"age": age, "animal": np.where(age > 50, "cat", "dog")})
    assert found(table, declared(age="number")) is None


def test_rows_that_a_key_keeps_together_are_not_reported():
    assert found(visits(), declared(customer="carried"), key="customer") is None
    assert found(visits(noise=1e-5), declared(), key="customer") is None


@pytest.mark.parametrize(
    "changes", [{"each": 2}, {"customers": 12}, {"noise": 3.0}], ids=["two rows each", "few", "rows that are not alike"]
)
def test_a_column_that_hardly_repeats_or_says_little_is_no_entity(changes):
    assert found(visits(**changes), declared(customer="carried")) is None


def test_nearly_equal_rows_are_noticed_without_a_column_that_names_them():
    assert found(visits(noise=1e-5), declared())["nearly_equal"] > 0.8
    assert found(visits(noise=0.05), declared()) is None


def test_exact_copies_are_the_business_of_overlap():
    assert found(visits(noise=0.0), declared()) is None


@given(st.integers(50, 400), st.integers(1, 3), st.integers(0, 6), st.integers(0, 1000))
def test_independent_rows_are_never_reported(rows, dimensions, digits, seed):
    """However close the values lie on a line, in a plane or in space, and however they are rounded."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(10 * rows, dimensions)) @ random.normal(size=(dimensions, 3))
    shop, animal = random.integers(0, 30, len(values)).astype(str), random.choice(["cat", "dog"], len(values))
    table = pd.DataFrame(values.round(digits), columns=list(MEASURED)).assign(shop=shop, animal=animal)
    assert found(table, declared(shop="category")) is None


@pytest.mark.parametrize("words", [False, True])
def test_the_intraclass_correlation_is_1_for_equal_rows_and_about_0_by_chance(words):
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(200), 5)
    alike, chance = random.integers(0, 7, 200)[groups], random.integers(0, 7, 1000)
    assert repeats.intraclass(alike if words else alike * 1.0, groups) == pytest.approx(1)
    assert repeats.intraclass(chance if words else chance * 1.0, groups) == pytest.approx(0, abs=0.05)
    half = np.where(random.random(1000) < 0.5, alike, chance)
    assert 0.15 < repeats.intraclass(half if words else half * 1.0, groups) < 0.35  # both rows are kept by a quarter


def test_the_report_and_a_note_say_it_and_a_declared_key_ends_it(world, capsys):
    columns = MEASURED | {"customer": "carried"}
    table = visits().drop(columns="number")
    data = {"kind": "table", "task": "classification", "target": "animal", "columns": columns}
    key = {"split": {"by": "hash", "seed": 0, "key": ["customer"]}}
    for clean, there in (({}, True), (key, False)):
        world.declare(data_=data, clean=clean, check={"leakage": 1.0})
        world.pin(table)
        report = json.loads((world.run(*STAGES) / "check.json").read_text())
        said = capsys.readouterr().out
        assert ("repeats" in report) is there
        assert ("key: [customer]} keeps those of one in one split" in said) is there
    assert "repeats customer" not in said


def test_the_report_of_independent_rows_is_as_it_was(world):
    world.declare()
    world.pin(pets(400))
    report = json.loads((world.run(*STAGES) / "check.json").read_text())
    assert list(report) == ["format", "sample_rows", "overlap", "leakage", "drift", "rules"]
