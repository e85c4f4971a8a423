"""Which versions a prune may never delete, for any ledger."""

import json

from hypothesis import given
from hypothesis import strategies as st

from flows.prune.retention import RECENT, needed
from flows.records.champion_state import Standing, stand
from flows.records.ledger import Line

VERSIONS = range(1, 41)
numbers = st.integers(1, 40)


def line(action: str, version: int | None, before: int | None, after: int | None, reference: int | None) -> Line:
    evidence = json.dumps({"versions": []} if action == "pruned" else {})
    return Line("pets", 0, action, version, before, after, reference, "", evidence)


def accepted(version: int, before: int | None, reference: int | None = None) -> Line:
    return line("accepted", version, before, version, reference or version)


def rejected(version: int, champion: int, reference: int | None = None) -> Line:
    return line("rejected", version, champion, champion, reference or champion)


@st.composite
def ledgers(draw: st.DrawFn) -> list[Line]:
    """Lines as gate and people write them, one after the other."""
    lines: list[Line] = []
    standing = Standing()
    for _ in range(draw(st.integers(0, 60))):
        kind = draw(
            st.sampled_from(["accepted", "rejected", "promoted", "adopted", "rolled back", "refused", "pruned"])
        )
        version, now, reference = draw(numbers), standing.champion, standing.reference
        if kind == "accepted":
            new = line(kind, version, now, version, draw(st.sampled_from([version, reference or version])))
        elif kind in ("promoted", "adopted"):
            new = line(kind, version, now, version, version)
        elif kind == "rolled back":
            if len(standing.seats) < 2:
                continue
            back = standing.seats[-2]
            new = line(kind, now, now, back.version, back.reference)
        else:
            new = line(kind, None if kind == "pruned" else version, now, now, reference)
        lines.append(new)
        standing.read(new)
    return lines


def named(lines: list[Line]) -> set[int]:
    counted = [entry for entry in lines if entry.action != "pruned"][-10:]
    return {
        number
        for entry in counted
        for number in (entry.version, entry.from_version, entry.to_version, entry.reference)
        if number is not None
    }


@given(ledgers(), st.sets(numbers, min_size=1), st.sets(numbers), st.sets(numbers))
def test_what_must_stay_stays_and_nothing_that_is_not_there(lines, versions, aliased, unfinished):
    stays, standing = needed(lines, versions, aliased, unfinished), stand(lines)
    must = named(lines) | aliased | unfinished | {max(versions)} | set(standing.vetoed)
    must |= {number for number in (standing.champion, standing.reference) if number is not None}
    must |= {
        number for seat in standing.seats if seat.version in named(lines) for number in (seat.version, seat.reference)
    }
    assert stays <= versions
    assert must & versions <= stays


@given(ledgers())
def test_nothing_stays_without_a_reason(lines):
    standing = stand(lines)
    reasons = named(lines) | set(standing.vetoed) | {40}
    reasons |= {number for seat in standing.seats[-2:] for number in (seat.version, seat.reference)}
    reasons |= {seat.reference for seat in standing.seats if seat.version in named(lines)}
    assert needed(lines, VERSIONS, [], []) <= reasons


@given(ledgers())
def test_a_line_of_a_prune_changes_nothing(lines):
    standing = stand(lines)
    after = [*lines, line("pruned", None, standing.champion, standing.champion, standing.reference)]
    assert needed(lines, VERSIONS, [], []) == needed(after, VERSIONS, [], [])


@given(ledgers())
def test_a_prune_leaves_whatever_the_next_rollback_and_the_gate_after_it_need(lines):
    standing = stand(lines)
    stays = needed(lines, VERSIONS, [], [])
    for seat in standing.seats[-2:]:
        assert {seat.version, seat.reference} <= stays


def test_the_last_ten_lines_count_and_the_eleventh_does_not():
    lines = [accepted(1, None), *(rejected(number, 1) for number in range(2, 2 + RECENT + 1))]
    assert needed(lines, range(1, 14), [], []) == {1, *range(3, 14)}


def test_lines_of_prunes_are_not_among_the_ten():
    lines = [accepted(1, None), rejected(2, 1), *(rejected(number, 1) for number in range(3, 3 + RECENT - 1))]
    pruned = [line("pruned", None, 1, 1, 1)] * RECENT
    assert 2 in needed([*lines, *pruned], range(1, 20), [], [])


def test_the_reference_of_a_champion_long_ago_stays_with_it():
    lines = [accepted(1, None), accepted(2, 1, 1), *(rejected(number, 2, 1) for number in range(3, 15))]
    assert {1, 2} <= needed(lines, range(1, 15), [], [])


def test_the_champion_that_a_rollback_goes_back_to_stays_though_no_recent_line_names_it():
    lines = [accepted(1, None), accepted(2, 1), *(rejected(number, 2) for number in range(3, 15))]
    assert needed(lines, range(1, 15), [], []) == {1, 2, *range(5, 15)}


def test_a_champion_that_comes_back_by_a_rollback_brings_its_reference():
    lines = [accepted(1, None), accepted(2, 1, 1), accepted(3, 2), *(rejected(number, 3) for number in range(4, 15))]
    assert {1, 2, 3} <= needed(lines, range(1, 15), [], [])


def test_an_earlier_champion_that_a_recent_line_names_keeps_its_reference():
    lines = [accepted(1, None), accepted(2, 1, 1), accepted(3, 2), accepted(4, 3)]
    lines += [*(rejected(number, 4) for number in range(5, 15)), rejected(2, 4)]
    assert {1, 2, 3, 4} <= needed(lines, range(1, 15), [], [])


def test_a_vetoed_version_stays_or_the_same_model_would_come_back_unknown():
    left = line("rolled back", 2, 2, 1, 1)
    lines = [accepted(1, None), accepted(2, 1), left, *(rejected(number, 1) for number in range(3, 15))]
    assert 2 in needed(lines, range(1, 15), [], [])


def test_without_a_ledger_only_the_newest_an_aliased_and_an_unfinished_one_stay():
    assert needed([], range(1, 7), [2], [4]) == {2, 4, 6}
    assert needed([], [], [], []) == set()


def test_a_version_that_waits_stays_while_the_champion_is_the_one_that_it_was_judged_against():
    waits = line("waits", 2, 1, 1, 1)
    lines = [accepted(1, None), waits, *(rejected(number, 1) for number in range(3, 15))]
    assert 2 in needed(lines, range(1, 15), [], [])
    assert 2 not in needed([*lines, accepted(15, 1)], range(1, 16), [], [])
