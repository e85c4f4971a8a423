"""Settings: what is wrong in a model's YAML is told with file, key, value and the nearest key."""

import math
import re

import pytest

from pipelines.clean import Clean
from pipelines.config import settings
from pipelines.config.data import Data
from pipelines.config.rules import Rules
from pipelines.config.section import Section
from pipelines.errors import RequestError, SettingsError
from pipelines.train import Train


def yaml(world, text: str) -> None:
    (world.root / "models/pets.yaml").write_text(text)


def test_numbers_and_words_are_those_of_yaml_1_2(world):
    yaml(world, "format: 1\ntrain: {learning_rate: 1e-5, epochs: 1_0, x: no, y: 0o17, z: on}\n")
    found = settings.read("pets")["train"]
    assert found["learning_rate"] == 0.00001
    assert (found["x"], found["y"], found["z"]) == ("no", 15, "on")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("format: 1\ntrain: {}\ntrain: {}\n", "duplicate key"),
        ("format: 1\ntrain: {epochs: 1, epochs: 2}\n", "duplicate key"),
        ("a: [1\n", "is not valid YAML"),
        ("a: \x00", "is not valid YAML"),
        ("[" * 5000, "is not valid YAML"),
        ("- 1\n", "must be a mapping of sections, but is a list"),
        ("", "must be a mapping of sections, but is a NoneType"),
        ("data: {}\n", "this version cannot read format None. Write `format: 1`"),
        ("format: 2\n", "this version cannot read format 2"),
        ("#" * 1_000_001, "larger than 1,000,000 bytes"),
    ],
)
def test_a_file_that_is_no_settings_file_is_refused(world, text, message):
    yaml(world, text)
    with pytest.raises(SettingsError, match=rf"models/pets\.yaml.*{re.escape(message)}"):
        settings.read("pets")


def test_text_that_is_not_utf_8_is_refused(world):
    (world.root / "models/pets.yaml").write_bytes(b"format: 1\nname: \xff\n")
    with pytest.raises(SettingsError, match=r"is not valid YAML: .*utf-8"):
        settings.read("pets")


def test_an_unknown_model_is_told_with_the_nearest_or_with_all(world):
    with pytest.raises(RequestError, match=r"no model 'pest': models/pest\.yaml does not exist\. Did you mean 'pets'"):
        settings.read("pest")
    with pytest.raises(RequestError, match=r"no model 'digits'.* Models here: pets"):
        settings.read("digits")


@pytest.mark.parametrize("name", ["Pets", "9lives", "a-b", "", "../pets", "champion", "class", "a\n", "ä"])
def test_a_name_that_cannot_be_a_models_is_refused(world, name):
    with pytest.raises(RequestError, match=f"{re.escape(repr(name))} cannot be a model's name"):
        settings.check_name(name)


CASES = [
    (Train, {"epoch": 3}, "train.epoch: unknown key (did you mean 'epochs'?)"),
    (Train, {"zzz": 3}, "train.zzz: unknown key (known: activation, augment, batch_size"),
    (Train, {"epochs": 0}, "train.epochs: input should be greater than or equal to 1, got 0"),
    (Train, {"epochs": "3"}, "train.epochs: input should be a valid integer, got '3'"),
    (Train, {"epochs": True}, "train.epochs: input should be a valid integer, got True"),
    (Train, {"learning_rate": math.inf}, "train.learning_rate: input should be a finite number, got inf"),
    (Train, {"learning_rate": math.nan}, "train.learning_rate: input should be a finite number, got nan"),
    (Train, {"hidden": [8, "x"]}, "train.hidden.1: input should be a valid integer, got 'x'"),
    (Train, {"hidden": [8, 0]}, "train: hidden, filters and recurrent must hold whole numbers from 1"),
    (Train, {"network": "cnn"}, "train: network cnn needs `filters`"),
    (Train, {"filters": [8]}, "train: `filters` belongs to network cnn"),
    (Train, {"network": "rnn"}, "train: network rnn needs `recurrent`"),
    (Train, {"network": "cnn", "filters": [8], "recurrent": [8]}, "`recurrent` belongs to network rnn, not to cnn"),
    (
        Train,
        {"network": "rnn", "recurrent": [0]},
        "train: hidden, filters and recurrent must hold whole numbers from 1",
    ),
    (Train, {"network": "attention", "heads": 0}, "train.heads: input should be greater than or equal to 1, got 0"),
    (Train, {"network": "attention", "width": 10**9}, "train.width: input should be less than or equal to 512, got 10"),
    (Train, {"network": "attention", "heads": 5}, "train: `heads` 5 does not divide `width` 32"),
    (Train, {"network": "gnn"}, "train.network: input should be 'attention', 'cnn', 'mlp' or 'rnn', got 'gnn'"),
    (Train, {"augment": {"rotate": 0.1}}, "train.augment.rotate: unknown key (did you mean 'rotation'?)"),
    (Train, {"augment": {"zoom": 1}}, "train.augment.zoom: input should be less than 1, got 1"),
    (Train, {"learning_rate_schedule": {}}, "train.learning_rate_schedule needs the key 'by'"),
    (Train, {"learning_rate_schedule": {"by": "cosin"}}, "schedule.by: no 'cosin' (did you mean 'cosine'?)"),
    (Train, {"learning_rate_schedule": {"by": "cosine"}}, "train.learning_rate_schedule.decay_steps is missing"),
    (
        Train,
        {"learning_rate_schedule": {"by": "cosine", "decay_steps": 9, "power": 2}},
        "train.learning_rate_schedule.power: unknown key (known: alpha, by, decay_steps)",
    ),
    (
        Train,
        {"early_stopping": {"patience": 1, "delta": 0.1}},
        "early_stopping.delta: unknown key (did you mean 'min",
    ),
    (Train, {"dropout": "x" * 200}, "got 'xxxxx"),
    (Train, [1], "train should be a mapping, got [1]"),
    (Train, None, "has no section 'train'. Add it; `train: {}` if it is empty"),
    (Clean, {}, "clean.split is missing"),
    (Clean, {"split": {}}, "clean.split needs the key 'by'"),
    (Clean, {"split": {"by": "hsh"}}, "clean.split.by: no 'hsh' (did you mean 'hash'?)"),
    (
        Clean,
        {"split": {"by": "hash", "validaton": 0.2}},
        "clean.split.validaton: unknown key (did you mean 'validation'",
    ),
    (
        Clean,
        {"split": {"by": "time", "test_form": ""}},
        "clean.split.test_form: unknown key (did you mean 'test_from'?)",
    ),
    (Clean, {"split": {"by": "hash", "test": 2}}, "clean.split.test: input should be less than 1, got 2"),
    (Clean, {"split": {"by": "hash", "test": 0.6, "validation": 0.4}}, "0.4 and test 0.6 leave nothing to train on"),
    (
        Clean,
        {"split": {"by": "time", "column": "t", "validation_from": "2026-01-01", "test_from": "2026-01-02T00:00Z"}},
        "'2026-01-01' has no time zone",
    ),
    (
        Clean,
        {"split": {"by": "time", "column": "t", "validation_from": "2026-01-02T00Z", "test_from": "2026-01-01T00Z"}},
        "is not before test_from",
    ),
    (Rules, {"rules": [{"level": "stop"}]}, "rules.rules.0.rule is missing"),
    (Rules, {"rules": ["x"]}, "rules.rules.0 should be a mapping, got 'x'"),
    (Data, {"task": "regression", "target": "y"}, "data.kind is missing"),
    (Data, {"kind": "table", "task": "regression", "target": "y"}, "a table needs `columns`"),
    (
        Data,
        {"kind": "table", "task": "regression", "target": "y", "columns": {"x": "numbr"}},
        "data.columns.x: input should be 'number', 'category', 'date' or 'carried', got 'numbr'",
    ),
    (
        Data,
        {"kind": "table", "task": "regression", "target": "x", "columns": {"x": "number"}},
        "the target 'x' cannot be one of the `columns` too",
    ),
    (
        Data,
        {"kind": "table", "task": "regression", "target": "y", "columns": {"row_id": "number"}},
        "'row_id' cannot be the name of a column",
    ),
    (
        Data,
        {"kind": "table", "task": "regression", "target": "y", "columns": {"x": "number"}, "label": "integer"},
        "`label` belongs to a classification",
    ),
    (
        Data,
        {"kind": "table", "task": "regression", "target": "y", "columns": {"x": "number"}, "shape": [1, 1, 1]},
        "`shape` belongs to images",
    ),
    (Data, {"kind": "image", "task": "classification", "target": "y"}, "an image needs `shape`"),
    (Data, {"kind": "image", "task": "classification", "target": "y", "shape": [8, 0, 1]}, "an image needs `shape`"),
    (
        Data,
        {"kind": "image", "task": "classification", "target": "y", "shape": [9**9, 9**9, 1]},
        "is larger than 100,000,000 bytes",
    ),
    (
        Data,
        {"kind": "image", "task": "classification", "target": "y", "shape": [2, 2, 1], "columns": {"x": "number"}},
        "an image's `columns` can only be carried",
    ),
    (
        Data,
        {"kind": "image", "task": "classification", "target": "image", "shape": [2, 2, 1]},
        "the target 'image' cannot be",
    ),
]


@pytest.mark.parametrize(("kind", "content", "message"), CASES)
def test_a_wrong_section_is_told_with_file_key_value_and_nearest_key(kind, content, message):
    with pytest.raises(SettingsError, match=re.escape(message)) as caught:
        settings.parse("pets", kind.__name__.lower(), content, kind)
    assert "models/pets.yaml" in str(caught.value)
    assert caught.value.status == 2
    assert len(str(caught.value).splitlines()) == 1


def test_every_problem_of_a_section_is_told_at_once():
    with pytest.raises(SettingsError, match=r"train\.seed: input should.* got -1; train\.epoch: unknown key"):
        settings.parse("pets", "train", {"epoch": 1, "seed": -1}, Train)


def test_an_unquoted_date_is_told_to_be_quoted(world):
    yaml(world, "format: 1\nclean: {split: {by: time, column: t, validation_from: 2026-01-01, test_from: '2027'}}")
    with pytest.raises(SettingsError, match=r"clean\.split\.validation_from: .* got datetime.*write it in quotes"):
        settings.load("pets", "clean", Clean)


def test_sections_cannot_be_changed():
    config = Train(epochs=3)
    with pytest.raises(ValueError, match="frozen"):
        config.epochs = 4  # type: ignore[misc]


def test_whole_numbers_stand_for_numbers():
    class Example(Section):
        share: float

    assert settings.parse("pets", "example", {"share": 1}, Example).share == 1.0
