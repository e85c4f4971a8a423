"""`dvc exp run -S` sets a key of a model's YAML: DVC writes the file anew, and must be able to read it again."""

import os
import shutil
import subprocess
import sys

import pytest
from dvc.utils.serialize import load_yaml, modify_yaml

from tests.support.clone import ROOT, clone, environment, git

SHIPPED = sorted((ROOT / "models").glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_dvc_can_set_a_key_of_a_shipped_model_and_keeps_all_others(path, tmp_path):
    copy = shutil.copy(path, tmp_path / path.name)
    before = load_yaml(copy)
    with modify_yaml(copy) as tree:
        tree["train"]["epochs"] = 3
    before["train"]["epochs"] = 3
    assert load_yaml(copy) == before


@pytest.mark.long
@pytest.mark.parametrize("model", ["digits", "diabetes"])
def test_an_experiment_trains_with_the_key_that_it_sets(model, tmp_path):
    root = clone(tmp_path)
    command = [sys.executable, "-m", "dvc", "exp", "run", "-S", f"models/{model}.yaml:train.epochs=3", f"train@{model}"]
    done = subprocess.run(command, cwd=root, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "epochs: 3" in git(root, "diff", "--", "models")
    assert len((root / "data" / model / "history.csv").read_text().splitlines()) == 1 + 3
    assert os.listdir(root / "data" / model / "model")
