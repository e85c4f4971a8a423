"""MNIST's four files below an address become a pinned source, and come again only when one is another version."""

import gzip
import http.server
import json
import threading
from pathlib import Path

import numpy as np
import pytest

from flows.data import mnist_http
from pipelines.errors import DataError, UnreachableError
from tests.flows.data.test_refresh import Shop
from tests.pipelines.readers.formats.test_idx import encoded, pictures
from tests.support.clone import edit

DATA = {"kind": "image", "task": "classification", "target": "label", "label": "integer", "shape": [3, 2, 1]}
DATA["columns"] = {"split": "carried"}


class Web(http.server.BaseHTTPRequestHandler):
    files: dict[str, bytes] = {}
    asked: list[str] = []
    short = 0  # bytes by which an answer is cut off
    tags = True

    def do_HEAD(self):
        content = self.files.get(self.path.removeprefix("/digits/"))
        self.send_response(404 if content is None else 200)
        if content is not None:
            self.send_header("Content-Length", str(len(content)))
            if self.tags:
                self.send_header("ETag", f'"{hash(content)}"')
        self.end_headers()
        return content

    def do_GET(self):
        self.asked.append(self.path)
        if (content := self.do_HEAD()) is not None:
            self.wfile.write(content[: len(content) - self.short])

    def log_message(self, *about):
        pass


def published(train: int, test: int = 7) -> dict[str, bytes]:
    """The four files, with so many images."""
    found = {}
    for part, count in (("train", train), ("t10k", test)):
        found[f"{part}-images-idx3-ubyte.gz"] = gzip.compress(encoded(pictures(count)), mtime=0)
        found[f"{part}-labels-idx1-ubyte.gz"] = gzip.compress(encoded(np.arange(count) % 2), mtime=0)
    return found


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(Web, "files", published(40))
    monkeypatch.setattr(Web, "asked", [])
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/digits/"
        running.shutdown()


@pytest.fixture
def shop(world, begun, monkeypatch, server):
    """A project whose model `pets` reads what is below the server's address."""
    found = Shop(world, begun, monkeypatch)
    world.declare(data_=DATA, ingest={"source": server}, clean_={"split": {"by": "given", "column": "split"}})
    edit(world.root / "dvc.yaml", "[digits, breast_cancer, diabetes]", "[pets]")
    return found


def test_the_four_files_are_fetched_pinned_and_read(shop, server):
    assert shop.news() == f"{server}: another version"
    assert shop.refresh()[0] == "Ran"
    assert shop.pinned() == Web.files
    pin = json.loads(Path("data/pets/pin.json").read_text())
    assert sum(file["rows"] for file in pin["files"]) == 47
    assert set(pin["versions"]) == set(mnist_http.FILES)
    assert shop.world.run("ingest", "validate", "clean").joinpath("test.parquet").exists()


def test_nothing_is_fetched_again_until_a_file_is_another_version(shop, server, monkeypatch):
    shop.refresh()
    Web.asked.clear()
    assert shop.refresh() == ("Unchanged", f"{server}: nothing new")
    assert shop.news() == ""
    assert Web.asked == []
    monkeypatch.setattr(Web, "files", published(45))
    assert shop.news() == f"{server}: another version"
    assert "+5 rows" in shop.refresh()[1]
    assert shop.pinned() == Web.files


def test_a_server_that_names_no_versions_is_compared_by_content(shop, server, monkeypatch):
    monkeypatch.setattr(Web, "tags", False)
    shop.refresh()
    Web.asked.clear()
    assert shop.refresh() == ("Unchanged", f"{server}: the same content")
    assert len(Web.asked) == 4


def spoilt(fault: str) -> dict[str, bytes]:
    """The four files, of which the last one is not what it should be."""
    files, name = published(45), mnist_http.FILES[-1]
    if fault == "gone":
        del files[name]
    elif fault == "damaged":
        files[name] = files[name][:-6] + b"damage"
    elif fault == "one label too few":
        files[name] = gzip.compress(encoded(np.arange(6)))
    return files


FAULTS = {
    "gone": (DataError, "t10k-labels-idx1-ubyte.gz does not exist"),
    "damaged": (DataError, "t10k-labels-idx1-ubyte.gz cannot be read"),
    "one label too few": (DataError, "t10k-labels-idx1-ubyte.gz 6 labels"),
    "cut off": (UnreachableError, "cannot be read now"),
}


def test_what_cannot_be_fetched_whole_leaves_the_pinned_version(shop, monkeypatch):
    shop.refresh()
    before, pin = shop.pinned(), Path("data/pets/pin.json").read_text()
    for fault, (kind, told) in FAULTS.items():
        monkeypatch.setattr(Web, "files", spoilt(fault))
        monkeypatch.setattr(Web, "short", 9 if fault == "cut off" else 0)
        with pytest.raises(kind, match=told):
            shop.refresh()
        assert shop.pinned() == before, fault
        assert Path("data/pets/pin.json").read_text() == pin, fault


def test_a_server_that_is_away_is_told():
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:9/digits/train-images.* cannot be read now"):
        mnist_http.versions("http://127.0.0.1:9/digits/")
