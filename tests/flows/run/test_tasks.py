"""What is away is waited for, what is wrong is not tried twice, and what failed is said in a paragraph."""

import logging
import os

import pytest
from prefect import flow, task
from prefect.testing import utilities

from flows import retrain
from flows.project import environment
from flows.records import attempts as attempts_file
from flows.report import prefect_failures, progress
from flows.run import tasks
from flows.run.context import RunContext
from flows.run.trigger import RunRequest
from pipelines.errors import (
    DataError,
    ExpectationError,
    IntegrityError,
    RatchetError,
    RequestError,
    SettingsError,
    StageError,
    TrainingError,
    UnreachableError,
)
from tests.support import clone, golden


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (DataError("x"), True),
        (ExpectationError("x"), True),
        (SettingsError("x"), True),
        (TrainingError("x"), True),
        (RequestError("x"), True),
        (StageError("validate@pets", "x", kind="ExpectationError"), True),
        (StageError("train@pets", "x", kind="TrainingError"), True),
        (StageError("train@pets", "no space left", kind="OSError"), False),
        (StageError("train@pets", "killed", kind=""), False),
        (IntegrityError("edited meanwhile"), False),
        (UnreachableError("away"), False),
        (ValueError("a mistake of ours"), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_a_refusal_is_what_the_same_inputs_would_do_again(error, expected):
    assert tasks.refusal(error) is expected


@pytest.fixture(scope="module")
def prefect(tmp_path_factory):
    """Prefect's own server for tests, whose database is migrated already."""
    folder = tmp_path_factory.mktemp("prefect")
    golden.database("prefect", folder / "prefect-test.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utilities, "mkdtemp", lambda: str(folder))
        with utilities.prefect_test_harness(server_startup_timeout=120):
            yield


def attempts(errors, monkeypatch, trigger="schedule"):
    """How often a task that meets these errors, one after the other, is begun; and what its flow ends with."""
    monkeypatch.setattr(tasks, "DELAYS", [0.01, 0.02, 0.03])
    run = RunContext(None, None, RunRequest(trigger=trigger), None, None, None, None)
    begun = []

    @task
    def work():
        begun.append(1)
        if len(begun) <= len(errors):
            raise errors[len(begun) - 1]
        return "done"

    @flow
    def whole():
        return tasks.persistent(work, run)()

    state = whole(return_state=True)
    return len(begun), state.result(raise_on_failure=False)


def test_what_is_away_for_a_while_is_tried_again(prefect, monkeypatch):
    assert attempts([UnreachableError("away")] * 2, monkeypatch) == (3, "done")


def test_what_stays_away_fails_with_its_own_words(prefect, monkeypatch):
    tried, found = attempts([UnreachableError("The ledger is away.")] * 9, monkeypatch)
    assert tried == 4
    assert isinstance(found, UnreachableError)
    assert str(found) == "The ledger is away."


def test_wrong_data_are_not_tried_again(prefect, monkeypatch):
    tried, found = attempts([DataError("a rule failed")] * 2, monkeypatch)
    assert tried == 1
    assert isinstance(found, DataError)


def test_a_person_at_a_terminal_is_told_at_once(prefect, monkeypatch):
    assert attempts([UnreachableError("away")], monkeypatch, "command")[0] == 1


def test_the_delays_grow():
    assert sorted(tasks.DELAYS) == tasks.DELAYS
    assert len(set(tasks.DELAYS)) == len(tasks.DELAYS) > 2


def failing(error, caplog, name="ingest"):
    """A flow whose step raises an error, as the product's do: the states of task and flow, and the lines of the log."""
    run = RunContext(None, None, RunRequest(), progress.Progress(), None, None, None)
    prefect_failures.without_tracebacks()
    states = []

    def work():
        raise error

    @tasks.step
    def one(name):
        return tasks.timed(run, name, work)

    @flow(log_prints=False)
    def whole():
        states.append(one(name, return_state=True))
        try:
            states[0].result()
        except RatchetError as found:
            return prefect_failures.failed(found, tasks.refusal(found), "pets: the data were refused")

    loggers = [logging.getLogger(name) for name in prefect_failures.LOGGERS]
    with pytest.MonkeyPatch.context() as patch:
        for logger in loggers:
            patch.setattr(logger, "propagate", True)
        patch.setattr(logging.getLogger("prefect"), "propagate", True)
        states.append(whole(return_state=True))
    return states, caplog.text


def test_a_refusal_is_a_paragraph_in_states_and_log(prefect, caplog):
    error = StageError("ingest@pets", "Row 5 is wrong. Correct it.", kind="DataError")
    (of_task, of_flow), log = failing(error, caplog)
    assert (of_task.name, of_task.type.value, of_task.message) == ("Refused", "FAILED", str(error))
    assert of_flow.message == f"pets: the data were refused: {error}"
    assert of_flow.result(raise_on_failure=False) is error
    assert "Traceback" not in log
    assert "NoneType" not in log
    assert str(error) in log


def test_a_failure_that_may_pass_is_no_refusal_and_a_bug_keeps_its_traceback(prefect, caplog):
    (of_task, _), log = failing(UnreachableError("MLflow is away"), caplog)
    assert (of_task.name, of_task.message) == ("Failed", "MLflow is away")
    assert "Traceback" not in log
    (of_task, _), log = failing(ZeroDivisionError("ours"), caplog)
    assert of_task.name == "Failed"
    assert "Traceback" in log


def test_a_tick_that_fails_before_its_run_begins_is_on_record(prefect, tmp_path, monkeypatch):
    """What nobody foresaw, where even the settings could not be looked at."""
    folder = clone.clone(tmp_path / "clone")
    monkeypatch.chdir(folder)
    for name, value in clone.environment().items():
        monkeypatch.setenv(name, value)

    def broken(*_):
        raise RuntimeError("a library is at fault")

    monkeypatch.setattr(retrain.rhythm, "check", broken)
    before = dict(os.environ)
    try:
        state = retrain.retrain("digits", return_state=True)
        (line,) = attempts_file.read(environment.find(), "digits")
    finally:
        os.environ.clear()
        os.environ.update(before)
    assert state.is_failed() or state.is_crashed()
    assert (line.outcome, line.reason) == ("failed", "a library is at fault")
