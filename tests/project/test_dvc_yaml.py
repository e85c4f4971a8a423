"""dvc.yaml, pipelines/ and the models' files say the same thing."""

from typing import Any

import pytest
from ruamel.yaml import YAML

from pipelines.config.stages import STAGES
from pipelines.model_file import OPTIONAL, SECTIONS
from pipelines.process import seal
from tests.support.world import ROOT

PIPELINE: dict[str, Any] = YAML(typ="safe").load(ROOT / "dvc.yaml")
LISTED: list[str] = PIPELINE["vars"][0]["models"]
MODELS: dict[str, Any] = {path.stem: YAML(typ="safe").load(path) for path in (ROOT / "models").glob("*.yaml")}
DEFINITIONS = {name: stage["do"] for name, stage in PIPELINE["stages"].items()}
READS = {  # beside modules
    "ingest": {"pin.json"},
    "validate": {"pin.json", "raw.parquet"},
    "clean": {"pin.json", "raw.parquet", "quarantine.parquet"},
    "check": {"train.parquet", "validation.parquet", "test.parquet"},
    "train": {"train.parquet", "validation.parquet", "check.json"},
    "evaluate": {"model", "test.parquet"},
    "export": {"model", "train.parquet", "test.parquet"},
    "explain": {"model", "train.parquet", "test.parquet", "predictions.parquet"},
    "compress": {
        *("model", "serving", "predictions.parquet"),
        *("train.parquet", "validation.parquet", "test.parquet"),
    },
}


def paths(stage: str, key: str) -> list[str]:
    entries = DEFINITIONS[stage].get(key, [])
    return [path for entry in entries for path in ([entry] if isinstance(entry, str) else list(entry))]


def test_the_stages_are_those_that_can_be_run():
    assert list(DEFINITIONS) == list(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_the_command_of_a_stage_names_it_and_the_model(stage):
    assert DEFINITIONS[stage]["cmd"] == f"python -m pipelines {stage} ${{item}}"
    assert PIPELINE["stages"][stage]["foreach"] == "${models}"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_the_code_that_it_imports_and_on_no_other(stage):
    code = [path for path in paths(stage, "deps") if path.startswith("pipelines/")]
    assert code == [str(path.relative_to(ROOT)) for path in seal.dependencies(stage)]


@pytest.mark.parametrize("stage", STAGES)
def test_a_package_is_listed_as_a_folder_only_where_the_stage_imports_every_file_of_it(stage):
    """And a plug-in by its own file, so that one more leaves the models without it as they are."""
    modules = set(seal.modules(stage))
    folders = [ROOT / path for path in paths(stage, "deps") if (ROOT / path).is_dir() and path.startswith("pipelines/")]
    listed = {file for folder in folders for file in folder.rglob("*.py")}
    assert listed <= modules
    assert not [file for file in listed if file.parent.name in {"architectures", "scores", "formats"}]
    assert listed or stage != "train"


@pytest.mark.parametrize("stage", STAGES)
def test_the_data_that_a_stage_reads_are_listed_before_its_code(stage):
    kinds = [path.startswith("data/") for path in paths(stage, "deps")]
    assert kinds == sorted(kinds, reverse=True)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_reads_what_it_names_and_what_an_earlier_stage_writes(stage):
    data = {path.removeprefix("data/${item}/") for path in paths(stage, "deps") if path.startswith("data/")}
    assert data == READS[stage]
    text = (ROOT / "pipelines" / f"{stage}.py").read_text()
    earlier = list(STAGES)[: list(STAGES).index(stage)]
    written = {path for name in earlier for key in ("outs", "metrics", "plots") for path in paths(name, key)}
    assert {f"data/${{item}}/{name}" for name in data} <= written | {"data/${item}/pin.json"}
    for name in data - {"pin.json"}:
        assert name.split(".")[0] in text


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_runs_a_models_own_code_depends_on_it(stage):
    own = [path for path in paths(stage, "deps") if path.startswith("models/")]
    assert own == (["models/${item}.py"] if "user_code" in {path.stem for path in seal.modules(stage)} else [])


@pytest.mark.parametrize("stage", [name for name, stage in STAGES.items() if stage.section and name not in OPTIONAL])
def test_a_stage_reads_its_own_section_and_that_of_the_data(stage):
    assert DEFINITIONS[stage]["params"] == [{"models/${item}.yaml": ["data", stage]}]
    text = (ROOT / "pipelines" / f"{stage}.py").read_text()
    assert [name for name in SECTIONS if f'settings.load(model, "{name}"' in text] == ["data", stage]


@pytest.mark.parametrize("stage", [name for name in STAGES if name in OPTIONAL])
def test_a_stage_whose_section_may_be_absent_reads_the_whole_file_after_the_gate(stage):
    """DVC refuses a key that is not there. What decides about a model does not depend on all of its YAML."""
    assert DEFINITIONS[stage]["params"] == [{"models/${item}.yaml": None}]
    assert STAGES[stage].after_gate


@pytest.mark.parametrize("stage", [name for name, stage in STAGES.items() if not stage.section])
def test_a_stage_without_a_section_reads_no_settings(stage):
    assert "params" not in DEFINITIONS[stage]
    assert "settings" not in {path.stem for path in seal.modules(stage)}


def test_every_model_that_is_listed_has_a_file_and_every_file_has_python_beside_it():
    assert PIPELINE["vars"] == [{"models": LISTED}]
    assert set(LISTED) <= set(MODELS)
    assert len(LISTED) == len(set(LISTED))
    assert sorted(path.stem for path in (ROOT / "models").glob("*.py")) == sorted(MODELS)


def test_models_whose_data_each_user_brings_are_not_listed_before_a_run_lists_them_and_all_others_are():
    brought = [name for name, model in MODELS.items() if model["ingest"]["source"].startswith("data/incoming/")]
    assert sorted(set(MODELS) - set(LISTED)) == sorted(brought)


def test_outputs_belong_to_one_stage_and_lie_in_the_models_folder():
    written = [path for stage in STAGES for key in ("outs", "metrics", "plots") for path in paths(stage, key)]
    assert len(written) == len(set(written))
    assert all(path.startswith("data/${item}/") for path in written)


def test_the_folder_mlflow_does_not_hide_the_package():
    """Its top level is what counts: the store below it holds the code of registered models."""
    assert not list((ROOT / "mlflow").glob("*.py"))
