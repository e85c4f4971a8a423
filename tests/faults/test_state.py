"""Parts of the state folder are gone, the project was moved, the clock was set: a run works or says what to do."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from flows.project.environment import Project
from flows.records import ledger
from tests.support import unprivileged
from tests.support.clone import answer, clone, environment, git, ratchet

pytestmark = pytest.mark.long
MODEL = "diabetes"
PARTS = (
    *("dvc", "locks", "logs", "ticks", "ports.json", f"times-{MODEL}.json", f"profile-{MODEL}.json"),
    *(
        f"figures-{MODEL}.json",
        "prefect/memo_store.toml",
        "prefect/prefect.db-wal",
        "prefect/prefect.db",
        "prefect",
        ".",
    ),
)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A clone with a champion."""
    folder = clone(tmp_path_factory.mktemp("state") / "here")
    assert answer(folder, "run", MODEL)["decision"] == "accepted"
    return folder


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@pytest.mark.parametrize("part", PARTS)
def test_without_a_part_of_the_state_folder_nothing_is_made_again(project, part):
    remove(project / ".ratchet" / part)
    found = answer(project, "run", MODEL)
    assert (found["decision"], found["champion"]) == ("unchanged", 1)
    assert {stage["state"] for stage in found["stages"]} == {"Unchanged"}


def test_a_folder_that_may_not_be_written_is_named_before_any_work(project):
    for name in ("mlflow", ".ratchet/logs", ".dvc/cache"):
        (project / name).chmod(0o555)
        try:
            done = unprivileged.command([sys.executable, "-m", "flows.cli", "run", MODEL, "--json"], project)
        finally:
            (project / name).chmod(0o755)
        assert done.returncode == 1
        assert f"may not read or write {project / name}" in json.loads(done.stdout)["error"]
        assert done.stderr.count("\n") == 1


def test_a_damaged_store_is_named_and_left_as_it_is(project):
    path = project / "mlflow" / "mlflow.db"
    content = path.read_bytes()
    for damaged in (b"", b"garbage" * 2000, content[: len(content) // 2]):
        path.write_bytes(damaged)
        for command in (["run", MODEL], ["history", MODEL], ["doctor"]):
            done = ratchet(project, *command)
            assert done.returncode == (0 if command == ["doctor"] else 1), done.stderr
            assert f"{path} is a damaged database" in " ".join((done.stderr + done.stdout).split()), command
            assert "Traceback" not in done.stderr
        assert path.read_bytes() == damaged
    path.write_bytes(content)
    assert answer(project, "run", MODEL)["decision"] == "unchanged"


@pytest.mark.parametrize("shift", ["-1h", "+1d"])
def test_with_a_clock_that_was_set_decisions_keep_their_order(project, shift):
    if shutil.which("faketime") is None:
        pytest.skip("there is no `faketime`, which sets the clock of a process (Debian: apt install faketime)")
    before = len(lines(project))
    another_seed(project)
    command = ["faketime", "-f", shift, sys.executable, "-m", "flows.cli", "run", MODEL, "--json"]
    done = subprocess.run(command, cwd=project, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    after = lines(project)
    assert len(after) == before + 1
    assert ledger.broken(after) == ""
    assert [line.at for line in after] == sorted(line.at for line in after)
    again = answer(project, "run", MODEL)
    assert {stage["state"] for stage in again["stages"]} == {"Unchanged"}
    assert again["decision"] == "unchanged"


def another_seed(project: Path) -> None:
    """So that the training, and nothing before it, runs again."""
    path = project / "models" / f"{MODEL}.yaml"
    path.write_text(re.sub(r"seed: (\d+)}", lambda found: f"seed: {int(found[1]) + 1}}}", path.read_text()))
    git(project, "commit", "-qm", "another seed", "--", str(path))


def lines(project: Path) -> list[ledger.Line]:
    return ledger.of(Project(project, project / ".ratchet", "", "")).lines(MODEL)


def test_a_project_that_was_moved_says_so_and_goes_on_after_doctor(project, tmp_path):
    moved = tmp_path / "there"
    os.rename(project, moved)
    try:
        another_seed(moved)
        done = ratchet(moved, "run", MODEL)
        assert done.returncode == 1
        assert f"moved or copied from {project}" in done.stderr
        assert "ratchet doctor --fix" in done.stderr
        assert not project.exists()
        ratchet(moved, "doctor", "--fix")
        found = answer(moved, "run", MODEL)
        assert found["decision"] in ("accepted", "rejected", "undecided")
        assert "cannot be scored" not in found["reason"]
        assert not project.exists()
        with closing(sqlite3.connect(moved / "mlflow" / "mlflow.db")) as database:
            assert database.execute("SELECT count(*) FROM runs WHERE status = 'RUNNING'").fetchone() == (0,)
    finally:
        os.rename(moved, project)
        ratchet(project, "doctor", "--fix")
