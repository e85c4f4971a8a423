"""dvc.lock after a run on another machine: as it was, unless something other than the machine changed."""

import copy
import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from flows.graph.lockfile import digests, numeric_only
from pipelines.hardware import fingerprint
from tests.support.clone import answer, clone, edit, git

ENTRY = {
    "train@m": {
        "cmd": "python -m pipelines train m",
        "params": {"models/m.yaml": {"train": {"epochs": 1}}},
        "deps": [{"path": "data/m/train.parquet", "hash": "md5", "md5": "a"}],
        "outs": [{"path": "data/m/model", "hash": "md5", "md5": "b"}],
    },
    "evaluate@m": {
        "cmd": "python -m pipelines evaluate m",
        "deps": [{"path": "data/m/model", "hash": "md5", "md5": "b"}],
        "outs": [{"path": "data/m/metrics.json", "hash": "md5", "md5": "c"}],
    },
}


def changed(*path: object, value: object) -> dict:
    entries = copy.deepcopy(ENTRY)
    place = entries
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    return entries


def test_what_train_and_evaluate_made_may_differ():
    assert numeric_only(ENTRY, changed("train@m", "outs", 0, "md5", value="x"))
    assert numeric_only(ENTRY, changed("evaluate@m", "deps", 0, "md5", value="x"))


@pytest.mark.parametrize(
    "entries",
    [
        changed("train@m", "deps", 0, "md5", value="x"),
        changed("train@m", "params", "models/m.yaml", "train", "epochs", value=2),
        changed("train@m", "cmd", value="another"),
        {},
    ],
    ids=["data", "parameter", "command", "no entries"],
)
def test_anything_else_is_a_change(entries):
    assert not numeric_only(ENTRY, entries)
    assert not numeric_only(entries, ENTRY)


def test_digests_are_those_of_the_outputs():
    assert digests(ENTRY) == {"data/m/model": "b", "data/m/metrics.json": "c"}


@pytest.mark.long
def test_on_another_machine_a_run_leaves_git_clean_and_a_second_run_finds_nothing_to_do(tmp_path):
    """The committed fingerprint and hashes are somebody else's: to this clone, that is another machine."""
    folder = clone(tmp_path)
    path = folder / "data" / "diabetes" / "fingerprint.json"
    other = fingerprint.present() | {"instructions": ["another"]}
    path.write_text(json.dumps(other, indent=2) + "\n")
    forge(folder / "dvc.lock")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "made elsewhere")
    first = answer(folder, "run", "diabetes")
    assert git(folder, "status", "--porcelain") == ""
    second = answer(folder, "run", "diabetes")
    assert {stage["state"] for stage in second["stages"]} == {"Unchanged"}
    assert second["model_hash"] == first["model_hash"]
    edit(folder / "models" / "diabetes.yaml", "seed: 7", "seed: 8")
    answer(folder, "run", "diabetes")
    assert "dvc.lock" in git(folder, "status", "--porcelain")
    assert json.loads(path.read_text()) == fingerprint.present()


def forge(lock: Path) -> None:
    """What train made of diabetes gets hashes, wherever they stand, that this machine does not make."""
    text = lock.read_text()
    for out in YAML(typ="safe").load(text)["stages"]["train@diabetes"]["outs"]:
        text = text.replace(out["md5"], "a" * 32 + out["md5"][32:])
    lock.write_text(text)
