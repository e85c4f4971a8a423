"""A file replaced under its own name is a new version of the data; its lost rows are counted, and limited."""

import gzip
import hashlib
import os
import time

import pytest

from flows.data import refresh
from flows.data.arrivals import checksums
from flows.graph import pipeline
from pipelines.errors import DataError
from tests.flows.data.test_refresh import put, settle, shop  # noqa: F401 (a fixture)
from tests.support.clone import edit
from tests.support.world import pets


@pytest.fixture
def stall(shop):  # noqa: F811
    """The shop with 40 pinned rows, in a.csv; the names of the files do not matter to the rows."""
    put(shop.incoming / "a.csv")
    shop.refresh()
    return shop


def replace(shop, text: str, name: str = "a.csv") -> None:  # noqa: F811
    (shop.incoming / name).write_text(text)
    settle(shop.incoming / name)


def lines(shop) -> list[str]:  # noqa: F811
    return (shop.incoming / "a.csv").read_text().splitlines(keepends=True)


def reordered(head, rows):
    return [head, *reversed(rows)]


def one_less(head, rows):
    return [head, *rows[1:]]


def one_corrected(head, rows):
    return [head, rows[0].replace(rows[0].split(",")[0], "77", 1), *rows[1:]]


def another_column(head, rows):
    return [head.replace("\n", ",note\n"), *(row.replace("\n", ",x\n") for row in rows)]


def columns_turned(head, rows):
    return [",".join(reversed(row.strip().split(","))) + "\n" for row in (head, *rows)]


@pytest.mark.parametrize(
    ("change", "lost"),
    [(reordered, 0), (one_less, 1), (one_corrected, 1), (columns_turned, 0)],
)
def test_a_replaced_file_is_a_new_version_and_what_is_gone_is_said(stall, change, lost):
    head, *rows = lines(stall)
    replace(stall, "".join(change(head, rows)))
    state, said = stall.refresh()
    assert state == "Ran"
    assert ("1 row of the version before is gone (2.5 %): `ratchet data pets --diff" in said) == bool(lost)
    assert stall.pinned() == {"a.csv": (stall.incoming / "a.csv").read_bytes()}
    assert stall.refresh()[0] == "Unchanged"


def test_other_columns_cannot_be_compared_and_are_left_to_ingest(stall):
    """The columns that are not declared make `ingest` refuse them, in its own words."""
    head, *rows = lines(stall)
    replace(stall, "".join(another_column(head, rows)))
    assert "cannot be compared" in stall.refresh()[1]
    replace(stall, "".join(another_column(head, rows[:10])))
    with pytest.raises(DataError, match="has lost 30 of 40"):
        stall.refresh()


def test_the_same_row_twice_counts_twice(stall):
    head, *rows = lines(stall)
    replace(stall, "".join([head, *rows, rows[0], rows[0]]))
    stall.refresh()
    replace(stall, "".join([head, *rows]))
    assert "2 rows of the version before are gone (4.76 %)" in stall.refresh()[1]


@pytest.mark.parametrize("share", ["0.5", "0.49", "0", "1"])
def test_the_model_says_how_many_may_go(stall, share):
    edit(stall.root / "models/pets.yaml", "data/incoming/pets/", f"data/incoming/pets/\n  may_lose: {share}")
    head, *rows = lines(stall)
    replace(stall, "".join([head, *rows[:20]]))
    if float(share) >= 0.5:
        assert "20 rows of the version before are gone (50 %)" in stall.refresh()[1]
        return
    with pytest.raises(DataError, match=r"lost 20 of 40 pinned rows \(50 %\).*write `may_lose: 0.5` under `ingest:`"):
        stall.refresh()
    with pipeline.Graph(stall.project, "pets") as graph:
        record = refresh.records(graph)
    assert "may_lose" not in "".join(record.values())
    assert len(stall.pinned()["a.csv"].splitlines()) == 41


def test_rows_that_moved_to_another_file_are_not_lost(stall):
    (stall.incoming / "a.csv").rename(stall.incoming / "b.csv")
    said = stall.refresh()[1]
    assert "gone" not in said
    text = (stall.incoming / "b.csv").read_text()
    (stall.incoming / "b.csv").unlink()
    with gzip.open(stall.incoming / "b.csv.gz", "wt") as file:
        file.write(text)
    settle(stall.incoming / "b.csv.gz")
    state, said = stall.refresh()
    assert state == "Ran"
    assert "gone" not in said


def test_a_gzipped_file_grows_and_is_replaced(stall):
    head, *rows = lines(stall)
    (stall.incoming / "a.csv").unlink()
    for text, words in ((rows, ""), ([*rows, rows[0]], ""), (rows[:-2], "3 rows of the version before are gone")):
        (stall.incoming / "a.csv.gz").write_bytes(gzip.compress("".join([head, *text]).encode()))
        settle(stall.incoming / "a.csv.gz")
        said = stall.refresh()[1]
        assert words in said
        assert words or "gone" not in said


@pytest.mark.parametrize("text", ["", "weight,age,col"])
def test_a_pinned_file_that_is_not_whole_waits_and_the_pin_stays(stall, text):
    before = stall.pinned()
    replace(stall, text)
    os.utime(stall.incoming / "a.csv", (time.time() - 5,) * 2)  # it has not rested yet
    put(stall.incoming / "b.csv", seed=1)
    state, said = stall.refresh()
    assert state == "Unchanged"
    assert "the pinned version stays; a.csv is" in said
    assert stall.pinned() == before


def test_the_sum_of_ratchet_new_is_about_its_own_copy_and_a_person_s_is_about_any(shop):  # noqa: F811
    path = put(shop.incoming / "a.csv")
    path.write_bytes(path.read_bytes().rstrip())  # only its sum says that it is whole
    sums, digest = shop.incoming / "a.csv.sha256", hashlib.sha256(path.read_bytes()).hexdigest()
    sums.write_text(checksums.ours(digest, "a.csv"))
    settle(path)
    assert shop.refresh()[0] == "Ran"
    settle(path)
    assert "nothing new" in shop.refresh()[1]
    frame = pets(40).iloc[1:]
    frame.to_csv(path, index=False)
    settle(path)
    assert "1 row of the version before is gone" in shop.refresh()[1]
    sums.write_text(f"{digest}  a.csv\n")
    frame.iloc[1:].to_csv(path, index=False)
    settle(path)
    state, said = shop.refresh()
    assert (state, "a.csv does not match a.csv.sha256" in said) == ("Unchanged", True)
