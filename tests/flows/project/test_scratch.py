"""Scratch folders: gone with their block, or with the next one when their process was killed."""

import os
import subprocess
import sys

import pytest

from flows.project import scratch


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(scratch.tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_is_gone_with_its_block_however_that_ends(place):
    def use() -> None:
        with scratch.folder("trial") as folder:
            (folder / "file").touch()
            assert folder.parent == place
            raise KeyError

    with pytest.raises(KeyError):
        use()
    assert not list(place.iterdir())


def test_the_folder_of_a_process_that_was_killed_is_gone_with_the_next_one(place):
    code = "import os, signal; from flows.project import scratch; held = scratch.folder('warm'); held.__enter__(); "
    killed = subprocess.Popen(
        [sys.executable, "-c", f"{code}os.kill(os.getpid(), signal.SIGKILL)"], env=os.environ | {"TMPDIR": str(place)}
    )
    killed.wait()
    (left,) = place.iterdir()
    alive, foreign = place / f"ratchet-warm-{os.getppid()}-abc", place / "ratchet-warm-abc"
    for other in (alive, foreign):
        other.mkdir()
    with scratch.folder("warm") as folder:
        assert folder.exists()
        assert not left.exists()
    assert sorted(place.iterdir()) == sorted([alive, foreign])
