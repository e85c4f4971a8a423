"""Packed files: a bomb is refused where it is read, in one paragraph; what is packed counts as it is unpacked."""

import gzip
import json

import numpy as np
import pytest

from flows.new.text_files import dialect
from pipelines import ingest
from pipelines.errors import DataError
from pipelines.readers import compressed, sources
from tests.support.world import pets

ROWS = b"1.5,2,black,cat\n"
HEAD = b"weight,age,colour,animal\n"


def bomb(path, parts: int):
    """Some 16 MiB, packed to 50 KB, so many times: members of one gzip file."""
    path.write_bytes(gzip.compress(HEAD) + gzip.compress(ROWS * (1 << 20)) * parts)
    return path


def test_a_small_file_of_which_gigabytes_come_out_is_refused(tmp_path):
    path = bomb(tmp_path / "rows.csv.gz", 80)
    assert path.stat().st_size < 5_000_000
    with pytest.raises(DataError, match=r"unpacks from \d\.\d MB to more than 1\.1 GB, over 300 times") as caught:
        compressed.size(path)
    assert caught.value.do == "If the file is right, unpack it and send the unpacked file."


def test_what_is_small_or_shrinks_as_data_do_is_not(tmp_path, monkeypatch):
    path = bomb(tmp_path / "rows.csv.gz", 1)
    assert compressed.size(path) == len(HEAD) + (len(ROWS) << 20)
    monkeypatch.setattr(compressed, "SMALL", 1000)
    plain = pets(2000).to_csv(index=False).encode()
    path.write_bytes(gzip.compress(plain))
    assert compressed.size(path) == len(plain)


@pytest.mark.parametrize("name", ["rows.csv.gz", "rows.jsonl.gz", "train-labels-idx1-ubyte.gz"])
def test_every_reader_stops_there(tmp_path, monkeypatch, name):
    monkeypatch.setattr(compressed, "SMALL", 1 << 20)
    content = {
        "rows.csv.gz": HEAD + ROWS * (1 << 18),
        "rows.jsonl.gz": b'{"weight": 1.5}\n' * (1 << 18),
        "train-labels-idx1-ubyte.gz": bytes([0, 0, 8, 1]) + (1 << 22).to_bytes(4) + bytes(1 << 22),
    }[name]
    (tmp_path / name).write_bytes(gzip.compress(content))
    images = tmp_path / "train-images-idx3-ubyte.gz"
    images.write_bytes(gzip.compress(bytes([0, 0, 8, 3]) + (1 << 22).to_bytes(4) + (1).to_bytes(4) * 2))
    with pytest.raises(DataError, match="this could fill memory or disk"):
        list(sources.read(images if "idx" in name else tmp_path / name, ",", "utf-8"))


def test_an_archive_is_refused_by_what_it_says_of_its_members(tmp_path, monkeypatch):
    monkeypatch.setattr(compressed, "SMALL", 1 << 20)
    path = tmp_path / "images.npz"
    np.savez_compressed(path, x=np.zeros((50_000, 8, 8), np.uint8), y=np.zeros(50_000, np.uint8))
    with pytest.raises(DataError, match=r"images\.npz unpacks from"):
        list(sources.read(path, ",", "utf-8"))


def test_ratchet_new_refuses_it_too(tmp_path, monkeypatch):
    monkeypatch.setattr(compressed, "SMALL", 1 << 20)
    with pytest.raises(DataError, match="this could fill memory or disk"):
        dialect.sniff(bomb(tmp_path / "rows.csv.gz", 1), [])


def test_disk_is_asked_for_by_the_unpacked_size(world):
    content = pets(20_000).to_csv(index=False).encode()
    world.pin(gzip.compress(content), "rows.csv.gz")
    pin = json.loads((world.root / "data/pets/pin.json").read_text())
    pin["files"][0] |= {"rows": 20_000, "unpacked": compressed.size(world.root / "data/pets/source/rows.csv.gz")}
    assert pin["files"][0]["unpacked"] == len(content) > 2 * pin["files"][0]["bytes"]
    folder = world.run("ingest", "validate", "clean")
    assert sum(file.stat().st_size for file in folder.glob("*.parquet")) < ingest.disk_need(pin)
