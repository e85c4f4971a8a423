"""What answers beside the champion follows from the lines of the ledger alone."""

import json

import pytest

from flows.records.beside import Beside
from flows.records.champion_state import Standing, stand
from flows.records.ledger import Line


class Book:
    """Lines of one model, each at an instant of its own."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def add(self, action: str, version: int | None, before: int | None, after: int | None, **facts: object) -> "Book":
        number = len(self.lines) + 1
        line = Line("pets", number, action, version, before, after, after, "why", json.dumps(facts))
        self.lines.append(line if line.at else Line(**(line.__dict__ | {"at": f"2026-11-{number:02}T00:00:00+00:00"})))
        return self

    @property
    def standing(self) -> Standing:
        return stand(self.lines)


@pytest.fixture
def tried():
    """Version 1 is champion, and version 2 its shadow."""
    book = Book().add("accepted", 1, None, 1)
    return book.add("on trial", 2, 1, 1, role="shadow", test_rows=None, model_hash="two")


def test_a_candidate_on_trial_answers_beside_the_champion_who_stays(tried):
    assert tried.standing.champion == 1
    assert tried.standing.beside == Beside(2, "shadow", "2026-11-02T00:00:00+00:00", 2)
    assert tried.standing.verdicts[2].action == "on trial"


def test_a_newer_one_takes_its_place_and_the_next_role_is_a_line_of_its_own(tried):
    tried.add("on trial", 2, 1, 1, role="canary", waited=2)
    assert (tried.standing.beside.role, tried.standing.beside.line) == ("canary", 3)
    tried.add("on trial", 3, 1, 1, role="shadow")
    assert (tried.standing.beside.version, tried.standing.beside.role) == (3, "shadow")


@pytest.mark.parametrize(
    ("action", "version", "after", "facts"),
    [
        ("accepted", 2, 2, {"waited": 2}),
        ("rejected", 2, 1, {"waited": 2}),
        ("undecided", 2, 1, {}),
        ("trial ended", 2, 1, {"role": "shadow"}),
        ("promoted", 1, 1, {}),
        ("promoted", 5, 5, {}),
        ("adopted", 5, 5, {}),
        ("rolled back", 1, None, {}),
        ("pruned", None, 1, {"versions": [2]}),
    ],
)
def test_a_trial_ends(tried, action, version, after, facts):
    assert tried.add(action, version, 1, after, **facts).standing.beside is None


@pytest.mark.parametrize("action", ["rejected", "waits", "seen", "refused", "noticed", "over"])
def test_a_line_about_another_version_or_of_another_kind_ends_no_trial(tried, action):
    assert tried.add(action, 7 if action != "seen" else None, 1, 1).standing.beside.version == 2


def test_the_test_rows_of_a_trial_are_used_once(tried):
    tried.add("on trial", 2, 1, 1, role="canary", waited=2, test_rows=None)
    assert [use.promoted for use in tried.standing.uses] == [True, False]
    tried.add("accepted", 2, 1, 2, waited=2)
    assert [use.promoted for use in tried.standing.uses] == [True, True]


def test_a_candidate_that_fails_live_was_not_promoted(tried):
    tried.add("rejected", 2, 1, 1, waited=2)
    assert [use.promoted for use in tried.standing.uses] == [True, False]


def test_the_champion_before_answers_first_and_a_candidate_after_it(tried):
    book = tried.add("accepted", 2, 1, 2, waited=2, before_rows=2000)
    assert book.standing.beside == Beside(1, "before", "2026-11-03T00:00:00+00:00", 3)
    book.add("on trial", 3, 2, 2, role="shadow")
    assert book.standing.beside.role == "before"
    book.add("trial ended", 1, 2, 2, role="before")
    assert (book.standing.beside.version, book.standing.trials.earlier.version) == (3, 1)


def test_without_that_key_the_champion_before_rests(tried):
    assert tried.add("accepted", 2, 1, 2, waited=2).standing.beside is None


def test_after_a_rollback_nothing_answers_beside(tried):
    book = tried.add("accepted", 2, 1, 2, waited=2, before_rows=9).add("rolled back", 2, 2, 1, hold=False)
    assert (book.standing.champion, book.standing.beside, book.standing.trials.earlier) == (1, None, None)
    assert 2 in book.standing.vetoed


def test_the_first_champion_and_the_same_again_leave_nobody():
    book = Book().add("accepted", 1, None, 1, before_rows=9).add("promoted", 1, 1, 1, before_rows=9)
    assert book.standing.beside is None
