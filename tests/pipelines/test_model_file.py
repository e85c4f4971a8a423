"""The whole of a model's YAML: what no section can see alone."""

import copy
import re

import pytest

from pipelines import model_file
from pipelines.errors import SettingsError
from tests.support.world import PETS, ROOT

NOT_NULL = "expect_column_values_to_not_be_null"


def test_a_sound_declaration_gives_its_sections(world):
    found = model_file.check("pets")
    assert (found.model, found.data.target, found.promote.metric) == ("pets", "animal", "accuracy")
    assert found.raw == PETS
    assert set(found.sections) == set(model_file.SECTIONS)


def test_a_model_may_learn_from_its_answers(world):
    world.declare(**LEARN)
    found = model_file.check("pets")
    assert found.labels.logged(found.data) == ["chip", "born"]
    world.declare(**KEYED)
    found = model_file.check("pets")
    assert found.labels.logged(found.data) == ["chip"]


def test_a_yaml_without_serve_keeps_its_answers(world):
    assert "serve" not in PETS
    serve = model_file.check("pets").serve
    assert (serve.log, serve.sample, serve.keep_days, serve.largest_gb) == (True, 1.0, 180, 5.0)
    assert serve.sensitive == "leave_out"


@pytest.mark.parametrize("model", sorted(path.stem for path in (ROOT / "models").glob("*.yaml")))
def test_the_models_of_this_repository_are_sound(model, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert model_file.check(model).model == model


LEARN = {  # a model whose answers become rows of its source
    "data": {"columns": {"weight": "number", "chip": "carried", "born": "carried"}},
    "clean": {"event": ["chip"], "split": {"by": "hash", "key": ["chip"]}},
    "labels_": {"key": ["chip"], "learn": True},
}
KEYED = LEARN | {"labels_": {"key": ["chip"]}}
SECRET = {"data": LEARN["data"] | {"sensitive": ["weight"]}}
CANARY = {"serve_": {"canary": {"key": ["chip"]}}}
WRONG = [
    (CANARY, "serve.canary.key: there is no column 'chip'"),
    (CANARY | {"data": LEARN["data"] | {"sensitive": ["chip"]}}, "serve.canary.key: 'chip' is sensitive, so the log"),
    ({"serve_": {"shadow": {}, "log": False}}, "serve: `shadow`, `canary` and `rollback: automatic` judge by the log"),
    ({"serve_": {"rollback": "automatic", "sample": 0}}, "serve: `shadow`, `canary` and `rollback: automatic` judge"),
    (KEYED | {"labels_": {"key": ["ship"]}}, "labels.key: there is no column 'ship' (did you mean 'chip'?)"),
    (
        KEYED | {"data": LEARN["data"] | {"sensitive": ["chip"]}},
        "labels.key: 'chip' is sensitive, so the log of answers",
    ),
    ({"data": {"columns": {"id": "number"}}, "labels_": {"key": ["id"]}}, "labels.key: 'id' is a word of label files"),
    ({"labels_": {"learn": True}}, "labels: `learn` needs `key`"),
    ({"clean": {"event": ["ag"]}}, "clean.event.0: there is no column 'ag' (did you mean 'age'?)"),
    (LEARN | SECRET, "labels.learn: the model sees 'weight', which is sensitive, so the log does not have it"),
    (LEARN | {"serve_": {"sample": 0.5}}, "labels.learn: with `serve: sample: 0.5` the log has only a share"),
    (LEARN | {"serve_": {"log": False}}, "labels.learn: with `serve: log: false` nothing is kept"),
    (
        LEARN | {"ingest": {"source": "builtin:digits"}},
        "labels.learn: learned rows arrive in a folder of data/incoming/",
    ),
    (LEARN | {"ingest": {"source": "data/incoming/a.csv"}}, "labels.learn: learned rows arrive in a folder"),
    (
        LEARN | {"ingest": {"names": ["weight", "chip", "born", "animal"]}},
        "labels.learn: learned rows are Parquet files",
    ),
    (
        LEARN | {"clean": {"split": {"by": "hash", "key": ["chip"]}}},
        "labels.learn: each event has to count once: write",
    ),
    (
        LEARN | {"clean": {"event": ["chip"]}},
        "labels.learn: each event has to stay in its split: write `clean: {split:",
    ),
    ({"ingest": {"source": "builtin:digit"}}, "ingest.source: no built-in set 'digit' (did you mean 'digits'?)"),
    ({"ingest": {"source": "builtin:"}}, "ingest.source: no built-in set ''"),
    ({"ingest": {"source": "ftp://host/rows.csv"}}, "ingest.source: ftp:// is not followed"),
    ({"ingest": {"source": "http://host/rows.csv"}}, "ingest.source: http:// is not followed"),
    ({"ingest": {"source": "https://me:secret@host/rows.csv"}}, "ingest.source: a login does not belong in a file"),
    ({"ingest": {"source": "https://host/rows/"}}, "ingest.source: 'https://host/rows/' is a folder, which the web"),
    ({"schedule": {"cron": "0 3 * * *", "every_seconds": 5}}, "schedule: a schedule has one of `cron`"),
    ({"schedule": {"new_rows": 0}}, "schedule.new_rows"),
    ({"serve_": {"sample": 1.5}}, "serve.sample: input should be less than or equal to 1, got 1.5"),
    ({"monitor_": {"timezone": "Mars"}}, "monitor.timezone: 'Mars' is no time zone, such as UTC"),
    ({"serve_": {"keep_day": 3}}, "serve.keep_day: unknown key (did you mean 'keep_days'?)"),
    ({"ingest": {"source": "../rows.csv"}}, "ingest.source: '../rows.csv' lies outside the project"),
    ({"ingest": {"source": ""}}, "ingest.source: string should have at least 1 character"),
    ({"ingest": {"delimiter": ";;"}}, "ingest.delimiter: string should have at most 1 character, got ';;'"),
    ({"ingest": {"encoding": "utf-9"}}, "ingest.encoding: 'utf-9' is not an encoding"),
    ({"clean": {"split": {"by": "hash", "key": ["ag"]}}}, "clean.split: there is no column 'ag' (did you mean 'age'?)"),
    ({"clean": {"split": {"by": "given", "column": "part"}}}, "clean.split: there is no column 'part'"),
    (
        {"validate": {"rules": [{"rule": NOT_NULL, "column": "wieght"}]}},
        "validate.rules.0: there is no column 'wieght' (did you mean 'weight'?)",
    ),
    (
        {"validate": {"rules": [{"rule": "expect_compound_columns_to_be_unique", "column_list": ["age", "x"]}]}},
        "validate.rules.0: there is no column 'x'",
    ),
    (
        {"check": {"rules": [{"rule": NOT_NULL, "column": "age", "level": "quarantine"}]}},
        "check: a rule of level quarantine belongs in `validate`",
    ),
    ({"validate": {"quarantine_limit": 1.5}}, "validate.quarantine_limit: input should be less than or equal to 1"),
    ({"train": {"network": "cnn", "filters": [8]}}, "train.network: 'cnn' needs images"),
    ({"train": {"network": "rnn", "recurrent": [8]}}, "train.network: 'rnn' needs images"),
    (
        {"train": {"network": "attention"}, "data": {"columns": {f"n{index}": "number" for index in range(300)}}},
        "train.network: attention compares each of 300 columns with each, and at most 256 fit: take mlp",
    ),
    ({"train": {"augment": {"zoom": 0.1}}}, "train.augment: only images can be augmented"),
    ({"compress_": {"quantize": "int4"}}, "compress.quantize: weights cannot be stored as 'int4': write int8, float16"),
    ({"compress_": {"quantize": ["int8", "int8"]}}, "compress.quantize: a kind stands there twice"),
    ({"compress_": {"prune": 1.5}}, "compress.prune: input should be less than 1, got 1.5"),
    ({"compress_": {"prune": 0}}, "compress.prune: input should be greater than 0, got 0"),
    ({"compress_": {"smaller": 0.5}}, "compress.smaller: input should be greater than or equal to 1, got 0.5"),
    ({"compress_": {"distill": {"temperature": 3.0}}}, "compress.distill: name a size of the smaller network"),
    ({"compress_": {"distill": {"hidden": [8]}}}, "compress.distill: it names the sizes of train:"),
    (
        {"compress_": {"distill": {"hidden": [16]}}},
        "compress.distill.hidden: [16] is larger than train.hidden",
    ),
    ({"compress_": {"distill": {"hidden": [4, 4]}}}, "compress.distill.hidden: [4, 4] is larger than train.hidden"),
    (
        {"compress_": {"distill": {"filters": [4]}}},
        "compress.distill.filters: `filters` does not belong to network",
    ),
    ({"compress_": {"distill": {"units": [4]}}}, "compress.distill.units: unknown key (known: filters, hidden,"),
    ({"evaluate": {"metrics": []}}, "evaluate.metrics: list should have at least 1 item"),
    ({"evaluate": {"metrics": ["r2"]}}, "evaluate.metrics: no metric 'r2' for a classification"),
    ({"promote": {"metric": "acuracy"}}, "promote.metric: 'acuracy' is not one of evaluate.metrics (did you mean"),
    (
        {"promote_": {"metric": "log_loss", "at_least": 1.0}},
        "promote.at_most: write the floor of log_loss as",
    ),
    ({"promote_": {"metric": "accuracy"}}, "promote.at_least: write the floor of accuracy as `at_least`"),
    ({"explain_": {"fixed": ["wieght"]}}, "explain.fixed: the model sees no column 'wieght' (did you mean 'weight'?)"),
    ({"explain_": "no"}, "explain should be a mapping, got 'no'"),
    ({"promote": {"margin": -1}}, "promote.margin: input should be greater than or equal to 0, got -1"),
    ({"schedule": {"timezone": ""}}, "schedule.timezone: string should have at least 1 character"),
    ({"schedule": {"cron": "@daily"}}, "'@daily' is not five fields"),
    ({"schedule": {"cron": "0 3 * *"}}, "'0 3 * *' is not five fields: minute hour day month weekday"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_a_contradiction_is_told_with_file_and_key(world, changes, message):
    world.declare(**copy.deepcopy(changes))
    with pytest.raises(SettingsError, match=r"^models/pets\.yaml: .*" + re.escape(message)) as caught:
        model_file.check("pets")
    assert caught.value.status == 2


@pytest.mark.parametrize(
    ("model", "train", "message"),
    [
        ("weights", {"loss": "cross_entropy"}, "train.loss: 'cross_entropy' belongs to a classification"),
        ("weights", {"class_weights": "balanced"}, "train.class_weights: a regression has no classes"),
        (
            "tiles",
            {"numbers": "quantiles"},
            "train.numbers: only the numbers of a table have bins, but data.kind is 'image'",
        ),
        ("tiles", {"min_count": 5}, "train.min_count: an image has no categories"),
    ],
)
def test_what_a_regression_or_an_image_has_not_is_refused_for_it_alone(world, model, train, message):
    {"weights": world.declare_weights, "tiles": world.declare_tiles}[model](train=train)
    with pytest.raises(SettingsError, match=rf"^models/{model}\.yaml: {message}"):
        model_file.check(model)
    world.declare(train=train)
    model_file.check("pets")


def test_an_unknown_and_a_missing_section_are_told(world):
    path = world.root / "models/pets.yaml"
    text = path.read_text()
    path.write_text(text + "trian: {}\n")
    with pytest.raises(SettingsError, match=r"pets\.yaml: trian: unknown section \(did you mean 'train'\?\)"):
        model_file.check("pets")
    path.write_text(text.replace("schedule: {}", ""))
    with pytest.raises(SettingsError, match="has no section 'schedule'"):
        model_file.check("pets")


def test_a_missing_python_file_is_told(world):
    (world.root / "models/pets.py").unlink()
    with pytest.raises(SettingsError, match=r"models/pets\.py is missing"):
        model_file.check("pets")
