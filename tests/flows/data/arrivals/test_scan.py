"""Only whole files are picked up, and what is known of a file is not read twice."""

import gzip
import hashlib
import os
import re
import threading
import time

import pytest
from PIL import Image

from flows.data.arrivals import scan
from flows.project.environment import Project
from pipelines import model_file
from pipelines.errors import DataError
from tests.support.world import pets

IMAGES = {"kind": "image", "task": "classification", "target": "label", "shape": [4, 6, 1]}
TEXT = "weight,age,colour,animal\n5,1,white,cat\n13,2,black,dog\n"


@pytest.fixture
def folder(world):
    found = world.root / "data" / "incoming" / "pets"
    found.mkdir(parents=True)
    (world.root / ".ratchet").mkdir()
    return found


def settle(folder):
    """Make every file old enough to be looked at without waiting."""
    for path in folder.rglob("*"):
        os.utime(path, (time.time() - 60,) * 2)


def look(world):
    return scan.look(Project(world.root, world.root / ".ratchet", "", ""), model_file.check("pets"))


def names(world):
    return [arrival.path.name for arrival in look(world)[0]]


@pytest.mark.parametrize(
    "name", ["rows.csv", "rows.parquet", "rows.jsonl", "rows.ndjson", "rows.csv.gz", "rows.jsonl.gz"]
)
def test_each_kind_is_counted_and_hashed(world, folder, name):
    frame = pets(37)
    kind = name.partition(".")[2]
    if kind == "parquet":
        frame.to_parquet(folder / name)
    elif kind.startswith("csv"):
        frame.to_csv(folder / name, index=False)
    else:
        frame.to_json(folder / name, orient="records", lines=True)
    settle(folder)
    (found,), waiting = look(world)
    assert (found.rows, waiting) == (37, [])
    assert found.sha256 == hashlib.sha256((folder / name).read_bytes()).hexdigest()
    assert found.bytes == (folder / name).stat().st_size
    packed = name.endswith(".gz")
    assert found.entry().get("unpacked") == (len(gzip.decompress((folder / name).read_bytes())) if packed else None)


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


def test_a_text_whose_last_line_has_no_end_waits_until_it_has_rested(world, folder):
    path = folder / "more.csv"
    path.write_text(TEXT.rstrip("\n"))
    os.utime(path, (time.time() - 5,) * 2)
    found, (words,) = look(world)
    assert found == []
    assert re.search(r"more.csv is not picked up yet: its last line has no end, .* in [45] s$", words)
    settle(folder)
    (arrival,), waiting = look(world)
    assert (arrival.rows, waiting) == (len(TEXT.splitlines()) - 1, [])


def test_how_long_it_rests_is_declared(world, folder):
    world.declare(ingest={"quiet": 3600.0})
    (folder / "more.csv").write_text(TEXT.rstrip("\n"))
    settle(folder)
    assert "has not grown for 3600 s" in look(world)[1][0]
    (folder / "more.csv").write_text(TEXT)
    settle(folder)
    assert names(world) == ["more.csv"]


def test_an_empty_text_waits_for_ever(world, folder):
    (folder / "more.csv").write_text("")
    settle(folder)
    assert look(world) == ([], ["more.csv is empty"])


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
    said = "rows.csv does not match rows.csv.sha256: if the file is whole, correct that sum or delete it"
    assert look(world) == ([], [said])
    (folder / "rows.csv.sha256").write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  rows.csv\n")
    assert names(world) == ["rows.csv"]


def test_hidden_withdrawn_and_other_files_are_left_out(world, folder):
    for name in (".rows.csv", "rows.csv", "gone.csv", "notes.txt"):
        (folder / name).write_text(TEXT)
    (folder / "gone.csv.withdrawn").touch()
    settle(folder)
    assert names(world) == ["rows.csv"]


def picture(path, size=(6, 4)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, 7).save(path)
    os.utime(path, (time.time() - 60,) * 2)
    return path


def test_images_in_folders_of_classes_are_picked_up_by_their_path(world, folder):
    world.declare(data_=IMAGES)
    for name in ("dog/1.png", "cat/2.jpg", "cat/1.png", "cat/3.png", ".unfinished/cat/4.png"):
        picture(folder / name)
    (folder / "cat" / "3.png.withdrawn").touch()
    found = look(world)[0]
    assert [arrival.name for arrival in found] == ["cat/1.png", "cat/2.jpg", "dog/1.png"]
    assert [arrival.rows for arrival in found] == [1, 1, 1]
    assert found[0].sha256 == hashlib.sha256((folder / "cat/1.png").read_bytes()).hexdigest()


def test_an_image_that_is_not_what_was_declared_is_refused_and_another_declaration_is_another_look(world, folder):
    world.declare(data_=IMAGES)
    picture(folder / "cat" / "1.png", size=(60, 40))
    with pytest.raises(DataError, match=r"cat/1\.png is 40 x 60 .* declares 4 x 6"):
        look(world)
    world.declare(data_=IMAGES, ingest={"resize": "box"})
    assert len(look(world)[0]) == 1
    world.declare(data_=IMAGES)
    with pytest.raises(DataError, match=r"cat/1\.png is 40 x 60"):
        look(world)


def test_an_image_that_leads_out_of_its_folder_or_lies_in_no_class_is_refused(world, folder, tmp_path_factory):
    world.declare(data_=IMAGES)
    stray = picture(folder / "1.png")
    with pytest.raises(DataError, match=r"The image 1\.png lies in no class folder"):
        look(world)
    stray.unlink()
    elsewhere = picture(tmp_path_factory.mktemp("elsewhere") / "1.png")
    (folder / "cat").mkdir()
    (folder / "cat" / "1.png").symlink_to(elsewhere)
    with pytest.raises(DataError, match=r"cat/1\.png is a link to a file outside its folder"):
        look(world)


def test_a_picture_beside_tables_is_none_of_the_rows(world, folder):
    (folder / "rows.csv").write_text(TEXT)
    picture(folder / "plot.png")
    settle(folder)
    assert names(world) == ["rows.csv"]


def test_a_workbook_beside_tables_is_said_to_be_left_out(world, folder):
    (folder / "rows.csv").write_text(TEXT)
    (folder / "more.xlsx").write_bytes(b"PK")
    settle(folder)
    found, said = look(world)
    assert [arrival.name for arrival in found] == ["rows.csv"]
    assert said == ["more.xlsx is not read: Save the sheet as CSV (UTF-8), and give that file's name."]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_a_line_ends_alike_in_every_encoding(world, folder, encoding, end):
    world.declare(ingest={"encoding": encoding, "quiet": 3600.0})
    (folder / "rows.csv").write_bytes(TEXT.replace("\n", end).encode(encoding))
    settle(folder)
    assert [arrival.rows for arrival in look(world)[0]] == [2]
    (folder / "rows.csv").write_bytes(TEXT.rstrip().replace("\n", end).encode(encoding))
    settle(folder)
    assert look(world)[0] == []


def test_an_empty_folder_says_what_may_lie_there(world, folder):
    with pytest.raises(DataError, match=r"holds no file that can be read \(\.csv, \.tsv, \.jsonl, .* IDX"):
        look(world)


def test_a_known_file_is_not_read_again_and_a_changed_one_is(world, folder):
    path = folder / "rows.csv"
    path.write_text(TEXT)
    settle(folder)
    before = look(world)[0][0]
    read = []
    original = scan.sources.file_hash
    scan.sources.file_hash = lambda path: read.append(path) or original(path)
    try:
        assert look(world)[0][0] == before
        assert read == []
        path.write_text(TEXT + "6,3,brown,cat\n")
        settle(folder)
        assert look(world)[0][0].rows == 3
        assert read == [path]
    finally:
        scan.sources.file_hash = original


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
    assert scan.only_grows(source) is expected


def test_a_worktree_finds_what_arrives_in_its_clone(world, folder, tmp_path_factory):
    (folder / "rows.csv").write_text(TEXT)
    settle(folder)
    tree = tmp_path_factory.mktemp("tree")
    project = Project(tree, world.root / ".ratchet", "", "", clone_root=world.root)
    assert [arrival.path for arrival in scan.look(project, model_file.check("pets"))[0]] == [folder / "rows.csv"]
