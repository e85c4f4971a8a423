"""Ctrl-C, SIGTERM and a closed terminal, at any moment of any command: a status, a line, and nothing left behind."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from flows.project import locks
from flows.project.environment import Project
from flows.records import attempts
from tests.support.clone import ROOT, answer, clone, edit, environment, git, ratchet
from tests.support.world import PATIENCE, until

WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "ended with its terminal"}
SIGNALS = list(WORDS)
OPEN = ("SCHEDULED", "PENDING", "RUNNING", "CANCELLING", "PAUSED")
ROUNDS = int(os.environ.get("RATCHET_TEST_STOPS", "12"))


def begun(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """A command in a group of its own, as a terminal starts it."""
    return subprocess.Popen(
        [sys.executable, "-m", "flows.cli", *arguments],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def stopped(process: subprocess.Popen[str], how: signal.Signals, group: bool) -> str:
    """Send the signal, to the command or to its whole group; returns what it has said."""
    if process.poll() is None:
        (os.killpg if group else os.kill)(process.pid, how)
    said, _ = process.communicate(timeout=PATIENCE)
    return said


def check_words(said: str, status: int, how: signal.Signals) -> None:
    """A status, no traceback, and nothing of Python's own."""
    assert status in (128 + how, 0), said  # 0: it had ended before
    for wrong in ("Traceback", "resource_tracker", "Exception ignored", "Error:", "Aborted"):
        assert wrong not in said, said
    if status and how != signal.SIGHUP:  # then nobody reads
        assert said.splitlines()[-1].startswith(WORDS[how]), said


def left(folder: Path) -> list[str]:
    """The commands of the processes that work in a folder."""
    found = []
    for process in psutil.process_iter(["cwd", "cmdline"]):
        if (process.info["cwd"] or "").startswith(str(folder)):
            found.append(" ".join(process.info["cmdline"] or []))
    return found


def rows(path: Path, query: str) -> list[str]:
    if not path.exists() or not path.stat().st_size:
        return []
    with closing(sqlite3.connect(path)) as database:
        return [value for (value,) in database.execute(query)]


def check_nothing_is_left(folder: Path) -> None:
    """No process, no lock, no run that seems to be at work."""
    until(lambda: not left(folder), lambda: left(folder))
    assert locks.held(Project(folder, folder / ".ratchet", "", "")) == []
    assert list((folder / ".ratchet").glob("*.pipe")) == []
    assert "RUNNING" not in rows(folder / "mlflow" / "mlflow.db", "SELECT status FROM runs")
    states = rows(folder / ".ratchet" / "prefect" / "prefect.db", "SELECT state_type FROM flow_run")
    assert not set(states) & {*OPEN, "FAILED", "CRASHED"}, states


SLOW = """
import pathlib, sys, time
class Slow:
    def find_spec(self, name, path, target=None):
        if name == "typer":
            pathlib.Path("begun").touch()
            time.sleep(60)
sys.meta_path.insert(0, Slow())
"""


@pytest.mark.parametrize("how", SIGNALS)
def test_a_command_that_still_imports_ends_with_one_line(tmp_path, how):
    (tmp_path / "sitecustomize.py").write_text(SLOW)
    process = subprocess.Popen(
        [sys.executable, "-c", "from flows.cli import main; main()", "status"],
        cwd=tmp_path,
        env=environment(PYTHONPATH=f"{tmp_path}:{ROOT}"),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until((tmp_path / "begun").exists)
    os.killpg(process.pid, how)
    _, said = process.communicate(timeout=PATIENCE)
    assert (process.returncode, said) == (128 + how, "" if how == signal.SIGHUP else f"{WORDS[how]}\n")


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A clone whose training of digits takes minutes."""
    folder = clone(tmp_path_factory.mktemp("stopped"))
    edit(folder / "models" / "digits.yaml", "epochs: 30", "epochs: 20000")
    git(folder, "commit", "-qam", "a longer training")
    return folder


@pytest.mark.long
@pytest.mark.tensorflow
@pytest.mark.random_order(disabled=True)
class TestARun:
    def test_in_training_says_after_which_epoch_it_goes_on(self, project):
        process = begun(project, "run", "digits")
        until((project / "data" / "digits" / "checkpoint.npz").exists)
        said = stopped(process, signal.SIGINT, group=True)
        check_words(said, process.returncode, signal.SIGINT)
        assert process.returncode == 130
        assert said.splitlines()[-1].startswith("interrupted: run again to go on after epoch ")
        check_nothing_is_left(project)
        states = rows(project / ".ratchet/prefect/prefect.db", "SELECT state_type FROM flow_run")
        assert states == ["CANCELLED"]
        tick = attempts.read(Project(project, project / ".ratchet", "", ""), "digits")[-1]
        assert (tick.outcome, tick.reason) == ("stopped", "stopped by you (Ctrl-C)")
        (model,) = [one for one in answer(project, "status")["models"] if one["model"] == "digits"]
        assert model["tick"] == "stopped"

    @pytest.mark.parametrize("seed", range(ROUNDS))
    def test_at_any_moment_leaves_nothing(self, project, seed):
        chance = random.Random(f"{os.environ.get('SEED', '')} {seed}")
        how, group, after = chance.choice(SIGNALS), chance.random() < 0.5, chance.uniform(0, 25)
        print(f"seed {seed}: {how.name} to {'the group' if group else 'the command'} after {after:.2f} s")
        process = begun(project, "run", "digits")
        time.sleep(after)
        check_words(stopped(process, how, group), process.returncode, how)
        check_nothing_is_left(project)

    def test_goes_on_and_ends_as_if_nothing_had_been(self, project):
        edit(project / "models" / "digits.yaml", "epochs: 20000", "epochs: 30")
        assert answer(project, "run", "digits")["decision"] == "accepted"
        check_nothing_is_left(project)

    @pytest.mark.parametrize("seed", range(ROUNDS))
    def test_another_command_at_any_moment_leaves_nothing(self, project, tmp_path, seed):
        chance = random.Random(f"{os.environ.get('SEED', '')} other {seed}")
        table = tmp_path / "shop.csv"
        table.write_text("age,bought\n" + "".join(f"{age},{'yes' if age > 40 else 'no'}\n" for age in range(18, 90)))
        given = str(project / "data" / "digits" / "test.parquet")
        commands = [
            ["predict", "digits", given, str(tmp_path / "answers.csv")],
            ["verify", "digits"],
            ["compare", "digits", "1", "1"],
            ["new", f"shop{seed}", "--data", str(table), "--target", "bought"],
            ["run", "digits"],
            ["up", "--no-schedule"],
            ["plan", "digits"],
        ]
        command = commands[seed % len(commands)]
        how, group, after = chance.choice(SIGNALS), chance.random() < 0.5, chance.uniform(0, 8)
        print(f"seed {seed}: {how.name} to {'the group' if group else 'the command'} after {after:.2f} s: {command}")
        process = begun(project, *command)
        time.sleep(after)
        said = stopped(process, how, group)
        if process.returncode != 1 or "error: " not in said:  # what it refuses is not this test's
            check_words(said, process.returncode, how)
        if command[0] == "up" and process.returncode == 0:
            assert ratchet(project, "down").returncode == 0
        check_nothing_is_left(project)
