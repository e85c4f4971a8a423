"""The ledger: only added to, every line chained to the one before, and one number given once."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from flows.records.champion_state import stand
from flows.records.ledger import FIRST, Conflict, Ledger, Line, broken
from pipelines.errors import RatchetError
from pipelines.table import row_sample
from tests.support.clone import ROOT, environment
from tests.support.world import PATIENCE


@pytest.fixture(params=["sqlite", "postgresql"])
def book(request, tmp_path) -> Iterator[Ledger]:
    """An empty ledger. The one on PostgreSQL needs a database that may be emptied."""
    if request.param == "sqlite":
        yield Ledger(f"sqlite:///{tmp_path}/ledger.db")
        return
    if not (url := os.environ.get("RATCHET_TEST_POSTGRES")):
        pytest.skip("RATCHET_TEST_POSTGRES names no database, such as postgresql+psycopg://me@127.0.0.1/test")
    alter(url, "DROP TABLE IF EXISTS ratchet_ledger")
    yield Ledger(url)
    alter(url, "DROP TABLE IF EXISTS ratchet_ledger")


def alter(url: str, statement: str) -> None:
    """What nobody may do to a ledger."""
    with create_engine(url, poolclass=NullPool).begin() as connection:
        connection.execute(text(statement))


def line(
    action: str, version: int, before: int | None, after: int | None, reference: int | None = None, **facts
) -> Line:
    return Line("pets", 0, action, version, before, after, reference or after, "a reason", json.dumps(facts))


def write(book: Ledger, *lines: Line) -> list[Line]:
    for entry in lines:
        there = book.lines(entry.model)
        book.append(there[-1] if there else None, entry)
    return book.lines(lines[0].model)


TWO = (line("accepted", 1, None, 1), line("accepted", 2, 1, 2))


def test_lines_are_numbered_chained_dated_and_signed(book):
    first, second = write(book, *TWO)
    assert (first.sequence, second.sequence) == (1, 2)
    assert (first.previous, second.previous) == (FIRST, first.hash)
    assert first.at <= second.at
    assert first.at.endswith("+00:00")
    assert "@" in first.actor
    assert broken([first, second]) == ""


def test_a_clock_that_was_put_back_does_not_turn_history_round(book):
    ahead = Line("pets", 1, "accepted", 1, None, 1, 1, "", at="2999-01-01T00:00:00+00:00").sealed()
    assert book.append(ahead, TWO[1]).at == ahead.at


def test_each_model_has_its_own_lines(book):
    write(book, *TWO)
    other = Line("birds", 0, "accepted", 1, None, 1, 1, "")
    assert [entry.sequence for entry in write(book, other)] == [1]
    assert len(book.lines("pets")) == 2


def test_a_number_is_given_once(book):
    first = write(book, TWO[0])[0]
    book.append(first, TWO[1])
    with pytest.raises(Conflict):
        book.append(first, TWO[1])
    assert len(book.lines("pets")) == 2


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE ratchet_ledger SET reason = 'another' WHERE sequence = 2", "line 2 was changed"),
        ("UPDATE ratchet_ledger SET to_version = 9 WHERE sequence = 1", "line 1 was changed"),
        ("UPDATE ratchet_ledger SET at = '2020-01-01' WHERE sequence = 3", "line 3 was changed"),
        ("DELETE FROM ratchet_ledger WHERE sequence = 2", "line 2 is missing"),
        ("DELETE FROM ratchet_ledger WHERE sequence = 1", "line 1 is missing"),
    ],
)
def test_a_line_that_was_changed_or_taken_out_is_noticed(book, statement, words):
    write(book, *TWO, line("rejected", 3, 2, 2))
    alter(book.url, statement)
    assert words in broken(book.lines("pets"))


def test_a_line_that_was_forged_with_a_hash_of_its_own_breaks_the_next_one(book):
    lines = write(book, *TWO)
    forged = Line(**{**vars(lines[0]), "reason": "another"}).sealed()
    assert broken([forged]) == ""
    assert "line 2 does not follow" in broken([forged, lines[1]])


def test_many_processes_at_once_lose_nothing_and_break_nothing(book):
    code = (
        "import sys\nfrom flows.records.ledger import Conflict, Ledger, Line\n"
        "book = Ledger(sys.argv[1])\n"
        "for number in range(10):\n"
        "    while True:\n"
        "        there = book.lines('pets')\n"
        "        line = Line('pets', 0, 'rejected', 1, 1, 1, 1, sys.argv[2])\n"
        "        try: book.append(there[-1] if there else None, line); break\n"
        "        except Conflict: pass\n"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, book.url, str(name)], cwd=ROOT, env=environment())
        for name in range(4)
    ]
    assert [process.wait(timeout=PATIENCE) for process in running] == [0] * 4
    lines = book.lines("pets")
    assert broken(lines) == ""
    assert sorted(entry.reason for entry in lines) == sorted("0123" * 10)


def test_one_process_at_a_time_is_alone_and_a_killed_one_makes_room(book):
    code = (
        "import sys, time\nfrom flows.records.ledger import Ledger\n"
        "with Ledger(sys.argv[1]).alone('pets'):\n"
        "    print('in', flush=True)\n"
        "    time.sleep(3600)\n"
    )
    write(book, *TWO)
    command = [sys.executable, "-c", code, book.url]
    holder = subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True)
    entered: list[int] = []

    def enter() -> None:
        with book.alone("pets") as lines:
            entered.append(len(lines))

    try:
        assert holder.stdout.readline() == "in\n"
        assert len(book.lines("pets")) == 2  # readers do not wait
        waiting = threading.Thread(target=enter)
        waiting.start()
        waiting.join(timeout=0.5)
        assert entered == []
    finally:
        holder.kill()
        holder.communicate()
    waiting.join(timeout=PATIENCE)
    assert entered == [2]


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all/ledger.db", "postgresql+no://me:secret@127.0.0.1/ratchet"])
def test_a_ledger_that_cannot_be_used_is_told_without_its_password(url):
    with pytest.raises(RatchetError, match=r"The ledger .* cannot be used now: .* Nothing was decided") as told:
        Ledger(url).lines("pets")
    assert "secret" not in str(told.value)
    assert "secret" not in Ledger(url).told()


# ------------------------------------------------------------------ where a model stands


def test_seats_veto_and_hold(book):
    lines = write(
        book,
        *TWO,
        line("rejected", 3, 2, 2),
        line("rolled back", 2, 2, 1, hold=True),
    )
    now = stand(lines)
    assert (now.champion, set(now.vetoed), now.held) == (1, {2}, lines[-1])
    assert stand(lines[:3]).champion == 2
    after = stand(write(book, line("promoted", 2, 1, 2)))
    assert (after.champion, after.vetoed, after.held) == (2, {}, None)
    assert [seat.version for seat in after.seats] == [1, 2]


def test_a_not_worse_champion_leaves_the_reference_where_it_was(book):
    chain = [line("accepted", number, number - 1, number, reference=1) for number in (2, 3, 4)]
    now = stand(write(book, TWO[0], *chain))
    assert (now.champion, now.reference) == (4, 1)
    assert stand(write(book, line("accepted", 5, 4, 5))).reference == 5
    assert stand(write(book, line("rolled back", 5, 5, 4, reference=1))).reference == 1


def test_uses_of_test_rows_are_counted_since_the_last_promotion_and_since_the_reference(book):
    rows = row_sample.of(["a", "b"]).content()
    judged = {"compared_with": 1, "test_rows": rows}
    lines = write(
        book,
        line("accepted", 1, None, 1, test_rows=rows),
        line("rejected", 2, 1, 1, **judged),
        line("seen", None, 1, 1, test_rows=rows),
        line("accepted", 3, 1, 3, **judged),
        line("undecided", 4, 3, 3),
    )
    now = stand(lines)
    assert [(use.line, use.promoted, use.rows is None) for use in now.uses] == [
        (1, True, False),
        (2, False, False),
        (3, False, False),
        (4, True, False),
        (5, False, True),
    ]
    assert now.promoted_at == 4


@given(st.lists(st.sampled_from(["accept", "back", "by hand", "reject"]), max_size=25))
def test_whatever_happens_the_champion_is_the_last_line_that_moved(steps):
    lines: list[Line] = []
    version = 0
    for number, step in enumerate(steps, 1):
        now = stand(lines)
        if step == "back":
            if len(now.seats) < 2:
                continue
            entry = line("rolled back", now.champion, now.champion, now.seats[-2].version)
        else:
            version += 1
            action = {"accept": "accepted", "by hand": "promoted", "reject": "rejected"}[step]
            entry = line(action, version, now.champion, now.champion if step == "reject" else version)
        lines.append(Line(**{**vars(entry), "sequence": number, "at": f"2026-01-01T00:00:{number:02}+00:00"}))
    expected = lines[-1].to_version if lines else None
    assert stand(lines).champion == expected
