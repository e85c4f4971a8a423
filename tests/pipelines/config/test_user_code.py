"""A model's own code: its network and its choice of rows, and what is wrong with them in one paragraph."""

import json
import shutil

import pyarrow.parquet as pq
import pytest

from pipelines.errors import DataError, SettingsError
from pipelines.model.predictor import Predictor
from tests.support.world import pets

BUILD = """
import keras


def build(settings):
    start = keras.Input(settings.shape)
    values = keras.layers.Dense(settings.values["width"], activation="swish", name="mine")(start)
    return keras.Model(start, keras.layers.Dense(settings.outputs, activation="softmax")(values))
"""
CLEAN = """
def clean(table):
    return table[table["weight"] < 12]
"""


DERIVED = """
def derived(table):
    return (table["weight"] / table["age"].fillna(1).clip(1)).to_frame("own_share")
"""


@pytest.fixture
def own(world):
    """A world with the model pets, to which code can be given: own(code)."""
    world.declare(train={"own": {"width": 5}})
    world.pin(pets())

    def give(code: str):
        (world.root / "models" / "pets.py").write_text(code)
        return world

    return give


@pytest.mark.tensorflow
def test_the_network_is_the_one_that_build_gives_and_travels_without_its_code(own):
    world = own(BUILD)
    folder = world.run("ingest", "validate", "clean", "check", "train", "evaluate")
    (world.root / "models" / "pets.py").unlink()
    found = Predictor(folder / "model")
    assert '"silu"' in (folder / "model" / "architecture.json").read_text()
    assert json.loads((folder / "metrics.json").read_text())["test"]["accuracy"] > 0.5
    table = pq.read_table(folder / "test.parquet").to_pandas()
    whole = found.predict(table)
    assert whole["prediction"].isin(["cat", "dog"]).all()


def test_rows_that_clean_leaves_out_are_in_no_split_and_counted(own):
    folder = own(CLEAN).run("ingest", "validate", "clean")
    splits = [pq.read_table(folder / f"{name}.parquet") for name in ("train", "validation", "test")]
    assert max(max(split["weight"].to_pylist()) for split in splits) < 12
    removed = json.loads((folder / "clean.json").read_text())["rows"]["removed"]
    assert removed["own code"] == (pets()["weight"] >= 12).sum()


def test_rules_may_name_derived_columns_which_nothing_else_sees(own, world):
    heavy = {
        "rule": "expect_column_values_to_be_between",
        "column": "own_share",
        "max_value": 2.0,
        "level": "quarantine",
    }
    world.declare(validate={"rules": [heavy], "quarantine_limit": 1.0}, check={"rules": [heavy | {"level": "warn"}]})
    folder = own(DERIVED).run("ingest", "validate", "clean", "check")
    broken = (pets()["weight"] / pets()["age"].fillna(1).clip(1) > 2).sum()
    assert json.loads((folder / "validation.json").read_text())["quarantined"] == broken
    assert json.loads((folder / "check.json").read_text())["rules"][0]["success"]
    assert "own_share" not in pq.read_schema(folder / "train.parquet").names


def test_a_derived_column_that_is_not_made_is_told(own, world):
    rule = {"rule": "expect_column_values_to_be_between", "column": "own_share", "max_value": 2.0}
    world.declare(validate={"rules": [rule]})
    world.run("ingest")
    with pytest.raises(DataError, match="own_share"):
        world.run("validate")


def test_without_such_functions_the_file_is_not_even_run(own):
    own("import not_there\n").run("ingest", "validate", "clean")


@pytest.mark.parametrize(
    ("stage", "code", "problem"),
    [
        ("clean", "def clean(table:\n", r"models/pets.py is not valid Python"),
        ("clean", "\n\ndef clean(table):\n    return 1 / 0\n", r"models/pets.py, line 4: ZeroDivisionError"),
        ("clean", "def clean(table):\n    return None\n", "returns a NoneType"),
        ("clean", "def clean(table):\n    return table.assign(age=1.0)\n", "must return some of the rows that it got"),
        (
            "clean",
            "import pandas as pd\ndef clean(table):\n    return pd.concat([table, table])\n",
            "must return some of the rows that it got",
        ),
        ("validate", "def derived(table):\n    return table[['age']]\n", "returns a column 'age'"),
        ("validate", "def derived(table):\n    return table.head(2)\n", "with the rows that it got"),
        ("train", "import not_there\ndef build(settings): ...\n", "line 1: ModuleNotFoundError"),
        ("train", "def build(settings):\n    return 7\n", "returns a int"),
        ("train", BUILD.replace("settings.outputs", "3"), r"gives \(None, 3\), but must .* give \(None, 2\)"),
        ("train", BUILD.replace('"swish"', "lambda x: x"), "cannot be loaded without this file"),
        ("train", BUILD.replace('settings.values["width"]', 'settings.values["wide"]'), "line 7: KeyError"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(made, own, world, stage, code, problem):
    made.copy(world.root)
    shutil.rmtree(world.root / "data" / "pets" / "model")
    world.declare(train={"own": {"width": 5}})
    own(code)
    with pytest.raises(SettingsError, match=problem):
        world.run(stage)
    assert not (world.root / "data" / "pets" / "model").exists()


def test_code_that_changes_while_the_stage_runs_is_noticed(own):
    code = CLEAN + "\n\nimport pathlib\n\npathlib.Path('models/pets.py').write_text('')\n"
    world = own(code)
    world.run("ingest", "validate")
    done = world.command("clean")
    assert done.returncode == 1
    assert "models/pets.py changed while the stage clean was running" in done.stderr
