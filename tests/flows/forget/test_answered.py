"""The log, the unseen answers and the labels lose a person's rows, open files and closed ones, beside a server."""

import threading
import time
from dataclasses import replace
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.forget import wanted
from flows.forget.places import answered
from flows.forget.source_rows import Held
from flows.labels import store
from flows.serving.log import closing, reading
from flows.serving.log.writer import Log
from pipelines.errors import BusyError
from tests.flows.forget.conftest import HEADER, arrive, declare, held_of
from tests.support.served.answered import EVER, KEY, NOON, version, write

ROWS = [{"person": who, "age": age, "city": "x"} for who, age in (("ann", 30), ("bob", 31), ("ann", 32), (None, 33))]
NAMES = ["a", "b", "c", "d"]


def log(world, kind="answers", rows=ROWS, at=NOON, close=True) -> Log:
    found = Log(world.state / kind, 0, KEY)
    assert write(found, rows, replace(version(), model="people"), at, names=NAMES)
    if close:
        found.close()
    return found


def kept(world, kind="answers") -> list[str]:
    with reading.AnsweredRows(world.state / kind, "people", *EVER) as found:
        return [row["id"] for batch in found.batches() for row in batch.to_pylist()]


def remove(world, declared, *keys, held=None) -> dict[str, int]:
    found = answered.look(world, declared, wanted.of(declared, keys, []), held or Held())
    for one in found:
        one.do()
    return {one.place: one.rows for one in found}


@pytest.mark.parametrize("closed", [False, True])
def test_rows_go_and_the_others_stay(world, declared, closed):
    log(world)
    if closed:
        closing.close_all(world.state / "answers", date(2026, 11, 30))
    assert remove(world, declared, "ann") == {"answers": 2}
    assert kept(world) == ["b", "d"]
    assert remove(world, declared, "ann") == {}


def test_what_nobody_saw_goes_by_the_id_of_the_answer(world, declared):
    log(world)
    log(world, "shadow", [{}] * 4)
    assert remove(world, declared, "ann") == {"shadow answers": 2, "answers": 2}
    assert kept(world, "shadow") == ["b", "d"]


def test_without_a_key_in_the_log_all_columns_have_to_be_those_of_a_row(world, declared):
    arrive(world, "a.csv", f"{HEADER}\nann,1,30,x,yes\nbob,2,31,y,no\ncyd,3,31,y,no\n")
    rows = [{"number": n, "age": age, "city": city} for n, age, city in ((1, "30.0", "x"), (2, 31, "y"), (1, 30, None))]
    log(world, rows=[*rows, {}])
    _, held = held_of(world, declared, "ann")
    assert remove(world, declared, "ann", held=held) == {"answers": 1}
    assert kept(world) == ["b", "c", "d"]


@pytest.mark.parametrize("by", ["id", "key"])
def test_labels_go_by_the_id_or_the_key(world, by):
    declared = declare(labels={"key": ["person"]} if by == "key" else {})
    log(world)
    rows = [{"person": "ann"}, {"person": "bob"}] if by == "key" else [{"id": "a"}, {"id": "b"}]
    table = pa.Table.from_pylist([row | {"label": "yes"} for row in rows])
    store.add(world.state, declared, table, taken=datetime(2026, 12, 1, tzinfo=UTC))
    held = Held(events=wanted.of(declared, ["ann"], []).events(declared.labels.key))
    assert remove(world, declared, "ann", held=held)["labels"] == 1
    (part,) = store.parts(world.state, "people")
    assert len(store.read(declared, [part])) == 1
    assert pq.read_schema(part.path).metadata[b"format"] == b"1"
    remove(world, declared, "bob", held=Held(events=wanted.of(declared, ["bob"], []).events(declared.labels.key)))
    assert store.parts(world.state, "people") == []


def test_a_server_that_writes_goes_on_in_another_file(world, declared):
    server = log(world, close=False)
    done = threading.Event()

    def turning() -> None:
        while not done.wait(0.05):
            server._models["people"].turn(NOON.date())

    keeper = threading.Thread(target=turning)
    keeper.start()
    try:
        assert remove(world, declared, "ann") == {"answers": 2}
        assert kept(world) == ["b", "d"]
        assert write(server, [{"person": "eve"}], replace(version(), model="people"), NOON, names=["e"])
        assert sorted(kept(world)) == ["b", "d", "e"]
        time.sleep(0.2)  # the same wish does not end the next file too
        assert write(server, [{"person": "eve"}], replace(version(), model="people"), NOON, names=["f"])
        assert len(list((world.state / "answers" / "people" / "open").glob("*.jsonl"))) == 2
    finally:
        done.set()
        keeper.join()
        server.close()


def test_a_server_that_does_not_let_go_is_named(world, declared, monkeypatch):
    monkeypatch.setattr(answered, "PATIENCE", 0.1)
    server = log(world, close=False)
    with pytest.raises(BusyError, match=r"A server still writes.*ratchet down"):
        remove(world, declared, "ann")
    assert kept(world) == NAMES
    server.close()
