"""What belongs to no single command: the version, completion, and what is typed wrongly."""

import json
from importlib import metadata

import pytest
from typer.testing import CliRunner

from flows.cli import completion
from flows.cli.app import app
from pipelines.config import settings
from pipelines.errors import RequestError


def typed(*words: str):
    return CliRunner().invoke(app, words)


def test_the_version_is_that_of_the_package():
    done = typed("--version")
    assert (done.exit_code, done.stdout) == (0, f"ratchet {metadata.version('ratchet')}\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["compare", "pets", "1"], "Missing argument 'B'"),
        (["run", "--nope"], "No such option: --nope"),
        (["rn"], "No such command 'rn'. Did you mean 'run'?"),
        (["verify", "pets", "--version", "x"], "Invalid value for '--version'"),
    ],
)
def test_a_wrong_word_is_one_object_with_json_and_none_without(words, said):
    done = typed(*words, "--json")
    found = json.loads(done.stdout)
    assert (found["format"], found["status"], done.exit_code) == (1, 2, 2)
    assert said in found["error"]
    done = typed(*words)
    assert (done.stdout, done.exit_code) == ("", 2)


def test_names_of_models_are_completed_from_any_folder_of_the_project(world, monkeypatch):
    (world.root / "dvc.yaml").touch()
    (world.root / "models" / "pots.yaml").touch()
    assert completion.models("p") == ["pets", "pots"]
    monkeypatch.chdir(world.root / "models")
    assert completion.models("pe") == ["pets"]
    assert completion.models("x") == []


def test_the_commands_offer_the_names(world):
    (world.root / "dvc.yaml").touch()
    shell = {"_RATCHET_COMPLETE": "complete_bash", "COMP_WORDS": "ratchet plan pe", "COMP_CWORD": "2"}
    done = CliRunner().invoke(app, [], env=shell, prog_name="ratchet")
    assert done.stdout.split() == ["pets"]


@pytest.mark.parametrize("word", ["Pets", "PETS", "pet s"])
def test_a_name_that_none_can_have_suggests_one_that_is_there(world, word):
    with pytest.raises(RequestError, match=r"cannot be a model's name\. Did you mean 'pets'\?"):
        settings.check_name(word)
    assert settings.suggestion("pets") == settings.suggestion("quite_another") == ""
