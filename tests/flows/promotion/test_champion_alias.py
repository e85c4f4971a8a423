"""Moving the champion: the ledger first, the alias after it; by hand, after a crash, from outside, two at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, delete

from flows.cli.commands.champion import do_promote
from flows.inspect.history import history
from flows.promotion import champion_alias
from flows.records import ledger
from flows.registry import model_registry
from flows.tracking import mlflow_runs
from pipelines.errors import IntegrityError, RatchetError, RequestError
from tests.support import registered
from tests.support.clone import ROOT, environment
from tests.support.registered import MODEL, accept, alias, standing
from tests.support.world import PATIENCE


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A project with three registered versions."""
    return registered.versions(tmp_path_factory, "one", "two", "three")


@pytest.fixture
def project(three, monkeypatch):
    """The same without a ledger and without a champion; the working directory."""
    monkeypatch.chdir(three.root)
    registered.forget(three)
    return three


def settle(project):
    return champion_alias.settle(mlflow_runs.client(project), ledger.of(project), MODEL)


def champions(project, *versions: int) -> None:
    for version in versions:
        accept(project, version)
        settle(project)


def test_an_alias_that_a_crash_kept_from_following_follows(project):
    accept(project, 1)
    assert alias(project) is None
    assert settle(project).champion == alias(project) == 1
    accept(project, 2)
    settle(project)
    assert alias(project) == 2


def test_an_alias_that_somebody_moved_stops_promotion_and_is_not_mended_in_silence(project):
    champions(project, 1, 2)
    mlflow_runs.client(project).set_registered_model_alias(MODEL, model_registry.CHAMPION, "3")
    with pytest.raises(IntegrityError, match=r"changed outside Ratchet.*version 3.*version 2.*--adopt"):
        settle(project)
    with pytest.raises(IntegrityError, match="changed outside Ratchet"):
        do_promote(project, MODEL, 1, "a reason", False)
    assert alias(project) == 3
    assert "outside Ratchet" in history(project, MODEL, "")["problem"]


def test_an_alias_that_was_moved_back_by_hand_is_noticed_too(project):
    champions(project, 1, 2)
    mlflow_runs.client(project).set_registered_model_alias(MODEL, model_registry.CHAMPION, "1")
    with pytest.raises(IntegrityError, match="changed outside Ratchet"):
        settle(project)


def test_an_alias_that_was_deleted_is_noticed(project):
    champions(project, 1)
    mlflow_runs.client(project).delete_registered_model_alias(MODEL, model_registry.CHAMPION)
    with pytest.raises(IntegrityError, match="MLflow says no version, the ledger version 1"):
        settle(project)
    with pytest.raises(RequestError, match="nothing to adopt"):
        do_promote(project, MODEL, None, "a reason", True)
    assert champion_alias.rollback(project, MODEL, "", False)["champion"] == alias(project) == 1


def test_adopting_takes_the_alias_into_the_ledger(project):
    champions(project, 1)
    mlflow_runs.client(project).set_registered_model_alias(MODEL, model_registry.CHAMPION, "3")
    found = do_promote(project, MODEL, None, "set in MLflow's page", True)
    assert (found["action"], found["from"], found["champion"]) == ("adopted", 1, 3)
    assert settle(project).champion == alias(project) == 3


def test_rolling_back_puts_the_ledgers_champion_back_and_vetoes_the_foreign_one(project):
    champions(project, 1)
    mlflow_runs.client(project).set_registered_model_alias(MODEL, model_registry.CHAMPION, "3")
    found = champion_alias.rollback(project, MODEL, "", False)
    assert (found["from"], found["champion"], alias(project)) == (3, 1, 1)
    assert set(standing(project).vetoed) == {3}


def test_rollback_goes_back_one_and_again_one(project):
    champions(project, 1, 2, 3)
    assert [champion_alias.rollback(project, MODEL, "", False)["champion"] for _ in range(2)] == [2, 1]
    assert alias(project) == 1
    with pytest.raises(RequestError, match="no earlier champion"):
        champion_alias.rollback(project, MODEL, "", False)
    assert set(standing(project).vetoed) == {2, 3}


def test_rollback_after_a_crash_goes_back_from_the_version_that_had_not_followed_yet(project):
    champions(project, 1, 2)
    accept(project, 3)
    assert champion_alias.rollback(project, MODEL, "", False)["champion"] == alias(project) == 2


def test_a_person_lifts_a_veto_and_a_hold(project):
    champions(project, 1, 2)
    champion_alias.rollback(project, MODEL, "it answers nonsense", True)
    now = standing(project)
    assert now.vetoed[2].reason == "it answers nonsense"
    assert now.held is not None
    do_promote(project, MODEL, 2, "it does not", False)
    assert (standing(project).vetoed, standing(project).held, alias(project)) == ({}, None, 2)


def test_no_champion_is_made_of_what_is_not_the_registered_model(project, tmp_path):
    number = registered.register(project, tmp_path, f"spoilt {os.getpid()}")
    store = mlflow_runs.client(project)
    version = store.get_model_version(MODEL, str(number))
    champions(project, 1)
    logged = store.get_logged_model(model_registry.logged_model(version))
    Path(logged.artifact_location.removeprefix("file://"), "artifacts/model/model.json").write_text("{}")
    with pytest.raises(IntegrityError, match="has changed since it was registered"):
        do_promote(project, MODEL, number, "a reason", False)
    assert alias(project) == standing(project).champion == 1


@pytest.mark.parametrize(
    ("version", "reason", "adopt", "words"),
    [
        (1, " ", False, "needs a reason"),
        (None, "why", False, "one of them"),
        (1, "why", True, "one of them"),
        (99, "why", False, "no version 99"),
        (None, "why", True, "nothing to adopt"),
    ],
)
def test_a_wrong_request_changes_nothing(project, version, reason, adopt, words):
    champions(project, 1)
    with pytest.raises(RequestError, match=words):
        do_promote(project, MODEL, version, reason, adopt)
    assert len(ledger.of(project).lines(MODEL)) == 1


def test_a_ledger_whose_end_was_cut_off_is_noticed(project):
    champions(project, 1, 2)
    store, book = mlflow_runs.client(project), ledger.of(project)
    assert champion_alias.compare(store, book, MODEL)[1] == ""
    for left in (1, 0):
        with create_engine(book.url).begin() as connection:
            connection.execute(delete(ledger.LINES).where(ledger.LINES.c.sequence > left))
        assert "line 2 is missing" in champion_alias.compare(store, book, MODEL)[1]


def test_who_was_champion_at_an_instant(project):
    champions(project, 1, 2)
    champion_alias.rollback(project, MODEL, "", False)
    lines = ledger.of(project).lines(MODEL)
    asked = [history(project, MODEL, line.at)["champion"] for line in lines]
    assert asked == [1, 2, 1]
    assert history(project, MODEL, "2020-01-01T00:00Z")["champion"] is None
    for text, words in (("yesterday", "not a date and time"), ("2026-11-01T12:00", "no time zone")):
        with pytest.raises(RequestError, match=words):
            history(project, MODEL, text)


def test_two_people_at_once_both_are_on_record_and_one_wins(project):
    """Real processes that wait for each other's start."""
    champions(project, 1)
    code = (
        "import sys, time\nfrom flows.cli.commands.champion import do_promote\nfrom flows.project import environment\n"
        "from flows.promotion import champion_alias\n"
        "project = environment.prepare()\n"
        "meet = champion_alias.check\n"  # the last step before the line is written: both have read the ledger
        "def wait(*a):\n"
        "    meet(*a); open(f'ready-{sys.argv[1]}', 'w').close()\n"
        "    while not all(__import__('os').path.exists(f'ready-{n}') for n in '23'): time.sleep(0.01)\n"
        "champion_alias.check = wait\n"
        "do_promote(project, 'diabetes', int(sys.argv[1]), 'mine', False)\n"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, number],
            cwd=project.root,
            env=environment(PYTHONPATH=str(ROOT)),
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in "23"
    ]
    ends = [(process.communicate(timeout=PATIENCE)[1], process.returncode) for process in running]
    assert sorted(code for _, code in ends) == [0, 1]
    assert any("at the same time" in words for words, _ in ends)
    lines = ledger.of(project).lines(MODEL)
    assert ledger.broken(lines) == ""
    assert [line.action for line in lines] == ["accepted", "promoted", "refused"]
    assert {line.version for line in lines[1:]} == {2, 3}
    assert alias(project) == lines[1].version == standing(project).champion


CLIENT = "mlflow.tracking.client:MlflowClient"


@pytest.mark.long
@pytest.mark.parametrize(
    ("point", "when", "written"),
    [
        ("flows.records.ledger:Ledger.append", "before", False),
        ("flows.records.ledger:Ledger.append", "after", True),
        (f"{CLIENT}.set_registered_model_alias", "before", True),
        (f"{CLIENT}.set_registered_model_alias", "after", True),
        (f"{CLIENT}.set_registered_model_tag", "before", True),
        (f"{CLIENT}.set_registered_model_tag", "after", True),
    ],
)
def test_a_promotion_that_is_killed_is_done_or_not_done_and_the_next_command_completes_it(
    project, tmp_path, point, when, written
):
    champions(project, 1)
    fault = {
        "FAULT_POINT": point,
        "FAULT_WHEN": when,
        "FAULT_CALLER": "",
        "FAULT_COUNT": "1",
        "FAULT_PROCESS": "promote",
        "FAULT_SPARE": "0",
        "FAULT_MARK": str(tmp_path / "mark"),
    }
    path = os.pathsep.join([str(ROOT / "benchmarks" / "faults" / "injected"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "promote", MODEL, "2", "--reason", "because"],
        cwd=project.root,
        env=environment(PYTHONPATH=path, **fault),
        capture_output=True,
    )
    assert done.returncode == -9
    assert (tmp_path / "mark").exists()
    assert settle(project).champion == alias(project) == (2 if written else 1)
    assert [line.action for line in ledger.of(project).lines(MODEL)] == ["accepted"] + ["promoted"] * written
    assert model_registry.tags(mlflow_runs.client(project), MODEL)[champion_alias.FOLLOWED].startswith(
        "2 " if written else "1 "
    )


def test_a_store_that_is_away_is_told_and_nothing_is_decided(project, monkeypatch):
    champions(project, 1)
    gone = ledger.Ledger("postgresql+nodriver://me:secret@127.0.0.1/db")
    with pytest.raises(RatchetError) as told:
        gone.lines(MODEL)
    assert "secret" not in str(told.value)
