"""Arrivals: only whole files are picked up, and what is known of a file is not read twice."""

import hashlib
import os
import threading
import time

import pytest

from flows import arrivals
from flows.environment import Project
from pipelines import declaration
from pipelines.errors import DataError
from tests.world import pets

TEXT = "weight,age,colour,animal\n5,1,white,cat\n13,2,black,dog\n"


@pytest.fixture
def folder(world):
    found = world.root / "data" / "incoming" / "pets"
    found.mkdir(parents=True)
    (world.root / ".ratchet").mkdir()
    return found


def settle(folder):
    """Make every file old enough to be looked at without waiting."""
    for path in folder.iterdir():
        os.utime(path, (time.time() - 60,) * 2)


def look(world):
    return arrivals.look(Project(world.root, world.root / ".ratchet", "", ""), declaration.check("pets"))


def names(world):
    return [arrival.path.name for arrival in look(world)[0]]


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet", "rows.jsonl", "rows.ndjson"])
def test_each_kind_is_counted_and_hashed(world, folder, name):
    frame = pets(37)
    kind = name.partition(".")[2]
    if kind == "parquet":
        frame.to_parquet(folder / name)
    elif kind == "csv":
        frame.to_csv(folder / name, index=False)
    else:
        frame.to_json(folder / name, orient="records", lines=True)
    settle(folder)
    (found,), waiting = look(world)
    assert (found.rows, waiting) == (37, [])
    assert found.sha256 == hashlib.sha256((folder / name).read_bytes()).hexdigest()
    assert found.bytes == (folder / name).stat().st_size


def test_a_file_that_is_being_written_is_left_for_the_next_look(world, folder):
    (folder / "old.csv").write_text(TEXT)
    settle(folder)
    path, done = folder / "new.csv", threading.Event()

    def write():
        with path.open("w", buffering=1) as file:
            file.write(TEXT)
            while not done.wait(0.05):
                file.write("6,3,brown,cat\n")

    writer = threading.Thread(target=write)
    writer.start()
    while not path.exists():
        time.sleep(0.01)
    found, waiting = look(world)
    done.set()
    writer.join()
    assert [arrival.path.name for arrival in found] == ["old.csv"]
    assert waiting == ["new.csv is still being written"]
    settle(folder)
    assert names(world) == ["new.csv", "old.csv"]


def test_a_text_that_was_cut_off_in_its_last_line_is_not_picked_up(world, folder):
    (folder / "cut.csv").write_text(TEXT[:-3])
    settle(folder)
    assert look(world) == ([], ["cut.csv is not picked up: its last line has no end, so it may be cut off"])


def test_a_parquet_file_that_was_cut_off_is_refused_and_named(world, folder):
    pets().to_parquet(folder / "whole.parquet")
    (folder / "cut.parquet").write_bytes((folder / "whole.parquet").read_bytes()[:-40])
    settle(folder)
    with pytest.raises(DataError, match=r"cut\.parquet is not a whole Parquet file.*Send it again"):
        look(world)


def test_json_lines_that_are_no_json_are_refused_with_the_line(world, folder):
    (folder / "rows.jsonl").write_text('{"weight": 1}\n{"weight": \n')
    settle(folder)
    with pytest.raises(DataError, match=r"rows\.jsonl: line 2 is not JSON"):
        look(world)


def test_a_file_with_a_sum_beside_it_is_picked_up_when_it_agrees(world, folder):
    path = folder / "rows.csv"
    path.write_text(TEXT)
    (folder / "rows.csv.sha256").write_text(f"{'0' * 64}  rows.csv\n")
    settle(folder)
    assert look(world) == ([], ["rows.csv is not what rows.csv.sha256 promises"])
    (folder / "rows.csv.sha256").write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  rows.csv\n")
    assert names(world) == ["rows.csv"]


def test_hidden_withdrawn_and_other_files_are_left_out(world, folder):
    for name in (".rows.csv", "rows.csv", "gone.csv", "notes.txt"):
        (folder / name).write_text(TEXT)
    (folder / "gone.csv.withdrawn").touch()
    settle(folder)
    assert names(world) == ["rows.csv"]


def test_an_empty_folder_says_what_may_lie_there(world, folder):
    with pytest.raises(DataError, match=r"holds no file that can be read \(\.csv, \.tsv, \.jsonl, .* IDX"):
        look(world)


def test_a_known_file_is_not_read_again_and_a_changed_one_is(world, folder):
    path = folder / "rows.csv"
    path.write_text(TEXT)
    settle(folder)
    before = look(world)[0][0]
    read = []
    original = arrivals.sources.file_hash
    arrivals.sources.file_hash = lambda path: read.append(path) or original(path)
    try:
        assert look(world)[0][0] == before
        assert read == []
        path.write_text(TEXT + "6,3,brown,cat\n")
        settle(folder)
        assert look(world)[0][0].rows == 3
        assert read == [path]
    finally:
        arrivals.sources.file_hash = original


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("data/incoming/pets", True),
        ("data/incoming/pets/", True),
        ("data/incoming/pets/rows.csv", False),
        ("data/incoming", False),
        ("rows", False),
        ("builtin:digits", False),
    ],
)
def test_a_folder_of_incoming_only_grows(source, expected):
    assert arrivals.only_grows(source) is expected


def test_a_worktree_finds_what_arrives_in_its_clone(world, folder, tmp_path_factory):
    (folder / "rows.csv").write_text(TEXT)
    settle(folder)
    tree = tmp_path_factory.mktemp("tree")
    project = Project(tree, world.root / ".ratchet", "", "", clone_root=world.root)
    assert [arrival.path for arrival in arrivals.look(project, declaration.check("pets"))[0]] == [folder / "rows.csv"]
