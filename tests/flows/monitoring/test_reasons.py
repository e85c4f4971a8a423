"""What happened to the model that is served is a reason to retrain only where the YAML says so."""

import copy
from datetime import UTC, datetime, timedelta

import pytest

from flows.monitoring.events import Event, Found, record
from flows.monitoring.reasons import reasons
from flows.project.environment import Project
from flows.records import attempts
from flows.records.attempts import Tick
from flows.records.ledger import Ledger
from pipelines import model_file
from tests.support.served import labelled
from tests.support.world import World

NOW = datetime(2026, 11, 30, 3, tzinfo=UTC)


@pytest.fixture
def found(tmp_path, monkeypatch):
    """Reasons under rules, after events."""
    monkeypatch.chdir(tmp_path)
    book = Ledger(f"sqlite:///{tmp_path}/ledger.db")

    def reasons_of(rules, there=(), gone=()):
        World(tmp_path).declare(schedule=copy.deepcopy(rules))
        record(book, "pets", Found(there, gone))
        project = Project(tmp_path, tmp_path / "state", "", "")
        return reasons(project, model_file.check("pets"), book.lines("pets"), NOW)

    return reasons_of


def drift(*columns):
    return [Event("drift", column, f"{column} has drifted", "2026-11-29") for column in columns]


QUALITY = Event("quality", "accuracy", "live accuracy is worse than promised", "2026-11-28")


def test_without_rules_nothing_is_a_reason(found):
    assert found({}, [QUALITY, *drift("age")]) == []


def test_each_rule_has_its_reason_the_gravest_first(found):
    rules = {"on": {"quality": "worse", "drift": "alarm"}}
    assert found(rules, [*drift("age"), QUALITY]) == [
        "live accuracy is worse than promised (noticed on 2026-11-28)",
        "age has drifted since 2026-11-29",
    ]
    assert found({"on": {"quality": "worse"}}) == ["live accuracy is worse than promised (noticed on 2026-11-28)"]


def test_many_columns_are_counted(found):
    rules = {"on": {"drift": "alarm"}}
    assert found(rules, drift("age", "weight")) == ["age and weight have drifted since 2026-11-29"]
    assert found(rules, drift("a", "b", "c")) == ["age, weight, a and 2 more have drifted since 2026-11-29"]


def test_what_is_over_is_no_reason(found):
    rules = {"on": {"drift": "alarm"}}
    found(rules, drift("age"))
    assert found(rules, gone=drift("age")) == []


def test_a_broken_pipe_is_no_reason_because_it_would_be_learned(found):
    broken = Event("broken", "age", "age is missing in every row", "2026-11-29")
    assert found({"on": {"drift": "alarm"}}, [broken]) == []


def labelled_rows(project, declared, names, taken, answered=True):
    if answered:
        labelled.log(project.state, {name: {"weight": 3} for name in names}, NOW - timedelta(days=3))
    labelled.label(project.state, declared, [{"id": name, "label": "cat"} for name in names], taken)


def test_enough_new_labels_are_a_reason_until_a_training_has_begun_after_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    World(tmp_path).declare("shop", schedule={"on": {"labels": 3}})
    project, declared = Project(tmp_path, tmp_path / "state", "", ""), model_file.check("shop")
    project.state.mkdir()

    def found():
        return reasons(project, declared, [], NOW)

    assert found() == []
    labelled_rows(project, declared, ["a", "b"], NOW - timedelta(days=2))
    labelled_rows(project, declared, ["never served"], NOW - timedelta(days=2), answered=False)
    assert found() == []
    labelled_rows(project, declared, ["c"], NOW - timedelta(days=1))
    assert found() == ["3 labels are new, of 3 that are wanted, which are not learned (`labels: learn`)"]
    for outcome in ("began", "rejected"):
        attempts.write(project, Tick("shop", outcome, "", "schedule", "run", str(tmp_path)))
    assert found() == []
    labelled_rows(project, declared, ["d", "e", "f"], datetime.now(UTC) + timedelta(seconds=1))
    assert len(found()) == 1
