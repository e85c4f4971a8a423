"""The stages after the gate, in real runs: they decide nothing, and what fails there is told and made up for."""

import json
from pathlib import Path

import pytest

from flows.run.after_gate import going_live
from tests.support import golden
from tests.support.clone import answer, edit, git, ratchet

pytestmark = pytest.mark.long

BROKEN = '\n\ndef build(*_):\n    raise OSError("no room for the file")\n'


@pytest.fixture
def folder(tmp_path):
    """A clone in which `shop` was run once."""
    golden.shop(tmp_path)
    return tmp_path


def live(folder: Path) -> dict:
    return json.loads((folder / ".ratchet" / "serving" / "shop" / "live.json").read_text())


def test_a_run_makes_its_champion_live_and_the_next_one_has_nothing_to_do(folder):
    found = live(folder)
    assert (found["version"], found["runtime"], found["problem"]) == (1, "onnx", "")
    files = folder / ".ratchet" / "serving" / "shop" / found["folder"]
    assert (files / "serving" / "model.onnx").is_file()
    columns = {column["name"]: column for column in json.loads((files / "columns.json").read_text())["columns"]}
    assert (columns["age"]["least"], columns["age"]["most"], columns["age"]["whole"]) == (18, 89, True)
    assert (columns["city"]["words"], columns["city"]["missing"]) == (["Bergen", "Oslo"], True)
    again = answer(folder, "run", "shop")
    assert (again["decision"], {stage["state"] for stage in again["stages"]}) == ("unchanged", {"Unchanged"})
    assert "export" in [stage["name"] for stage in again["stages"]]
    assert live(folder) == found


def only_export_is_new(found: dict) -> None:
    """And what is made of its file."""
    states = {stage["name"]: stage["state"] for stage in found["stages"]}
    assert states.pop("export") == "Ran"
    states.pop("compress")
    assert set(states.values()) == {"Unchanged"}


def test_smaller_forms_are_chosen_by_a_committed_yaml_alone_and_once(folder):
    path = folder / "models" / "shop.yaml"
    path.write_text(path.read_text() + "compress: {quantize: float16, smaller: 1}\n")
    done = ratchet(folder, "run", "shop")
    assert "no smaller form is chosen, because models/shop.py and models/shop.yaml differ" in done.stderr + done.stdout
    assert live(folder)["variant"] == ""
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "smaller")
    answer(folder, "run", "shop")
    lines = answer(folder, "history", "shop")["lines"]
    assert [line["action"] for line in lines] == ["accepted", "compressed"]
    assert live(folder)["variant"] == lines[-1]["evidence"]["served_as"]
    again = answer(folder, "run", "shop")
    assert {stage["state"] for stage in again["stages"]} == {"Unchanged"}
    assert len(answer(folder, "history", "shop")["lines"]) == 2


def test_a_stage_after_the_gate_that_fails_fails_the_run_and_undoes_nothing(folder):
    edit(folder / "models" / "shop.yaml", "epochs: 3", "epochs: 4")
    build = folder / "pipelines" / "onnx" / "build.py"
    text = build.read_text()
    build.write_text(text + BROKEN)
    done = ratchet(folder, "run", "shop")
    assert done.returncode == 1, done.stdout
    assert "no room for the file" in done.stderr
    assert "The decision stands" in done.stderr
    assert "`ratchet run shop` tries this stage again" in done.stderr
    history = answer(folder, "history", "shop")["lines"]
    assert len(history) == 2
    champion = history[-1]["to_version"]
    assert live(folder)["version"] == champion
    assert (live(folder)["runtime"] == "keras") == (champion == 2)
    assert answer(folder, "status")["models"][-1]["failed"]["reason"].count("The decision stands") == 1
    build.write_text(text)
    again = answer(folder, "run", "shop")
    only_export_is_new(again)
    assert (live(folder)["version"], live(folder)["runtime"]) == (champion, "onnx")
    assert len(answer(folder, "history", "shop")["lines"]) == 2


def test_another_exporter_makes_no_other_model_and_no_other_decision(folder):
    before = answer(folder, "history", "shop")["lines"]
    build = folder / "pipelines" / "onnx" / "build.py"
    build.write_text(build.read_text() + "\n# another text\n")
    found = answer(folder, "run", "shop")
    only_export_is_new(found)
    assert (found["decision"], found["version"]) == ("unchanged", 1)
    assert answer(folder, "history", "shop")["lines"] == before


def test_without_a_champion_nothing_is_live_and_that_is_said():
    assert going_live.words({"version": None, "runtime": "", "why": "", "problem": ""}) == (
        "there is no champion to be live"
    )
