"""Refresh: what a source holds is pinned whole or not at all, from a folder, a path outside and a web server."""

import hashlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path

import pytest
from PIL import Image

from flows.data import pin_file, refresh
from flows.graph import pipeline
from flows.graph.pipeline import Graph
from flows.project import environment
from flows.project.environment import Project
from pipelines import model_file
from pipelines.errors import DataError, IntegrityError, RequestError, SettingsError, UnreachableError
from pipelines.readers import sources
from tests.support import finder
from tests.support.clone import edit, git
from tests.support.world import ROOT, pets


class Shop:
    """A project with DVC and the model `pets`, whose source may be any."""

    def __init__(self, world, begun, monkeypatch):
        self.world, self.root = world, world.root
        monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(world.root / ".ratchet" / "dvc"))
        (world.root / ".ratchet" / "locks").mkdir(parents=True)
        shutil.copytree(begun, world.root, dirs_exist_ok=True)
        (world.root / ".gitignore").write_text("/.ratchet/\n")
        (world.root / "data").mkdir(exist_ok=True)
        shutil.copyfile(ROOT / "data" / ".gitignore", world.root / "data" / ".gitignore")
        edit(world.root / "dvc.yaml", "[digits, breast_cancer, diabetes]", "[pets]")
        self.project = Project(world.root, world.root / ".ratchet", "", "")

    @property
    def incoming(self) -> Path:
        found = self.root / "data" / "incoming" / "pets"
        found.mkdir(parents=True, exist_ok=True)
        return found

    def source(self, source: str) -> None:
        self.world.declare(ingest={"source": source})
        edit(self.root / "dvc.yaml", "[digits, breast_cancer, diabetes]", "[pets]")

    def refresh(self, refused: str = "") -> tuple[str, str]:
        with Graph(self.project, "pets") as graph:
            return refresh.refresh(self.project, graph, model_file.check("pets"), refused)

    def news(self) -> str:
        with Graph(self.project, "pets") as graph:
            return refresh.news(self.project, graph, model_file.check("pets"))

    def pinned(self) -> dict[str, bytes]:
        """The pinned files; they are what the pin says."""
        pin = sources.read_pin("pets")
        return {path.name: path.read_bytes() for path in sources.check_files("pets", pin)}


@pytest.fixture
def shop(world, begun, monkeypatch):
    return Shop(world, begun, monkeypatch)


def put(path: Path, rows: int = 40, seed: int = 0) -> Path:
    pets(rows, seed).to_csv(path, index=False)
    settle(path)
    return path


def settle(path: Path) -> None:
    os.utime(path, (time.time() - 60,) * 2)


def test_portions_are_pinned_one_after_the_other_and_what_changed_is_said(shop):
    first = put(shop.incoming / "a.csv", 40)
    state, said = shop.refresh()
    before = pin_file.version(pin_file.pinned("pets"))
    assert state == "Ran"
    assert said == f"data/incoming/pets/ pinned: 40 rows, {first.stat().st_size:,} bytes, pin {before[:8]}"
    assert shop.refresh() == ("Unchanged", "data/incoming/pets/: nothing new")
    second = put(shop.incoming / "b.csv", 25, seed=1)
    assert shop.news() == "data/incoming/pets/: b.csv is new"
    state, said = shop.refresh()
    after = pin_file.version(pin_file.pinned("pets"))
    size = f"{second.stat().st_size:+,}"
    assert said == f"data/incoming/pets/ pinned: +25 rows, {size} bytes, pin {before[:8]} -> {after[:8]}"
    assert shop.pinned() == {"a.csv": first.read_bytes(), "b.csv": second.read_bytes()}
    assert pin_file.rows(pin_file.pinned("pets")) == 65


def test_private_columns_are_hidden_before_anything_is_pinned(shop, monkeypatch):
    monkeypatch.setenv("RATCHET_HASH_KEY", str(shop.project.state / "hash-key"))
    keys = {"reader": 2, "private": {"colour": "hash"}}
    shop.world.declare(ingest=keys)
    edit(shop.root / "dvc.yaml", "[digits, breast_cancer, diabetes]", "[pets]")
    put(shop.incoming / "a.csv")
    with pytest.raises(SettingsError, match=r"hashes 'colour', .* Write `hash_key: k[0-9a-f]{11}`") as caught:
        shop.refresh()
    assert (shop.project.state / "hash-key").stat().st_mode & 0o077 == 0
    named = caught.value.do.partition("hash_key: ")[2].partition("`")[0]
    shop.world.declare(ingest=keys | {"hash_key": named})
    edit(shop.root / "dvc.yaml", "[digits, breast_cancer, diabetes]", "[pets]")
    assert shop.refresh()[0] == "Ran"
    assert shop.refresh() == ("Unchanged", "data/incoming/pets/: nothing new")
    assert sources.read_pin("pets")["hidden"]
    left = [shop.incoming, shop.root / ".git"]
    assert finder.found({"black", "brown"}, shop.root, left) == {}
    with (shop.incoming / "a.csv").open("a") as file:
        file.write("5,3,white,cat\n")
    settle(shop.incoming / "a.csv")
    assert shop.refresh()[1].startswith("data/incoming/pets/ pinned: +1 rows")
    (shop.project.state / "hash-key").unlink()
    with pytest.raises(IntegrityError, match="hash-key is not there"):
        shop.refresh()


def test_where_private_columns_cannot_be_hidden_in_the_source_that_is_said(shop):
    shop.world.declare(ingest={"reader": 2, "private": {"colour": {"mask": {"first": 1}}}, "comment": "#"})
    edit(shop.root / "dvc.yaml", "[digits, breast_cancer, diabetes]", "[pets]")
    put(shop.incoming / "a.csv")
    assert "the pinned source is plain, private columns too: `ingest: comment:`" in shop.refresh()[1]
    assert "hidden" not in sources.read_pin("pets")


def test_a_file_that_is_appended_to_has_grown(shop):
    path = put(shop.incoming / "a.csv")
    shop.refresh()
    with path.open("a") as file:
        file.write("5,3,white,cat\n")
    settle(path)
    assert shop.refresh()[0] == "Ran"
    assert pin_file.rows(pin_file.pinned("pets")) == 41


@pytest.mark.parametrize("how", ["edited", "shrunk", "gone"])
def test_a_folder_that_lost_what_was_pinned_is_refused_and_the_pin_stays(shop, how):
    put(shop.incoming / "b.csv", seed=1)
    path = put(shop.incoming / "a.csv")
    shop.refresh()
    pinned = shop.pinned()
    content = path.read_text()
    path.unlink()
    if how != "gone":
        path.write_text(content.replace("cat", "dog") if how == "edited" else content[: content.index("\n", 200) + 1])
        settle(path)
    words, lost = ("is gone", 40) if how == "gone" else ("was replaced", 24 if how == "edited" else 32)
    said = (
        rf"has lost {lost} of 80 pinned rows .*: a\.csv {words}.*At most 10 % .*`may_lose: 0\.\d+` .*models/pets\.yaml"
    )
    with pytest.raises(DataError, match=said) as refused:
        shop.refresh()
    assert ("a.csv.withdrawn" in str(refused.value)) == (how == "gone")
    assert shop.pinned() == pinned


def test_a_file_that_is_withdrawn_goes(shop):
    put(shop.incoming / "b.csv", seed=1)
    put(shop.incoming / "a.csv").with_name("a.csv.withdrawn").touch()
    shop.refresh()
    assert list(shop.pinned()) == ["b.csv"]
    (shop.incoming / "b.csv").unlink()
    put(shop.incoming / "c.csv", seed=2)
    (shop.incoming / "b.csv.withdrawn").touch()
    shop.refresh()
    assert list(shop.pinned()) == ["c.csv"]


def test_an_unreadable_portion_is_refused_whole_and_the_pin_stays(shop):
    put(shop.incoming / "a.csv")
    shop.refresh()
    pinned, record = shop.pinned(), (shop.root / "data/pets/source.dvc").read_text()
    put(shop.incoming / "b.csv", seed=1)
    settle_text = (shop.incoming / "c.csv", "weight,age,colour,animal\n5,1\n")
    settle_text[0].write_text(settle_text[1])
    settle(settle_text[0])
    with pytest.raises(DataError, match=r"c\.csv: line 2 has 2 cells, and the header has 4"):
        shop.refresh()
    assert shop.pinned() == pinned
    assert (shop.root / "data/pets/source.dvc").read_text() == record


def test_what_was_refused_is_not_pinned_again(shop):
    put(shop.incoming / "a.csv")
    shop.refresh()
    pinned, good = shop.pinned(), refresh.records
    with Graph(shop.project, "pets") as graph:
        saved = good(graph)
    put(shop.incoming / "b.csv", seed=1)
    shop.refresh()
    refused = pin_file.version(pin_file.pinned("pets"))
    with Graph(shop.project, "pets") as graph:
        refresh.restore(graph, saved)
    assert shop.pinned() == pinned
    state, said = shop.refresh(refused)
    assert state == "Unchanged"
    assert said == f"data/incoming/pets/: pin {refused[:8]} was refused, so the pin before it stays"
    assert shop.pinned() == pinned
    put(shop.incoming / "c.csv", seed=2)
    assert shop.refresh(refused)[0] == "Ran"


def test_an_earlier_version_is_brought_back_from_the_cache(shop):
    path = put(shop.incoming / "a.csv")
    shop.refresh()
    old = shop.pinned()
    pin, record = ((shop.root / f"data/pets/{name}").read_text() for name in ("pin.json", "source.dvc"))
    put(shop.incoming / "b.csv", seed=1)
    shop.refresh()
    with Graph(shop.project, "pets") as graph:
        assert refresh.bring_back(graph, model_file.check("pets"), pin, record)[0] == "Ran"
    assert shop.pinned() == old == {"a.csv": path.read_bytes()}
    elsewhere = pin.replace("data/incoming/pets/", "data/incoming/other/")
    with Graph(shop.project, "pets") as graph, pytest.raises(RequestError, match=r"was read from data/incoming/other/"):
        refresh.bring_back(graph, model_file.check("pets"), elsewhere, record)


def test_dvc_knows_the_pinned_files_so_that_they_can_be_pushed(shop, tmp_path_factory):
    put(shop.incoming / "a.csv")
    shop.refresh()
    remote = tmp_path_factory.mktemp("remote")
    dvc = [sys.executable, "-m", "dvc"]
    for command in (["remote", "add", "-d", "store", str(remote)], ["push", "data/pets/source.dvc"]):
        subprocess.run([*dvc, *command], check=True, env=os.environ | environment.QUIET, capture_output=True)
    with Graph(shop.project, "pets") as graph:
        assert "data/pets/source.dvc" in [stage.relpath for stage in graph.repo.index.stages]
    assert len([path for path in remote.rglob("*") if path.is_file()]) == 2  # the file, and the list of the folder


def test_dvc_repro_never_takes_what_has_arrived(shop):
    put(shop.incoming / "a.csv")
    shop.refresh()
    pinned = shop.pinned()
    put(shop.incoming / "b.csv", seed=1)
    repro = [sys.executable, "-m", "dvc", "status", "data/pets/source.dvc"]
    done = subprocess.run(repro, env=os.environ | environment.QUIET, capture_output=True, text=True)
    assert "up to date" in done.stdout
    assert shop.pinned() == pinned


# ------------------------------------------------------------------ outside of the project


def test_a_path_outside_is_imported_and_followed(shop, tmp_path_factory):
    outside = put(tmp_path_factory.mktemp("outside") / "rows.csv")
    shop.source(str(outside))
    assert "another version" in shop.news()
    assert shop.refresh()[0] == "Ran"
    assert shop.pinned() == {"rows.csv": outside.read_bytes()}
    assert shop.news() == ""
    assert shop.refresh() == ("Unchanged", f"{outside}: nothing new")
    record = (shop.root / "data/pets/source.dvc").read_text()
    assert "frozen: true" in record
    assert str(outside) in record
    put(outside, 55)
    assert "+15 rows" in shop.refresh()[1]
    assert shop.pinned() == {"rows.csv": outside.read_bytes()}


def test_a_folder_outside_is_imported_whole(shop, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    put(outside / "a.csv")
    shop.source(f"{outside}/")
    shop.refresh()
    put(outside / "b.csv", seed=1)
    assert "+40 rows" in shop.refresh()[1]
    assert sorted(shop.pinned()) == ["a.csv", "b.csv"]


def test_a_broken_file_outside_is_refused_and_the_one_before_stays(shop, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "rows.parquet"
    pets().to_parquet(outside)
    shop.source(str(outside))
    shop.refresh()
    pinned = shop.pinned()
    outside.write_bytes(outside.read_bytes()[:-30])
    with pytest.raises(DataError, match="not a whole Parquet file"):
        shop.refresh()
    assert shop.pinned() == pinned
    outside.unlink()
    with pytest.raises(DataError, match="does not exist"):
        shop.refresh()
    assert shop.pinned() == pinned


def test_a_source_may_change_its_kind_and_back(shop, tmp_path_factory):
    outside = put(tmp_path_factory.mktemp("outside") / "rows.csv")
    inside = put(shop.incoming / "a.csv", seed=1)
    shop.refresh()
    shop.source(str(outside))
    shop.refresh()
    assert shop.pinned() == {"rows.csv": outside.read_bytes()}
    shop.source("data/incoming/pets/")
    shop.refresh()
    assert shop.pinned() == {"a.csv": inside.read_bytes()}


class Web(http.server.BaseHTTPRequestHandler):
    content = b""
    short = 0  # bytes by which an answer is cut off

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("ETag", f'"{hash(self.content)}"')
        self.send_header("Content-Length", str(len(self.content)))
        self.send_header("Last-Modified", formatdate(usegmt=True))
        self.end_headers()

    def do_GET(self):
        self.do_HEAD()
        self.wfile.write(self.content[: len(self.content) - self.short])

    def log_message(self, *about):
        pass


@contextmanager
def web():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/rows.csv"
        server.shutdown()


def test_an_address_is_followed_and_what_is_cut_off_or_away_changes_nothing(shop, monkeypatch):
    monkeypatch.setattr(Web, "content", pets(40).to_csv(index=False).encode())
    with web() as address:
        shop.source(address)
        assert shop.refresh()[0] == "Ran"
        assert shop.pinned() == {"rows.csv": Web.content}
        assert shop.refresh()[0] == "Unchanged"
        monkeypatch.setattr(Web, "content", pets(60).to_csv(index=False).encode())
        monkeypatch.setattr(Web, "short", 100)
        before = shop.pinned()
        with pytest.raises(UnreachableError, match="cannot be read now"):
            shop.refresh()
        assert shop.pinned() == before
        monkeypatch.setattr(Web, "short", 0)
        assert "+20 rows" in shop.refresh()[1]
        before = shop.pinned()
    with pytest.raises(UnreachableError, match="The pinned version stays"):
        shop.refresh()
    assert shop.pinned() == before


def test_the_pin_of_a_builtin_set_names_its_rows(shop):
    shop.world.declare(ingest={"source": "builtin:breast_cancer"})
    edit(shop.root / "dvc.yaml", "[digits, breast_cancer, diabetes]", "[pets]")
    assert shop.refresh() == ("Ran", "builtin:breast_cancer pinned")
    assert json.loads(Path("data/pets/pin.json").read_text())["rows"] == 569
    assert shop.refresh() == ("Unchanged", "builtin:breast_cancer is pinned")


def picture(path: Path, grey: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (6, 4), grey).save(path)
    settle(path)


@pytest.mark.parametrize("outside", [False, True])
def test_a_folder_of_images_is_pinned_with_the_folders_of_its_classes(shop, tmp_path_factory, outside):
    folder = tmp_path_factory.mktemp("album") if outside else shop.incoming
    data = {"kind": "image", "task": "classification", "target": "label", "shape": [4, 6, 1]}
    shop.world.declare(data_=data, ingest={"source": f"{folder}/" if outside else "data/incoming/pets/"})
    edit(shop.root / "dvc.yaml", "[digits, breast_cancer, diabetes]", "[pets]")
    for index, name in enumerate(("cat/1.png", "dog/1.png")):
        picture(folder / name, index)
    assert shop.refresh()[0] == "Ran"
    pin = sources.read_pin("pets")
    assert [entry["name"] for entry in pin["files"]] == ["cat/1.png", "dog/1.png"]
    paths = sources.check_files("pets", pin)
    assert [path.read_bytes() for path in paths] == [(folder / f"{name}/1.png").read_bytes() for name in ("cat", "dog")]
    assert shop.refresh() == ("Unchanged", shop.refresh()[1])
    picture(folder / "dog" / "2.png", 9)
    assert "dog/2.png is new" in shop.news() if not outside else shop.news()
    assert "+1 rows" in shop.refresh()[1]
    if not outside:
        (folder / "cat" / "1.png").unlink()
        with pytest.raises(DataError, match=r"has lost 1 of 3 pinned rows \(33.3 %\): cat/1\.png is gone"):
            shop.refresh()
        (folder / "cat" / "1.png.withdrawn").touch()
        assert "-1 rows" in shop.refresh()[1]


# ------------------------------------------------------------------ what was changed behind its back


def changed(path: Path) -> bytes:
    """Another first byte, with the size and the time of writing that it had. Returns what was there."""
    before, status = path.read_bytes(), path.stat()
    path.chmod(0o644)
    path.write_bytes(b"?" + before[1:])
    path.chmod(status.st_mode)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return before


def of_cache(shop, content: bytes) -> Path:
    found = pipeline.cached(shop.project, hashlib.md5(content).hexdigest())
    assert found is not None
    return found


@pytest.fixture
def portion(shop):
    put(shop.incoming / "a.csv")
    shop.refresh()
    return shop, shop.world.root / "data" / "pets" / "source" / "a.csv"


def test_a_pinned_file_that_was_changed_comes_back_from_the_cache(portion):
    shop, path = portion
    before = changed(path)
    assert shop.refresh()[0] == "Unchanged"
    assert path.read_bytes() == before


def test_where_the_cache_was_changed_too_it_comes_back_from_the_source(portion):
    shop, path = portion
    changed(of_cache(shop, path.read_bytes()))
    before = changed(path)
    shop.refresh()
    assert path.read_bytes() == before == of_cache(shop, before).read_bytes()


def test_what_nobody_has_any_more_is_refused_by_name(portion):
    shop, path = portion
    changed(of_cache(shop, path.read_bytes()))
    changed(path)
    put(shop.incoming / "b.csv", seed=1)
    (shop.incoming / "a.csv").unlink()
    with pytest.raises(IntegrityError) as caught:
        shop.refresh()
    assert "source/a.csv differs from the pin: its content has changed. DVC's cache does not have" in str(caught.value)
    assert "Put that file into data/incoming/pets/ again" in str(caught.value)


def test_an_arrival_that_was_changed_with_its_size_and_time_is_seen(portion):
    shop, _ = portion
    changed(shop.incoming / "a.csv")
    assert "its rows cannot be compared with those before" in shop.refresh()[1]  # its header has changed


def test_a_pin_that_was_edited_is_refused_and_named(portion):
    shop, _ = portion
    path = shop.world.root / "data" / "pets" / "pin.json"
    right = path.read_text()
    path.write_text(right.replace('"rows": 40', '"rows": 41'))
    with pytest.raises(IntegrityError, match=r"data/pets/pin\.json was changed after `ratchet run` wrote it"):
        shop.refresh()
    path.write_text(right)
    assert shop.refresh()[0] == "Unchanged"
    path.unlink()
    assert shop.refresh()[0] == "Ran"


def test_a_pin_that_git_has_is_known(portion):
    shop, _ = portion
    path = shop.world.root / "data" / "pets" / "pin.json"
    path.write_text(path.read_text() + "\n")
    git(shop.world.root, "hash-object", "-w", "data/pets/pin.json")
    assert shop.refresh()[0] == "Unchanged"
