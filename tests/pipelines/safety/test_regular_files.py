"""Regular files: what arrives is opened at once and only if it is a file, and no link leads out of where it may."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from flows.data import refresh
from flows.data.arrivals import scan
from flows.new.new import drafted
from flows.new.wanted import Wanted
from flows.predict import file_paths
from flows.project.environment import Project
from pipelines import model_file
from pipelines.config import settings
from pipelines.errors import DataError, RatchetError, SettingsError
from pipelines.readers import sources
from pipelines.safety import regular_files
from tests.flows.predict.test_read_rows import unseen
from tests.support.world import pets

LIMIT = 20  # seconds, after which something has waited for what never comes
SECRET = "weight,age,colour,animal\n5,1,hush,cat\n"
IMAGES = {"kind": "image", "task": "classification", "target": "label", "shape": [4, 6, 1]}


@pytest.fixture(autouse=True)
def at_once():
    """A test that waits for a pipe is ended."""

    def late(number, frame):
        raise AssertionError("it waited")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(LIMIT)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def pipe(path: Path, outside: Path) -> None:
    os.mkfifo(path)


def bound(path: Path, outside: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))  # a name for a socket is short


def device(path: Path, outside: Path) -> None:
    path.symlink_to("/dev/zero")


def away(path: Path, outside: Path) -> None:
    (outside / "secret").write_text(SECRET)
    path.symlink_to(outside / "secret")


def far(path: Path, outside: Path) -> None:
    """By way of a link inside that leads out."""
    (outside / "secret").write_text(SECRET)
    (path.parent / ".hop").symlink_to(outside)
    path.symlink_to(".hop/secret")


def loop(path: Path, outside: Path) -> None:
    path.symlink_to(path.name)


def nowhere(path: Path, outside: Path) -> None:
    path.symlink_to("gone")


ODD = {
    pipe: "is a pipe, but must be a file",
    bound: "is a socket, but must be a file",
    device: r"is a (device, but must be a file|link to a file outside its folder)",
    away: "is a link to a file outside its folder",
    far: "is a link to a file outside its folder",
    loop: "cannot be opened: (Too many levels of symbolic links|.*loop)",
    nowhere: "is a link that leads nowhere",
}
cases = pytest.mark.parametrize(("make", "problem"), ODD.items(), ids=lambda value: getattr(value, "__name__", ""))


@pytest.fixture
def outside(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("outside")


@pytest.fixture
def incoming(world) -> Path:
    found = world.root / "data" / "incoming" / "pets"
    found.mkdir(parents=True)
    (world.root / ".ratchet").mkdir()
    return found


def look(world):
    return scan.look(Project(world.root, world.root / ".ratchet", "", ""), model_file.check("pets"))


def settle(path: Path) -> Path:
    os.utime(path, (time.time() - 60,) * 2)
    return path


@cases
@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz", "rows.parquet", "rows.jsonl", "cat/1.png"])
def test_what_arrives_is_a_file(make, problem, name, world, incoming, outside):
    if name == "cat/1.png":
        world.declare(data_=IMAGES)
    (incoming / name).parent.mkdir(exist_ok=True)
    make(incoming / name, outside)
    with pytest.raises(DataError, match=problem):
        look(world)


@cases
def test_a_sum_beside_a_file_is_a_file(make, problem, world, incoming, outside):
    settle_me = incoming / "rows.csv"
    settle_me.write_text(SECRET)
    settle(settle_me)
    make(incoming / "rows.csv.sha256", outside)
    if make in (away, far):  # what it says is looked at, and neither shown nor kept
        assert "does not match rows.csv.sha256" in look(world)[1][0]
        return
    with pytest.raises(DataError, match=problem):
        look(world)


@pytest.mark.parametrize("make", [pipe, bound, away, nowhere, Path.mkdir], ids=lambda value: value.__name__)
def test_only_a_file_withdraws_another(make, world, incoming, outside):
    settle_me = incoming / "rows.csv"
    settle_me.write_text(SECRET)
    settle(settle_me)
    marker = incoming / "rows.csv.withdrawn"
    make(marker) if make == Path.mkdir else make(marker, outside)
    assert [found.name for found in look(world)[0]] == ["rows.csv"]


@cases
def test_a_file_to_predict_is_a_file(make, problem, world, outside):
    make(world.root / "rows.csv", outside)
    wanted = file_paths.Wanted("pets", world.root / "rows.csv", world.root / "out.csv")
    if make in (away, far):  # of a file that a person names, a link is what it leads to
        file_paths.check(Project(world.root, world.root, "", ""), wanted)
        assert len(list(unseen(world.root / "rows.csv").batches())) == 1
        return
    expected = problem if make not in (loop, nowhere) else "There is no file"
    with pytest.raises(RatchetError, match=expected):
        file_paths.check(Project(world.root, world.root, "", ""), wanted)


@cases
def test_a_folder_to_predict_holds_files(make, problem, world, outside):
    (folder := world.root / "rows").mkdir()
    pets(10).to_csv(folder / "a.csv", index=False)
    make(folder / "b.csv", outside)
    with pytest.raises(DataError, match=problem):
        list(unseen(folder).batches())


@cases
@pytest.mark.parametrize("suffix", [".yaml", ".py"])
def test_what_defines_a_model_is_a_file(make, problem, suffix, world, outside):
    (world.root / "models" / f"pets{suffix}").unlink()
    make(world.root / "models" / f"pets{suffix}", outside)
    with pytest.raises(SettingsError, match=problem):
        model_file.check("pets")


def test_a_link_may_lead_to_another_place_in_data_and_to_no_secret_of_the_project(world, incoming):
    settle_me = world.root / "data" / "incoming" / "shared.csv"
    settle_me.write_text(SECRET)
    settle(settle_me)
    (incoming / "rows.csv").symlink_to("../shared.csv")
    assert [found.name for found in look(world)[0]] == ["rows.csv"]
    (world.root / ".ratchet" / "secret").write_text(SECRET)
    (incoming / "more.csv").symlink_to("../../../.ratchet/secret")
    with pytest.raises(DataError, match=r"more\.csv is a link to a file outside its folder"):
        look(world)


@pytest.mark.parametrize("place", ["data/incoming/pets", "data/incoming", "data"])
def test_a_source_that_leads_out_of_the_project_is_refused(place, world, outside):
    (outside / "pets").mkdir()
    (outside / "incoming" / "pets").mkdir(parents=True)
    (world.root / place).parent.mkdir(parents=True, exist_ok=True)
    (world.root / place).symlink_to(outside / "pets" if place.endswith("pets") else outside)
    with pytest.raises(SettingsError, match="lies outside the project"):
        model_file.check("pets")
    (tree := world.root / "tree").mkdir()  # where scheduled runs work, such a link is not there
    project = Project(tree, world.root / ".ratchet", "", "", clone_root=world.root)
    with pytest.raises(DataError, match="is a link that leads out of the project"):
        scan.within(project, "data/incoming/pets")


@pytest.mark.parametrize("source", ["~/rows.csv", "data/a\nb.csv", "data/\x1b[2Jrows.csv", "data/\0", "../rows.csv"])
def test_a_source_is_a_path_that_can_be_seen(source, world):
    world.declare(ingest={"source": source})
    with pytest.raises(SettingsError, match=r"(is not a path|lies outside the project)"):
        model_file.check("pets")


@pytest.mark.parametrize("make", [pipe, bound, away, far, loop, nowhere], ids=lambda value: value.__name__)
@pytest.mark.parametrize("alone", [True, False])
def test_a_path_outside_that_is_followed_holds_files(make, alone, tmp_path, outside):
    """Before DVC looks at it, which would wait for a pipe."""
    lake = tmp_path / "lake"
    lake.mkdir()
    make(path := lake / "rows.csv", outside)
    if alone and make in (loop, nowhere, away, far):  # DVC says that it does not exist, or follows it: a person has
        # declared the link itself, as the newest of a lake often is one
        assert refresh._check_followed(str(path)) is None
    else:
        with pytest.raises(DataError, match=f"{ODD[make]}|is a link to a folder"):
            refresh._check_followed(str(path if alone else lake))


def test_a_folder_outside_holds_no_link_to_a_folder(tmp_path, outside):
    (lake := tmp_path / "lake").mkdir()
    refresh._check_followed(str(lake))
    (lake / "cat").symlink_to(outside)
    with pytest.raises(DataError, match="cat is a link to a folder"):
        refresh._check_followed(str(lake))


@cases
def test_ratchet_new_brings_only_files(make, problem, world, outside, tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for label in ("cat", "dog"):
        (folder / label).mkdir()
        Image.new("L", (6, 4)).save(folder / label / "1.png")
    make(folder / "cat" / "2.png", outside)
    if make is far:
        (folder / "cat" / "2.png").rename(folder / "dog" / "2.png")
        (folder / "cat" / ".hop").rename(folder / "dog" / ".hop")
    with pytest.raises(DataError, match=problem):
        drafted(Wanted("tiles", folder, "label", [], []), "data/incoming/tiles/")


def test_a_second_look_at_what_was_opened(tmp_path, monkeypatch):
    """A pipe that takes the place of a file between the two looks is refused too."""
    path = tmp_path / "rows.csv"
    path.write_text(SECRET)
    status = path.lstat()
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(regular_files.os, "lstat", lambda real: status)
    with pytest.raises(DataError, match="is a pipe"):
        regular_files.opened(path)


WRITER = """
import sys, time
path, how = sys.argv[1:]
with open(path, "r+b", buffering=0) as file:
    print("ready", flush=True)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if how == "grows":
            file.seek(0, 2)
            file.write(b"6,3,brown,cat\\n")
        elif how == "shrinks":
            if file.seek(0, 2) < 10_000:
                file.write(b"6,3,brown,cat\\n" * 100_000)
            file.truncate(file.seek(0, 2) - 140)
        else:
            file.seek(25)
            file.write(b"%d" % (int(time.monotonic() * 1e6) % 10))
"""


def copied_or_refused(found: list[scan.Arrival], copy: Path, incoming: Path) -> bool:
    """One that changes may be, just when it is copied, what it was when it was hashed."""
    try:
        refresh._copy(found, copy, [incoming])
    except DataError as error:
        return "rows.csv changed while it was being read" in str(error) and not copy.exists()
    (first,) = found
    same = sources.file_hash(copy / "rows.csv") == first.sha256
    shutil.rmtree(copy)
    return same


@pytest.mark.parametrize("how", ["grows", "shrinks", "changes"])
def test_what_is_pinned_is_what_was_hashed_though_somebody_writes(how, world, incoming):
    """A real writer that never pauses: a look finds the file unfinished or says that it changed; and a copy is either
    of the very bytes that were hashed, or refused."""
    path = incoming / "rows.csv"
    path.write_text(SECRET + "6,3,brown,cat\n" * 200_000)
    settle(path)
    found = look(world)[0]
    project = Project(world.root, world.root / ".ratchet", "", "")
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path), how], stdout=subprocess.PIPE) as writer:
        try:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(0.05)
            assert copied_or_refused(found, world.root / "copy", incoming)
            with pytest.raises(DataError, match="changed while it was being read"):
                scan.read(project, model_file.check("pets"), incoming, [path])
            assert look(world) == ([], ["rows.csv is still being written"])
        finally:
            writer.kill()
    settle(path)
    (again,) = look(world)[0]
    refresh._copy([again], world.root / "copy", [incoming])
    assert sources.file_hash(world.root / "copy" / "rows.csv") == again.sha256


def test_a_file_that_vanishes_between_two_looks_is_said_to_be_gone(world, incoming):
    path = incoming / "rows.csv"
    path.write_text(SECRET)
    found = look(world)[0]
    path.unlink()
    with pytest.raises(DataError, match=r"rows\.csv is gone\. Run again"):
        refresh._copy(found, world.root / "copy", [incoming])
    project = Project(world.root, world.root / ".ratchet", "", "")
    with pytest.raises(DataError, match=r"rows\.csv is gone"):
        scan.read(project, model_file.check("pets"), incoming, [path])


def test_settings_are_read_through_a_link_inside(world):
    (world.root / "models" / "pets.yaml").rename(world.root / "models" / "common.yml")
    (world.root / "models" / "pets.yaml").symlink_to("common.yml")
    assert settings.read("pets")["format"] == 1
