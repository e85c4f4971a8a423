"""A typing error is refused before a run begins: neither `ratchet status` nor Prefect shows one."""

import sqlite3
from pathlib import Path

import pytest

from tests.support import golden
from tests.support.clone import ratchet


def traces(root: Path) -> tuple[bytes, int]:
    """The lines of the attempts, and how many flow runs Prefect has."""
    (database,) = (root / ".ratchet" / "prefect").glob("*.db")
    with sqlite3.connect(database) as connection:
        ((count,),) = connection.execute("select count(*) from flow_run")
    return (root / ".ratchet" / "ticks" / "shop.jsonl").read_bytes(), count


@pytest.mark.long
@pytest.mark.parametrize("word", ["zz", "abcd1234"])
def test_data_that_nobody_has_leave_no_trace(tmp_path, word):
    golden.shop(tmp_path)
    before = traces(tmp_path)
    done = ratchet(tmp_path, "run", "shop", "--data", word)
    assert done.returncode == 2, done.stderr
    assert word in done.stderr
    assert traces(tmp_path) == before
