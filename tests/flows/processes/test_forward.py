"""`ratchet run` in a child of the process that `ratchet up` keeps, with all that a terminal may do to it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.faults.test_crash import in_training, store
from tests.support.clone import answer, clone, edit, environment, git, ratchet
from tests.support.world import PATIENCE, until

RUN = [sys.executable, "-m", "flows.cli", "run", "diabetes", "--json"]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Iterator[Path]:
    """A clone whose training takes long, with its servers and warm processes up."""
    folder = clone(tmp_path_factory.mktemp("lent"))
    edit(folder / "models" / "diabetes.yaml", "epochs: 25", "epochs: 5000")
    git(folder, "commit", "-qam", "a longer training")
    assert ratchet(folder, "up", "--no-schedule").returncode == 0
    yield folder
    assert ratchet(folder, "down").returncode == 0


def children(project: Path) -> dict[str, list[psutil.Process]]:
    """Of each warm process that stays its children, by kind."""
    found: dict[str, list[psutil.Process]] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            line, place = process.cmdline(), process.environ().get("RATCHET_WARM", "")
            if (
                "serve" in line
                and place.startswith(str(project / ".ratchet/warm"))
                and os.getsid(process.pid) == process.pid
            ):
                found[line[line.index("serve") + 1]] = process.children(recursive=True)
    return found


@contextmanager
def training(project: Path, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """One who asked for a run, which trains."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(RUN, cwd=project, env=environment(**variables), process_group=0, **pipes)
    try:
        in_training(project, process, 3)
        yield process
    finally:
        process.kill()
        process.communicate()


def nothing_is_left(project: Path) -> bool:
    return not any(children(project).values()) and not list((project / ".ratchet").glob("run-*.pipe"))


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_as_it_ends_one_that_is_not_lent(project, number):
    found = []
    for variables in ({"RATCHET_LENT": "1"}, {}):  # the first is as if it were the child already
        with training(project, **variables) as process:
            assert bool(children(project)["commands"]) == (not variables)
            os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
            found.append((*process.communicate(timeout=PATIENCE), process.returncode))
        until(lambda: nothing_is_left(project), lambda: children(project))
    alone, lent = found
    assert lent == alone
    assert lent[-1] == 128 + number


@pytest.mark.long
def test_when_the_one_who_asks_is_killed_the_run_ends_and_the_next_one_goes_on(project):
    with training(project) as process:
        assert psutil.Process(process.pid).children() == []  # the work is done elsewhere
        process.kill()
        until(lambda: not any(children(project).values()), lambda: children(project))
    edit(project / "models" / "diabetes.yaml", "epochs: 5000", "epochs: 25")
    found = answer(project, "run", "diabetes")
    assert {stage["name"]: stage["state"] for stage in found["stages"]}["train"] == "Ran"
    assert found["decision"] == "accepted"
    assert nothing_is_left(project)
    (version,) = store(project).search_model_versions("name = 'diabetes'")
    assert int(version.version) == 1


@pytest.mark.long
def test_what_is_wrong_is_told_with_the_same_words_and_status(project):
    for arguments in (["run", "nonsense"], ["run", "--nonsense"], ["run", "digits", "--data", "0000"]):
        lent = ratchet(project, *arguments)
        alone = ratchet(project, *arguments, RATCHET_LENT="1")  # as if it were the child already
        assert (lent.returncode, lent.stdout) == (alone.returncode, alone.stdout)
        assert lent.stderr.splitlines()[-1] == alone.stderr.splitlines()[-1]  # the others have seconds in them
        assert lent.returncode
