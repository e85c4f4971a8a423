"""What a stage waits for is told while it waits, each line once."""

import time

from flows.processes import log_watch, watch
from flows.report import progress
from tests.support.world import until


def test_what_comes_at_the_end_is_not_told_as_nobody_waits_any_more(tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "EVERY", 0.5)
    log, told = tmp_path / "train", []
    with log_watch.followed(log, told.append):
        log.write_text("waits: for one: waiting\n")
    assert told == []


def test_a_log_may_come_later_and_hold_bytes_that_are_no_text(tmp_path):
    log, told = tmp_path / "train", []
    with log_watch.followed(log, told.append):
        time.sleep(2 * watch.EVERY)
        log.write_bytes(b"\xff\xfe\nwaits: for one: waiting\n")
        until(lambda: told)
    assert told == ["for one: waiting"]


def test_lines_are_told_as_they_come_and_only_those(tmp_path):
    log, told = tmp_path / "train", []
    log.write_text("waits: for one: waiting\nnote: device: CPU; float32; XLA on\nwaits: not yet whole")
    with log_watch.followed(log, told.append):
        until(lambda: told == ["for one: waiting"], lambda: told)
        with log.open("a") as file:
            file.write(" line\nwaits: for another: waiting\n")
        until(lambda: len(told) >= 3, lambda: told)
    assert told == ["for one: waiting", "not yet whole line", "for another: waiting"]
    assert progress.notes(log) == "device: CPU; float32; XLA on"
    assert progress.device(log) == {"ratchet.device": "CPU; float32; XLA on"}
    assert progress.device(tmp_path / "none") == {}
