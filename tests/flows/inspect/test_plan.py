"""Plan: reuse, run or blocked, and the reason in words that name a parameter or a file."""

import json
import shutil
from typing import Any

import pandas as pd
import pytest

from flows.cli.commands.inspect import plan_text
from flows.inspect import plan
from pipelines import model_file
from pipelines.config.stages import STAGES
from tests.support import golden
from tests.support.clone import called, edit, git
from tests.support.world import pets


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A clone in which diabetes has been run, and that nobody edits."""
    folder = tmp_path_factory.mktemp("plan")
    golden.three(folder)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "made")
    return folder


def planned(project) -> dict[str, dict[str, Any]]:
    before = git(project, "status", "--porcelain")
    done = called(project, "plan", "diabetes", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert git(project, "status", "--porcelain") == before
    assert [stage["name"] for stage in found["stages"]] == list(STAGES)
    assert found["power"] is None  # a regression: nothing is known before
    return {stage["name"]: stage for stage in found["stages"]}


def states(found: dict[str, dict[str, Any]]) -> list[str]:
    return [stage["state"] for stage in found.values()]


@pytest.fixture(autouse=True)
def as_it_was(request):
    yield
    if "project" in request.fixturenames:
        git(request.getfixturevalue("project"), "checkout", "-q", "--", ".")


@pytest.fixture
def outputs(project, tmp_path):
    """What the stages have written, which is brought back afterwards."""
    folder, kept = project / "data" / "diabetes", tmp_path / "kept"
    shutil.copytree(folder, kept, symlinks=True)
    yield folder
    shutil.rmtree(folder)
    shutil.copytree(kept, folder, symlinks=True)


def test_with_nothing_changed_everything_is_reused(project):
    found = planned(project)
    assert states(found) == ["reuse"] * len(STAGES)
    assert not any(stage["reasons"] for stage in found.values())


def test_a_plug_in_that_is_added_leaves_every_model_without_it_as_it_is(project):
    added = [project / "pipelines" / name for name in ("readers/formats", "model/architectures", "model/scores")]
    try:
        for folder in added:
            (folder / "added.py").write_text('"""Added."""\n')
        assert states(planned(project)) == ["reuse"] * len(STAGES)
    finally:
        for folder in added:
            (folder / "added.py").unlink()


def test_a_changed_parameter_is_told_with_both_values(project):
    edit(project / "models/diabetes.yaml", "learning_rate: 0.001", "learning_rate: 0.01")
    found = planned(project)
    assert states(found) == ["reuse"] * 4 + ["run"] * (len(STAGES) - 4)
    assert found["train"]["reasons"] == ["parameter train.learning_rate 0.001 -> 0.01"]
    assert found["evaluate"]["reasons"] == ["data/diabetes/model is made anew"]


@pytest.mark.parametrize(
    ("path", "first", "reused"),
    [("pipelines/clean.py", "clean", set()), ("pipelines/model/metrics.py", "evaluate", {"export"})],
)
def test_a_changed_module_is_named_by_the_first_stage_that_imports_it(project, path, first, reused):
    (project / path).write_text((project / path).read_text() + "# a comment\n")
    found = planned(project)
    later = set(list(STAGES)[list(STAGES).index(first) :]) - reused
    assert {name for name, stage in found.items() if stage["state"] == "run"} == later
    assert found[first]["reasons"] == [f"{path} changed"]


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("flows/report/progress.py", '"dots"', '"line"'),
        ("pipelines/__main__.py", "This is a bug", "This is an error"),
    ],
)
def test_what_is_said_reuses_everything(project, path, old, new):
    edit(project / path, old, new)
    assert states(planned(project)) == ["reuse"] * len(STAGES)


@pytest.mark.parametrize(("old", "new"), [("margin: 3", "margin: 4"), ("0 5 * * 1", "0 6 * * 1")])
def test_gate_and_schedule_in_the_yaml_reuse_all_that_is_decided_about(project, old, new):
    """DVC can name no section that may be absent, so `explain` and `compress` list the whole file."""
    edit(project / "models/diabetes.yaml", old, new)
    found = planned(project)
    assert {name for name, stage in found.items() if stage["state"] != "reuse"} == {"explain", "compress"}


def test_a_lost_output_comes_from_the_cache_and_an_edited_one_is_made_again(project, outputs):
    (outputs / "train.parquet").unlink()
    found = planned(project)
    assert states(found) == ["reuse"] * len(STAGES)
    assert found["clean"]["reasons"] == ["data/diabetes/train.parquet is gone", "the result is in DVC's cache"]
    raw = outputs / "raw.parquet"
    raw.chmod(0o644)
    raw.write_bytes(b"nonsense")
    assert planned(project)["ingest"]["reasons"][0] == "data/diabetes/raw.parquet changed"


def test_a_source_that_cannot_be_had_blocks_the_stages_and_says_why(project):
    edit(project / "models/diabetes.yaml", '"builtin:diabetes"', "data/incoming/diabetes")
    found = planned(project)
    assert states(found) == ["blocked"] * len(STAGES)
    assert found["ingest"]["reasons"][0].startswith("The source data/incoming/diabetes ")
    assert found["validate"]["reasons"][0] == "ingest is blocked"


def test_an_unknown_model_is_refused(project):
    done = called(project, "plan", "diabets")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Did you mean 'diabetes'" in done.stderr


def test_a_stage_that_never_ran_says_so():
    now = {"cmd": "c", "params": {}, "deps": {}, "outs": {"o": ""}}
    assert plan.changes(None, now, [], set()) == ["it has never run"]


def test_a_parameter_that_came_or_went_is_told():
    old = {"cmd": "c", "params": {"f": {"train": {"a": 1, "b": 2}}}}
    new = {"cmd": "c", "params": {"f": {"train": {"a": 1, "c": {"d": 3}}}}, "deps": {}, "outs": {}}
    assert plan.changes(old, new, [], set()) == [
        "parameter train.b 2 -> (not set)",
        "parameter train.c.d (not set) -> 3",
    ]


def foreseen(world, cats: int, **promote) -> dict[str, Any] | None:
    """Of pets with so many cats and 1,000 dogs, split by the real stages."""
    table = pets(6000)
    dogs = table[table["animal"] == "dog"][:1000]
    world.declare(promote=promote, evaluate={"metrics": ["accuracy", "balanced_accuracy", "log_loss"]})
    world.pin(pd.concat([dogs, table[table["animal"] == "cat"][:cats]]))
    cleaned = world.run("ingest", "validate", "clean") / "clean.json"
    return plan.power(cleaned, model_file.check("pets").promote)


def test_before_training_it_is_said_when_a_class_has_too_few_test_rows(world):
    found = foreseen(world, 60, metric="balanced_accuracy", margin=0.02)
    assert found["class"] == "cat"
    assert 5 <= found["rows"] <= 20
    rows = f"with {found['rows']} test rows of class 'cat' no candidate can be shown equal within 0.02"
    assert found["said"] == f"{rows} of balanced_accuracy; about {found['rows_needed']} are needed"
    assert 200 < found["rows_needed"] < 400
    said = plan_text({"model": "pets", "source": "nothing new", "stages": [], "power": found, "live": ""})
    assert said.splitlines()[-1].strip() == found["said"]


def test_of_accuracy_the_power_and_the_test_rows_that_are_needed_are_said(world):
    found = foreseen(world, 200, metric="accuracy", margin=0.02)
    assert found["class"] is None
    assert "equal candidate that disagrees on 2% of them passes" in found["said"]
    assert f"about {found['rows_needed']} test rows are needed for 80%" in found["said"]
    assert found["rows"] < found["rows_needed"]


@pytest.mark.parametrize(
    "promote",
    [
        {"metric": "accuracy", "margin": 0.05},
        {"metric": "accuracy"},
        {"metric": "log_loss", "at_least": None, "at_most": 1.0, "margin": 0.01},
    ],
    ids=["enough rows", "no margin", "a loss"],
)
def test_nothing_is_said_where_the_rows_are_enough_or_nothing_is_known(world, promote):
    assert foreseen(world, 200, **promote) is None


def test_nothing_is_said_before_the_first_run(tmp_path, world):
    world.declare(promote={"margin": 0.02})
    assert plan.power(tmp_path / "clean.json", model_file.check("pets").promote) is None
