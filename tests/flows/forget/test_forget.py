"""What cannot be written without a row is said, and nothing learns from it again by itself."""

import numpy as np
import pytest

from flows.cli.commands.storage import forget as command
from flows.forget import forget, source_rows, wanted
from flows.forget.forget import Plan
from flows.forget.traces import Traces
from pipelines import model_file
from tests.flows.forget.conftest import SECTIONS, arrive

PICTURES = {
    "data": {"kind": "image", "task": "classification", "target": "label", "shape": [2, 2, 1]},
    "ingest": {"source": "data/incoming/people/", "ignore": ["split"]},
    "clean": {"split": {"by": "hash", "seed": 1}},
}


def test_an_archive_of_numpy_keeps_its_rows_and_that_is_said(world):
    declared = model_file.of("people", SECTIONS | PICTURES)
    path = arrive(world, "drawn.npz", "")
    images = np.arange(24, dtype=np.uint8).reshape(6, 2, 2)
    np.savez(path, x_train=images[:4], y_train=np.arange(4) % 2, x_test=images[4:], y_test=np.arange(2))
    before = path.read_bytes()
    _, typed = next(source_rows.rows_of(path, path.parent, declared))
    who = wanted.of(declared, [], [f"row_id={typed['row_id'][1].as_py()}"])
    held = source_rows.look(world, declared, who, [])
    plan = Plan(held)
    removals = forget._of_sources(world, declared, who, held, Traces(held.row_ids), plan)
    assert {one.place for one in removals} <= {"pinned files"}
    assert plan.unwritten == ["data/incoming/people/drawn.npz"]
    (said,) = plan.left
    assert "keeps 1 row" in said
    assert "write it anew without them" in said
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("unwritten", "dry_run", "error", "failed"),
    [([], False, "", False), (["a.npz"], False, "", True), (["a.npz"], True, "", False), ([], False, "broken", True)],
)
def test_the_exit_status_says_whether_something_is_still_to_be_done(unwritten, dry_run, error, failed):
    found = {"unwritten": unwritten, "dry_run": dry_run, "retrained": {"error": error} if error else {}}
    assert command._failed(found) is failed


def test_nothing_is_retrained_while_a_source_keeps_the_rows(monkeypatch):
    found = {"champion_learned": True, "unwritten": ["a.npz"]}
    monkeypatch.setattr(forget, "forget", lambda *_: found)
    request = forget.Request("people")
    assert command.do_forget(None, request, False, True, True)["retrained"] == {}
