"""dvc.lock is written as DVC writes it, and a kill leaves the old one."""

import tempfile
from collections import OrderedDict
from pathlib import Path

import pytest
from dvc.utils.serialize import loads_yaml, modify_yaml

from flows.graph import lock_writer
from tests.support.world import ROOT

LOCK = (ROOT / "dvc.lock").read_text(encoding="utf-8")
ENTRY = OrderedDict(cmd="python", deps=[OrderedDict(path="a: b", hash="md5", md5="0" * 32, size=3)])
SHORT = "schema: '2.0'\nstages:\n  one@x:\n    cmd: a\n  two@x:\n    cmd: b\n"


def changed(stages):
    stages["train@digits"]["params"]["models/digits.yaml"]["train"]["epochs"] = 31


CHANGES = {
    "nothing": (LOCK, lambda stages: None),
    "one entry": (LOCK, changed),
    "a new entry": (LOCK, lambda stages: stages.update({"ingest@new model": ENTRY})),
    "one fewer": (LOCK, lambda stages: stages.pop("ingest@digits")),
    "all other": (SHORT, lambda stages: stages.update({"two@x": ENTRY, "one@x": {"cmd": "c"}})),
    "a form of its own": ("schema: '2.0'\nstages: {one@x: {cmd: a}}\n", lambda stages: stages.update({"two@x": ENTRY})),
    "nothing yet": ("schema: '2.0'\nstages: {}\n", lambda stages: stages.update({"one@x": ENTRY})),
}


@pytest.fixture
def path(tmp_path):
    (tmp_path / ".dvc" / "tmp").mkdir(parents=True)
    return tmp_path / "dvc.lock"


@pytest.mark.parametrize("change", CHANGES)
def test_dvc_lock_is_written_as_dvc_writes_it(path, tmp_path, change):
    text, edit = CHANGES[change]
    reference = tmp_path / "reference.lock"
    for file, modify in ((reference, modify_yaml), (path, lock_writer.modified)):
        file.write_text(text)
        with modify(str(file)) as content:
            edit(content["stages"])
    assert loads_yaml(path.read_text()) == loads_yaml(reference.read_text())
    if "own" not in change:  # DVC keeps the form that it finds, of which ours makes its usual one
        assert path.read_text() == reference.read_text()


def test_what_stands_beside_the_stages_is_written_too(path):
    path.write_text(SHORT)
    with lock_writer.modified(str(path)) as content:
        content["datasets"] = [{"name": "x"}]
    assert loads_yaml(path.read_text()) == loads_yaml(SHORT) | {"datasets": [{"name": "x"}]}


def test_a_file_that_is_not_there_is_made(path):
    with lock_writer.modified(str(path)) as content:
        content.update({"schema": "2.0", "stages": {"one@x": {"cmd": "a"}}})
    assert path.read_text() == "schema: '2.0'\nstages:\n  one@x:\n    cmd: a\n"


def test_where_dvcs_folder_is_on_another_disk_it_is_written_all_the_same(path):
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == path.parent.stat().st_dev:
        pytest.skip("there is no second disk at /dev/shm")
    with tempfile.TemporaryDirectory(dir=elsewhere) as folder:
        own = path.parent / ".dvc" / "tmp"
        own.rmdir()
        own.symlink_to(folder)
        with lock_writer.modified(str(path)) as content:
            content.update({"schema": "2.0", "stages": {"one@x": {"cmd": "a"}}})
    assert path.read_text() == "schema: '2.0'\nstages:\n  one@x:\n    cmd: a\n"
    assert [file.name for file in path.parent.iterdir() if file.name != ".dvc"] == [path.name]


def test_what_fails_halfway_leaves_the_file_as_it_was(path):
    path.write_text(SHORT)
    modifying = lock_writer.modified(str(path))
    modifying.__enter__()["stages"].clear()
    assert modifying.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None) is False
    assert path.read_text() == SHORT
