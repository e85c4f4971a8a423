"""A champion that is worse on live rows is one event, over when it is not or when another one is champion."""

from dataclasses import replace

from flows.monitoring.looks import promised
from flows.monitoring.looks.look import Look
from flows.monitoring.watch import watch
from flows.records import ledger
from flows.records.ledger import Line
from tests.support.served import labelled
from tests.support.served.labelled import days


def served(project, declared, day, right, wrong, version=7):
    """Rows that are answered "cat" on a day, labelled the day after."""
    names = [f"{day}-{version}-{place}" for place in range(right + wrong)]
    labelled.log(project.state, {name: {"age": 3} for name in names}, days(day), said="cat", version=version)
    given = [{"id": name, "label": "cat" if place < right else "dog"} for place, name in enumerate(names)]
    labelled.label(project.state, declared, given, days(day + 1))


def test_without_labels_nothing_is_judged_and_no_store_is_asked(project, declared):
    labelled.log(project.state, {"a": {"age": 3}}, days(0))
    found = watch(project, declared, days(1))
    assert (found.parts["quality"], found.problems) == (None, [])


def test_a_champion_as_good_as_promised_is_no_event(project, declared, promise):
    promise()
    served(project, declared, 0, right=190, wrong=10)
    found = watch(project, declared, days(2))
    quality = found.parts["quality"]
    assert (quality["value"], quality["rows"], quality["worse"], found.new) == (0.95, 200, False, [])
    assert [(day["day"], day["rows"]) for day in quality["days"]] == [("2026-11-02", 200)]


def test_a_worse_one_is_one_event_until_another_is_champion(project, declared, promise):
    promise()
    served(project, declared, 0, right=100, wrong=100)
    found = watch(project, declared, days(2))
    (begun,) = found.new
    assert (begun["kind"], begun["subject"], begun["action"]) == ("quality", "accuracy", "noticed")
    assert begun["said"].startswith("live quality: worse by more than the margin 0.01: accuracy 0.5 [")
    assert (begun["figures"]["value"], begun["figures"]["promised"]) == (0.5, 0.95)
    served(project, declared, 2, right=20, wrong=20)
    assert watch(project, declared, days(4)).new == []

    book = ledger.of(project)
    book.append(book.lines("shop")[-1], Line("shop", 0, "promoted", 8, 7, 8, 8, "a person", "{}"))
    promise(version=8, value=0.9)
    over = watch(project, declared, days(5))
    assert [(one["action"], one["said"]) for one in over.new] == [("over", "version 8 is champion now")]
    assert over.events == []


def test_what_recovers_is_over_once(project, declared, promise):
    promise(value=0.55)
    served(project, declared, 0, right=60, wrong=140)
    assert [one["action"] for one in watch(project, declared, days(2)).new] == ["noticed"]
    served(project, declared, 2, right=2000, wrong=0)
    watched = [watch(project, declared, days(day)).new for day in (4, 5)]
    assert [len(new) for new in watched] in ([1, 0], [0, 0])
    assert all(one["action"] == "over" for new in watched for one in new)


def test_a_promise_under_other_rules_is_read_anew(project, declared):
    lines = ledger.of(project).lines("shop")
    other = replace(declared, raw=declared.raw | {"promote": declared.raw["promote"] | {"margin": 0.02}})
    keys = {promised._key(Look(project, one, days(1), lines)) for one in (declared, other)}
    assert len(keys) == 2
