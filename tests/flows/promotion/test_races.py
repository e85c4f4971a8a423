"""Others decide while this process reads or moves the alias: nothing of it looks like a change by hand.

Real stores. Somebody else decides between any two reads of a command, or while a follower stops within its move.
"""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import combinations
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from flows.project.environment import Project
from flows.promotion import champion_alias, decide
from flows.records import ledger
from flows.records.ledger import Ledger, Line
from flows.registry import model_registry
from flows.tracking import mlflow_runs
from pipelines.errors import IntegrityError
from tests.support import registered
from tests.support.clone import ROOT, environment
from tests.support.registered import MODEL, accept, alias, standing
from tests.support.world import PATIENCE

READS = (
    (MlflowClient, "get_registered_model"),
    (MlflowClient, "get_model_version_by_alias"),
    (Ledger, "lines"),
)


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """A project with four registered versions."""
    return registered.versions(tmp_path_factory, "one", "two", "three", "four")


@pytest.fixture
def project(four, monkeypatch) -> Project:
    """The same with a champion; the working directory."""
    monkeypatch.chdir(four.root)
    begin(four)
    return four


def begin(project: Project, behind: bool = False) -> None:
    """Version 2 is champion, version 1 was. behind: a crash has kept the alias from following the last line."""
    registered.forget(project)
    for version in (1, 2):
        accept(project, version)
        if version == 1 or not behind:
            settle(project)


def settle(project: Project) -> Any:
    return champion_alias.settle(mlflow_runs.client(project), ledger.of(project), MODEL)


def problem(project: Project) -> str:
    return champion_alias.compare(mlflow_runs.client(project), ledger.of(project), MODEL)[1]


# ------------------------------------------------------------------ what somebody else may do meanwhile


def promoted(project: Project) -> None:
    champion_alias.promote(project, MODEL, 3, "somebody else")


def rolled_back(project: Project) -> None:
    champion_alias.rollback(project, MODEL, "somebody else", hold=False)


def accepted_and_killed(project: Project) -> None:
    """The line is written; its process dies before the alias follows."""
    accept(project, 4)


def killed_before_the_note(project: Project) -> None:
    """As a process that dies between alias and tag leaves it."""
    accept(project, 4)
    mlflow_runs.client(project).set_registered_model_alias(MODEL, model_registry.CHAMPION, "4")


def followed(project: Project) -> None:
    settle(project)


def rejected(project: Project) -> None:
    now = standing(project)
    about = (now.champion, now.champion, now.reference)
    ledger.of(project).append(now.last, Line(MODEL, 0, "rejected", 3, *about, "worse", '{"looks": []}'))


OTHERS = (promoted, rolled_back, accepted_and_killed, killed_before_the_note, rejected, followed)


class Between:
    """Before the read of each given number the next of some decisions happens, unless this process is alone by then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, moments: dict[int, Callable[[], None]]):
        self.moments, self.count, self.busy = moments, 0, False
        for owner, name in READS:
            monkeypatch.setattr(owner, name, self._counted(getattr(owner, name)))
        alone = Ledger.alone
        monkeypatch.setattr(Ledger, "alone", lambda book, model: self._quiet(alone(book, model)))

    def _counted(self, read: Callable[..., Any]) -> Callable[..., Any]:
        def before(*arguments: Any, **more: Any) -> Any:
            if not self.busy:
                self.count += 1
                if self.count in self.moments:
                    self.busy = True
                    self.moments[self.count]()
                    self.busy = False
            return read(*arguments, **more)

        return before

    @contextmanager
    def _quiet(self, turn: AbstractContextManager[list[Line]]) -> Iterator[list[Line]]:
        before, self.busy = self.busy, True
        with turn as lines:
            yield lines
        self.busy = before


def reads(project: Project, command: Callable[[Project], Any]) -> int:
    with pytest.MonkeyPatch.context() as patched:
        between = Between(patched, {})
        command(project)
        return between.count


@pytest.mark.parametrize("other", OTHERS, ids=lambda other: other.__name__)
@pytest.mark.parametrize("behind", [False, True], ids=["settled", "behind"])
def test_a_decision_between_any_two_reads_is_no_change_by_hand(project, behind, other):
    moments = reads(project, settle)
    assert moments >= 3
    for moment in range(1, moments + 1):
        begin(project, behind)
        with pytest.MonkeyPatch.context() as patched:
            Between(patched, {moment: lambda: other(project)})
            settle(project)
        assert problem(project) == "", moment
        settle(project)
        assert alias(project) == standing(project).champion, moment


@pytest.mark.long
@pytest.mark.parametrize(("first", "second"), [*combinations(OTHERS[:3], 2)], ids=lambda other: other.__name__)
def test_two_decisions_between_the_reads_are_no_change_by_hand(project, first, second):
    for one, two in combinations(range(1, reads(project, settle) + 1), 2):
        begin(project)
        with pytest.MonkeyPatch.context() as patched:
            Between(patched, {one: lambda: first(project), two: lambda: second(project)})
            settle(project)
        assert problem(project) == "", (one, two)
        settle(project)
        assert alias(project) == standing(project).champion, (one, two)


@pytest.mark.parametrize("name", ["set_registered_model_alias", "set_registered_model_tag"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_slow_follower_never_moves_the_alias_back(project, monkeypatch, name, when):
    """It stops beside one of its writes. Meanwhile a newer version is accepted, and followed if that is possible."""
    write, slow, problems = getattr(MlflowClient, name), threading.current_thread(), []
    accept(project, 3)
    newer = threading.Thread(target=lambda: (accept(project, 4), settle(project)))

    def stopped(*arguments: Any) -> None:
        if threading.current_thread() is not slow:
            write(*arguments)
            return
        if when == "after":
            write(*arguments)
        newer.start()
        newer.join(timeout=1)  # it waits for this thread, or it is done
        problems.append(problem(project))
        if when == "before":
            write(*arguments)
        problems.append(problem(project))

    monkeypatch.setattr(MlflowClient, name, stopped)
    settle(project)
    newer.join(timeout=PATIENCE)
    assert not newer.is_alive()
    assert problems == ["", ""]
    assert problem(project) == ""
    assert alias(project) == standing(project).champion == 4


def test_a_change_by_hand_is_still_found_and_nobody_who_follows_undoes_it(project):
    store, book = mlflow_runs.client(project), ledger.of(project)
    store.set_registered_model_alias(MODEL, model_registry.CHAMPION, "3")
    rejected(project)
    champion_alias.follow(store, book, standing(project).last)
    assert alias(project) == 3
    with pytest.raises(IntegrityError, match="changed outside Ratchet"):
        settle(project)


def test_a_champion_that_was_moved_meanwhile_refuses_the_gates_line_in_any_order(project):
    """The gate judged against version 2; somebody promotes version 3 between two reads of its last step."""
    store, book = mlflow_runs.client(project), ledger.of(project)
    line = Line(MODEL, 0, "accepted", 4, 2, 4, 4, "good enough", '{"looks": []}')
    for moment in range(1, reads(project, settle) + 1):
        begin(project)
        before = standing(project)
        with pytest.MonkeyPatch.context() as patched:
            Between(patched, {moment: lambda: promoted(project)})
            assert decide._write(store, book, before, line) is None
        assert [entry.action for entry in book.lines(MODEL)][2:] == ["promoted", "refused"]
        assert (problem(project), alias(project)) == ("", 3)


@pytest.mark.long
def test_five_processes_at_once_as_the_benchmark_lets_them(tmp_path):
    command = [sys.executable, str(ROOT / "benchmarks" / "races.py"), "--rounds", "3", "--seed", "1"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("| 3 |")
