"""Reading the log: closed and open files together, whatever their types, and while they are being closed."""

import threading
from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
import pytest

from flows.serving.answer import Answer
from flows.serving.log import closing, reading
from flows.serving.log.writer import Log
from tests.support.served.answered import EVER, KEY, NOON, answered, ids, kept, version, write

TODAY = NOON.date()


def wrote(answers, value, ago: int = 0, answer: Answer | None = None, column: str = "code") -> Log:
    """A log that has one row, which was answered so many days ago."""
    log = Log(answers, 0, KEY)
    assert log.write(answered([{column: value}], version(), answer), [f"{ago}"], NOON - timedelta(days=ago))
    return log


def test_days_are_chosen_by_their_ends(tmp_path):
    for ago in range(4):
        wrote(tmp_path, "x", ago).close()
    closing.close_all(tmp_path, TODAY)
    log = wrote(tmp_path, "x", 1)
    between = kept(tmp_path, TODAY - timedelta(days=2), TODAY - timedelta(days=1))
    assert [row["id"] for row in between] == ["2", "1", "1"]
    log.close()


@pytest.mark.parametrize("closed", [0, 1, 2], ids=["both open", "one closed", "both closed"])
@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        (1, 2.5, [1.0, 2.5]),
        (1.0, "x", ["1", "x"]),
        (1.5, "x", ["1.5", "x"]),
        (None, 2.5, [None, 2.5]),
        (None, "x", [None, "x"]),
        (True, 7, ["true", "7"]),
        (None, None, [None, None]),
    ],
)
def test_columns_of_several_files_get_one_type(tmp_path, first, second, wanted, closed):
    for ago, value in ((1, first), (0, second)):
        log = wrote(tmp_path, value, ago)
        log.close()
        if closed == 2 or (closed and ago):
            closing.close_all(tmp_path, TODAY)
    assert [row["row"]["code"] for row in kept(tmp_path)] == wanted


def test_versions_with_other_columns_classes_and_answers_are_read_together(tmp_path):
    wrote(tmp_path, 1, 2, Answer(3, {"3": 1.0}), "old").close()
    closing.close_all(tmp_path, TODAY)
    wrote(tmp_path, 2, 1, Answer("four", {"four": 0.5}, ("new",), time="2026-12-01"), "new").close()
    wrote(tmp_path, 3, 0, Answer(2.5), "new").close()
    found = [{key: row[key] for key in row if key not in ("at", "version", "model_hash")} for row in kept(tmp_path)]
    answers = [("3", 1.0, None, []), ("four", None, 0.5, ["new"]), ("2.5", None, None, [])]
    rows = [{"old": 1.0, "new": None}, {"old": None, "new": 2.0}, {"old": None, "new": 3.0}]
    assert [
        (row["prediction"], row["probability_3"], row["probability_four"], row["unknown"]) for row in found
    ] == answers
    assert [row["row"] for row in found] == rows
    assert found[1]["time"] == "2026-12-01"


def test_the_form_that_answered_is_kept(tmp_path):
    for form, name in (("", "a"), ("int8", "b")):
        log = Log(tmp_path, 0, KEY)
        by = replace(version(), variant=form)
        assert write(log, [{"age": 1}], by, names=[name])
        log.close()
    assert [row.get("served_as") for row in kept(tmp_path)] == [None, "int8"]
    closing.close_all(tmp_path, TODAY + timedelta(days=1))
    assert [row.get("served_as") for row in kept(tmp_path)] == [None, "int8"]


def test_a_log_without_rows_has_columns_all_the_same(tmp_path):
    with reading.AnsweredRows(tmp_path, "shop", *EVER) as found:
        assert list(found.batches()) == []
        assert found.schema.field("at").type == pa.timestamp("us", "UTC")


def test_rows_that_come_while_it_is_read_are_left_to_the_next_reader(tmp_path):
    log = wrote(tmp_path, 1.5)
    with reading.AnsweredRows(tmp_path, "shop", *EVER) as found:
        assert log.write(answered([{"code": "a text now"}], version()), ["later"], NOON)
        assert [row["id"] for batch in found.batches() for row in batch.to_pylist()] == ["0"]
    assert ids(tmp_path) == ["0", "later"]
    log.close()


def test_files_that_are_closed_while_they_are_read_count_once(tmp_path):
    """Forty files are closed one by one, and read all the time."""
    names = []
    for number in range(40):
        log = Log(tmp_path, number, KEY)
        names.append(f"{number}")
        assert log.write(answered([{"code": number}], version()), names[-1:], NOON)
        log.close()
    closer = threading.Thread(target=closing.close_all, args=(tmp_path, TODAY))
    closer.start()
    seen = 0
    while closer.is_alive() or not seen:
        assert sorted(ids(tmp_path)) == sorted(names)
        seen += 1
    closer.join()
    assert sorted(ids(tmp_path)) == sorted(names)
