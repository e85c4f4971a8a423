"""An event is said once when it begins and once when it is over, however often and by however many it is seen."""

import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from flows.monitoring.events import NOTICED, OVER, Event, Found, open_now, record, told, word
from flows.records.champion_state import stand
from flows.records.ledger import Ledger, Line, broken


def book(tmp_path, name="ledger"):
    return Ledger(f"sqlite:///{tmp_path}/{name}.db")


def drift(column="age", said="age has drifted", day="2026-11-29"):
    return Event("drift", column, said, day, {"distance": 0.3})


def actions(found):
    return [(line.action, line.facts["subject"]) for line in found]


def test_what_is_seen_twice_is_said_once(tmp_path):
    there = book(tmp_path)
    assert actions(record(there, "pets", Found([drift(), drift("weight")]))) == [(NOTICED, "age"), (NOTICED, "weight")]
    assert record(there, "pets", Found([drift(day="2026-11-30"), drift("weight")])) == []
    assert [key[1] for key in open_now(there.lines("pets"))] == ["age", "weight"]


def test_what_is_over_is_said_once_with_the_line_that_began_it(tmp_path):
    there = book(tmp_path)
    record(there, "pets", Found([drift()]))
    ended = Found(gone=[drift(said="age is as it was"), drift("weight")])
    (line,) = record(there, "pets", ended)
    assert (line.action, line.reason, line.facts["line"]) == (OVER, "age is as it was", 1)
    assert record(there, "pets", ended) == []
    assert open_now(there.lines("pets")) == {}


def test_what_is_not_looked_at_stays_open(tmp_path):
    there = book(tmp_path)
    record(there, "pets", Found([drift()]))
    assert record(there, "pets", Found()) == []
    assert list(open_now(there.lines("pets"))) == [("drift", "age")]


def test_it_may_be_over_and_begin_again_at_once(tmp_path):
    """As with the quality of a champion that is replaced by one that is worse too."""
    there = book(tmp_path)
    record(there, "pets", Found([drift()]))
    again = Found([drift(said="age drifts against the new rows")], [drift(said="version 2 is champion now")])
    assert actions(record(there, "pets", again)) == [(OVER, "age"), (NOTICED, "age")]


def test_no_event_moves_a_champion(tmp_path):
    there = book(tmp_path)
    there.append(None, Line("pets", 0, "accepted", 1, None, 1, 1, "first", '{"model_hash": "m"}'))
    record(there, "pets", Found([drift()]))
    lines = there.lines("pets")
    assert (lines[1].version, lines[1].actor) == (1, "monitor")
    assert (stand(lines).champion, stand(lines).moved, broken(lines)) == (1, lines[0], "")
    assert told(lines[1]) == {
        "action": NOTICED,
        "kind": "drift",
        "subject": "age",
        "day": "2026-11-29",
        "figures": {"distance": 0.3},
        "said": "age has drifted",
        "at": lines[1].at,
        "line": 2,
    }


def test_several_that_look_at_once_say_it_once(tmp_path):
    there, found = book(tmp_path), Found([drift(str(number)) for number in range(5)])
    there.lines("pets")
    threads = [threading.Thread(target=record, args=(there, "pets", found)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(actions(there.lines("pets"))) == [(NOTICED, str(number)) for number in range(5)]


@settings(deadline=None, max_examples=10)
@given(looks=st.lists(st.dictionaries(st.sampled_from("abc"), st.booleans()), max_size=5))
def test_what_is_open_is_what_was_seen_last(tmp_path_factory, looks):
    there, last = book(tmp_path_factory.mktemp("ledger")), {}
    for look in looks:
        seen = Found([drift(name) for name in look if look[name]], [drift(name) for name in look if not look[name]])
        record(there, "pets", seen)
        last |= look
    lines = there.lines("pets")
    assert {key[1] for key in open_now(lines)} == {name for name in last if last[name]}
    begun = [one[1] for one in actions(lines) if one[0] == NOTICED]
    assert len(begun) - len(actions(lines)) + len(begun) == len(open_now(lines))


def test_one_word_for_the_gravest():
    assert word(["drift", "quality", "labels"]) == "worse"
    assert word([]) == ""
