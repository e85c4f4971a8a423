"""Waits: what a stage waits for is told while it waits, each line once."""

import time

from flows import progress, waits


def test_lines_are_told_as_they_come_and_only_those(tmp_path):
    log, told = tmp_path / "train", []
    log.write_text("waits: for one: waiting\nnote: device: CPU; float32; XLA on\nwaits: not yet whole")
    with waits.followed(log, told.append):
        end = time.monotonic() + 5
        while told != ["for one: waiting"]:
            assert time.monotonic() < end, told
            time.sleep(0.02)
        with log.open("a") as file:
            file.write(" line\nwaits: for another: waiting\n")
        while len(told) < 3:
            assert time.monotonic() < end, told
            time.sleep(0.02)
    assert told == ["for one: waiting", "not yet whole line", "for another: waiting"]
    assert progress.notes(log) == "device: CPU; float32; XLA on"
    assert progress.device(log) == {"ratchet.device": "CPU; float32; XLA on"}
    assert progress.device(tmp_path / "none") == {}
