"""A model is added to the list in dvc.yaml, and nothing else there changes."""

import difflib

import pytest
from ruamel.yaml import YAML

from flows.graph import model_list
from flows.project.environment import Project
from tests.support.world import ROOT

ORIGINAL = (ROOT / "dvc.yaml").read_text()


@pytest.fixture
def project(tmp_path):
    (tmp_path / "dvc.yaml").write_text(ORIGINAL)
    return Project(root=tmp_path, state=tmp_path / ".ratchet", tracking="", prefect="")


def models(project: Project) -> list[str]:
    return YAML(typ="safe").load(project.root / "dvc.yaml")["vars"][0]["models"]


def test_a_model_is_added_at_the_end_and_no_other_line_changes(project):
    before = models(project)
    assert model_list.add(project, "pets")
    assert models(project) == [*before, "pets"]
    lines = [ORIGINAL.splitlines(), (project.root / "dvc.yaml").read_text().splitlines()]
    changed = [line for line in difflib.ndiff(*lines) if line[0] in "+-"]
    assert [line.split("models: ")[0] for line in changed] == ["-   - ", "+   - "]


def test_a_model_is_added_once(project):
    assert model_list.add(project, "pets")
    text = (project.root / "dvc.yaml").read_text()
    assert not model_list.add(project, "pets")
    assert (project.root / "dvc.yaml").read_text() == text


@pytest.mark.parametrize("model", ["digits", "diabetes"])
def test_a_model_that_is_listed_already_changes_nothing(project, model):
    before = (project.root / "dvc.yaml").stat()
    assert not model_list.add(project, model)
    after = (project.root / "dvc.yaml").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_model_whose_name_is_part_of_another_is_none_of_them(project):
    assert model_list.add(project, "digit")
    assert model_list.add(project, "mnist_cnn")
    assert model_list.add(project, "mnist")
    assert models(project)[-3:] == ["digit", "mnist_cnn", "mnist"]


def test_the_first_model_is_added_to_an_empty_list(project):
    (project.root / "dvc.yaml").write_text("vars:\n  - models: []  # none yet\n\nstages: {}\n")
    assert model_list.add(project, "pets")
    assert (project.root / "dvc.yaml").read_text() == "vars:\n  - models: [pets]  # none yet\n\nstages: {}\n"


def test_a_list_on_several_lines_stays_as_it_is(project):
    text = "vars:\n  - models:\n      - digits\n\nstages: {}\n"
    (project.root / "dvc.yaml").write_text(text)
    assert not model_list.add(project, "pets")
    assert (project.root / "dvc.yaml").read_text() == text


def test_no_other_file_is_left(project):
    model_list.add(project, "pets")
    assert [path.name for path in project.root.iterdir()] == ["dvc.yaml"]
