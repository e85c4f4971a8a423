"""A version waits for persons, by the lines of the ledger alone."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.records.champion_state import stand
from flows.records.ledger import Line
from pipelines.config import settings
from pipelines.errors import SettingsError
from pipelines.sections.promote import Promote

START = datetime(2026, 11, 30, tzinfo=UTC)
RULES = {"by": ["ana", "ben"], "of": 1, "not_own": False, "until": (START + timedelta(days=3)).isoformat()}


def chain(*lines: Line) -> list[Line]:
    """Numbered, an hour apart."""
    return [
        replace(line, sequence=number, at=line.at or (START + timedelta(hours=number - 1)).isoformat())
        for number, line in enumerate(lines, 1)
    ]


def line(action: str, version: int, to: int | None = None, at: str = "", **facts: Any) -> Line:
    return Line("pets", 0, action, version, None, to, to, "so", json.dumps({"looks": []} | facts), at=at)


def waits(version: int, **rules: Any) -> Line:
    return line("waits", version, approval=RULES | {"started_by": ""} | rules)


def approved(version: int, name: str, of: int, at: str = "") -> Line:
    return line("approved", version, at=at, approval_of=of, name=name, how="user")


def waiting(*lines: Line) -> dict[int, Any]:
    return stand(chain(*lines)).approvals.waiting


def test_a_version_waits_until_enough_persons_have_approved():
    one = waiting(waits(1, of=2), approved(1, "ana", 1), approved(1, "ana", 1))[1]
    assert (one.names, one.missing, one.enough, one.others) == (["ana"], 1, False, ["ben"])
    assert waiting(waits(1, of=2), approved(1, "ana", 1), approved(1, "ben", 1))[1].enough


def test_whoever_is_not_named_or_comes_late_does_not_count():
    late = (START + timedelta(days=3, seconds=1)).isoformat()
    one = waiting(waits(1), approved(1, "eve", 1), approved(1, "ben", 1, at=late))[1]
    assert (one.names, one.enough) == ([], False)
    assert one.expired(datetime.fromisoformat(late))
    assert not one.expired(START)


def test_an_approval_of_an_earlier_wait_does_not_count():
    one = waiting(waits(1), line("expired", 1), waits(1), approved(1, "ana", 1))[1]
    assert not one.enough


def test_the_person_who_started_the_run_is_not_the_only_one():
    own = waits(1, not_own=True, started_by="ana")
    one = waiting(own, approved(1, "ana", 1))[1]
    assert (one.names, one.enough, one.others) == (["ana"], False, ["ben"])
    assert waiting(own)[1].others == ["ben"]
    assert waiting(own, approved(1, "ana", 1), approved(1, "ben", 1))[1].enough
    assert waiting(own, approved(1, "ben", 1))[1].enough


@pytest.mark.parametrize(
    "after",
    [
        line("accepted", 2, 2), line("promoted", 2, 2), line("adopted", 2, 2), line("rejected", 1), line("expired", 1),
        line("pruned", 3, versions=[1]), line("undecided", 1),
    ],
)  # fmt: skip
def test_a_move_of_the_champion_and_another_word_about_it_end_the_waiting(after):
    assert waiting(waits(1), after) == {}


@given(st.lists(st.sampled_from(["ana", "ben", "cy", "eve"]), max_size=6), st.integers(1, 3), st.booleans())
def test_it_is_enough_exactly_if_so_many_different_ones_have_and_not_the_starter_alone(names, of, not_own):
    rules = {"by": ["ana", "ben", "cy"], "of": of, "not_own": not_own, "started_by": "ana"}
    one = waiting(waits(1, **rules), *(approved(1, name, 1) for name in names))[1]
    allowed = set(names) & {"ana", "ben", "cy"}
    assert one.enough == (len(allowed) >= of and (not not_own or bool(allowed - {"ana"})))


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"by": []}, "by"),
        ({"by": ["ana"], "of": 2}, "`of` asks for 2 persons, and `by` names 1"),
        ({"by": ["ana", "ana"]}, "a name stands twice"),
        ({"by": ["a b"]}, "'a b' is no name"),
        ({"by": ["ana"], "within": "3 days"}, "'3 days' is no length of time; write 90m, 12h or 3d"),
    ],
)
def test_rules_that_nobody_can_meet_are_refused(rules, said):
    with pytest.raises(SettingsError, match=said):
        settings.parse("pets", "promote", {"metric": "accuracy", "approval": rules}, Promote)
