"""The condition of a model is the worst of its parts, and each trouble is seen in real records."""

import shutil
from dataclasses import replace

import pytest

from flows.overview import condition, facts
from flows.overview.condition import FINE, ORDER
from flows.overview.facts import Machine, ModelFacts, Verified
from tests.flows.overview.conftest import NOW


def conditions(planted):
    return {one.model: condition.worst(one, NOW) for one in facts.read(planted.project, NOW)}


def test_each_trouble_is_named_with_its_part_and_a_sound_model_has_none(planted):
    planted.troubled()
    found = conditions(planted)
    assert found.pop("sound") == FINE
    assert {model: (one.status, one.part) for model, one in found.items()} == {
        "refused": ("broken", "data"),
        "undecided": ("warning", "decision"),
        "moved": ("broken", "alias"),
        "dead": ("broken", "schedule"),
        "drifted": ("warning", "drift"),
        "worse": ("broken", "live quality"),
        "unmade": ("broken", "verification"),
    }
    assert "31 of 200 rows" in found["refused"].words
    assert "455 test rows are missing" in found["undecided"].words
    assert "MLflow says version 7, the ledger version 1" in found["moved"].words
    assert "weight" in found["drifted"].words


def test_a_refusal_is_over_when_a_run_comes_to_an_end(planted):
    planted.sound("pets")
    planted.tick("pets", "refused", "31 rows")
    assert conditions(planted)["pets"].part == "data"
    planted.tick("pets", "rejected", "worse")
    assert conditions(planted)["pets"] == FINE


def test_a_model_without_labels_monitor_or_verification_is_a_finding(planted):
    planted.declare("pets")
    assert conditions(planted)["pets"].part == "champion"
    planted.line("pets", "accepted", 1)
    (found,) = facts.read(planted.project, NOW)
    assert [one.part for one in condition.all_of(found, NOW)] == ["monitor", "labels", "verification"]
    planted.watched("pets", labels=None)
    (found,) = facts.read(planted.project, NOW)
    assert [one.part for one in condition.all_of(found, NOW)] == ["labels", "verification"]
    planted.tag("pets", 1, verified="identical", verified_at=NOW.isoformat())
    planted.watched("pets")
    assert conditions(planted)["pets"] == FINE


def test_a_broken_yaml_and_a_changed_ledger_stop_no_other_model(planted):
    for name in ("pets", "other", "sound"):
        planted.sound(name)
    (planted.world.root / "models" / "pets.yaml").write_text("format: 1\npromote: [")
    import sqlite3

    with sqlite3.connect(planted.world.root / "mlflow" / "ledger.db") as book:
        book.execute("UPDATE ratchet_ledger SET reason = 'as I like it' WHERE model = 'other'")
    found = conditions(planted)
    assert {model: one.part for model, one in found.items()} == {"pets": "settings", "other": "ledger", "sound": ""}


@pytest.mark.parametrize(
    ("free", "total", "status"),
    [(1 << 30, 1 << 40, "broken"), (20 << 30, 1 << 40, "warning"), (200 << 30, 1 << 40, None)],
)
def test_a_disk_that_is_nearly_full_is_told_for_all_models(free, total, status):
    found = condition.of_machine(Machine(free, total))
    assert [one.status for one in found] == ([status] if status else [])
    assert all(one.part == "disk" for one in found)


def test_the_disk_is_that_of_the_project(planted):
    found, now = facts.machine(planted.project), shutil.disk_usage(planted.project.root)
    assert found.total == now.total
    assert abs(found.free - now.free) < 1 << 30


def test_the_worst_is_the_gravest_of_all(planted):
    planted.troubled()
    for one in facts.read(planted.project, NOW):
        found = condition.all_of(one, NOW)
        grades = [ORDER.index(part.status) for part in found]
        assert grades == sorted(grades, reverse=True)
        both = replace(one, verified=Verified("different", NOW.isoformat()))
        assert condition.worst(both, NOW).status == "broken"


def test_what_waits_for_a_person_is_said():
    assert condition.waiting(ModelFacts("pets")) == []
    assert condition.waiting(ModelFacts("pets", held="too slow")) == ["promotion, which is held"]
