"""Champions that were made before the code moved into packages are champions still."""

import subprocess
from pathlib import Path

import pytest

from tests.support.clone import ROOT, answer, edit, git

MOVED = "flows/abandoned.py"  # a file of before the move


def before_the_move(folder: Path) -> bool:
    """A clone as it was last before the move; False if this copy of the repository does not reach back so far."""
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
    removed = git(folder, "rev-list", "-1", "HEAD", "--", MOVED)
    known = removed and git(folder, "rev-list", "--parents", "-1", removed).partition(" ")[2]
    if known:
        git(folder, "checkout", "-q", "-b", "before", f"{removed}^")
    return bool(known) and (folder / MOVED).is_file()


@pytest.mark.long
def test_a_champion_of_before_is_verified_asked_compared_and_rolled_back_to_and_the_next_run_changes_nothing(tmp_path):
    folder = tmp_path / "clone"
    if not before_the_move(folder):
        pytest.skip("this copy of the repository does not reach back to before the move")
    assert answer(folder, "run", "diabetes")["decision"] == "accepted"
    edit(folder / "models/diabetes.yaml", "epochs: 25", "epochs: 26")
    git(folder, "commit", "-qam", "a longer training")
    answer(folder, "run", "diabetes")
    answer(folder, "promote", "diabetes", "2", "--reason", "to have two")
    git(folder, "checkout", "-q", "-f", "main")  # dvc.lock too is as main has it

    assert answer(folder, "history", "diabetes")["lines"]
    assert answer(folder, "verify", "diabetes", "--version", "1")["verdict"] == "identical"
    rows = "data/diabetes/test.parquet"
    assert answer(folder, "predict", "diabetes", rows, str(tmp_path / "answers.csv"))["version"] == 2
    assert answer(folder, "compare", "diabetes", "1", "2")["metrics"]
    assert answer(folder, "rollback", "diabetes")["champion"] == 1
    found = answer(folder, "run", "diabetes")
    assert found["decision"] == "unchanged"
    assert found["champion"] == 1
