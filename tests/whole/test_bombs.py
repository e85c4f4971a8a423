"""Bombs: small files that promise or unpack to more than memory or disk hold: one paragraph each, soon.

The files are read in one process that may not take more than MOST_MEMORY.
"""

import gzip
import io
import json
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from ruamel.yaml import YAML

from pipelines.config import settings
from pipelines.errors import DataError, SettingsError
from pipelines.readers import compressed, sources
from pipelines.readers.formats import parquet
from tests.support.world import ROOT

MOST_MEMORY = 3 << 30  # bytes of addresses: the libraries alone take a third of it
MOST_SECONDS = 20  # for all, on a busy machine
READ = """
import json, resource, sys, time
from pathlib import Path
from pipelines.config import settings
from pipelines.readers import images, sources
from pipelines.errors import RatchetError
import pandas, PIL.Image, pyarrow.csv, pyarrow.parquet
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
for name in sys.argv[2:]:
    start, path = time.monotonic(), Path(name)
    try:
        if path.suffix == ".yaml":
            settings.read(path.stem)
        elif sources.format_of(path) == "image":
            images.pixels(path, [4, 4, 1], "box")
        else:
            for batch in sources.read(path, ",", "utf-8"):
                pass
        told = "read"
    except RatchetError as error:
        told = str(error)
    except BaseException as error:
        told = f"UNFORESEEN {type(error).__name__}: {error}"
    print(json.dumps([path.name, told, time.monotonic() - start]), flush=True)
"""


def once(path: Path) -> None:
    """4 MB of text, once in the file and in each of 100,000 rows."""
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(100_000, np.int32)), pa.array(["x" * 4_000_000]))
    pq.write_table(pa.table({"s": text}), path, compression="zstd")


def once_as_text(path: Path) -> None:
    """The same by a writer that tells nothing of Arrow's types."""
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(100_000, np.int32)), pa.array(["x" * 4_000_000]))
    pq.write_table(pa.table({"s": text}), path, compression="zstd", store_schema=False)


def deep(path: Path) -> None:
    found = pa.array([1])
    for _ in range(400):
        found = pa.StructArray.from_arrays([found], ["f"])
    pq.write_table(pa.table({"n": found}), path)


def member(name: str, head: dict[str, object], content: bytes) -> tuple[str, bytes]:
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, head)
    return name, out.getvalue() + content


def archive(*members: tuple[str, bytes]):
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
            for name, content in members:
                out.writestr(name, content)

    return write


def head(kind: str, *shape: int) -> dict[str, object]:
    return {"descr": kind, "fortran_order": False, "shape": shape}


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def huge(path: Path) -> None:
    """An image of 60,000 x 60,000 pixels."""
    shape = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", shape) + chunk(b"IDAT", zlib.compress(bytes(100_000))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def frames(path: Path) -> None:
    images = [Image.new("RGB", (8, 8), (number % 256, number // 256, 0)) for number in range(500)]
    images[0].save(path, save_all=True, append_images=images[1:])


def text(content: str):
    return lambda path: path.write_text(content)


def zipped(*parts: bytes):
    return lambda path: path.write_bytes(b"".join(gzip.compress(part, 1) for part in parts))


def laughs() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    return "\n".join(["format: 1", *lines])


BOMBS = {  # name -> (how it is written, what is said)
    "once.parquet": (once, r"once\.parquet unpacks from 0\.0 MB to more than 1\.1 GB"),
    "once_as_text.parquet": (once_as_text, r"once_as_text\.parquet unpacks from"),
    "deep.parquet": (deep, r"deep\.parquet (is nested more than 50 deep|cannot be read)"),
    "shape.npz": (
        archive(
            member("x.npy", head("|u1", 10**12, 8, 8), bytes(640)), member("y.npy", head("<i8", 10**12), bytes(80))
        ),
        r"shape\.npz is not a complete NumPy archive: .* bytes of x are missing",
    ),
    "wide_labels.npz": (
        archive(member("x.npy", head("|u1", 9, 1, 1), bytes(9)), member("y.npy", head("<U99999999", 9), bytes(80))),
        r"wide_labels\.npz is not a complete NumPy archive: .* bytes of y are missing",
    ),
    "objects.npz": (
        archive(member("x.npy", head("|O", 2), b"\x80"), member("y.npy", head("<i8", 2), bytes(16))),
        "holds Python objects",
    ),
    "train-labels-idx1-ubyte": (lambda path: path.write_bytes(bytes([0, 0, 8, 1]) + b"\xff" * 4), None),
    "train-images-idx3-ubyte": (
        lambda path: path.write_bytes(bytes([0, 0, 8, 3]) + b"\xff" * 4 + bytes([0, 0, 0, 9]) * 2),
        r"train-labels-idx1-ubyte is cut off: 4,294,967,295 bytes are missing",
    ),
    "huge.png": (
        huge,
        r"huge\.png (has more than 100,000,000 pixels|is not a complete, readable image: .* decompression bomb)",
    ),
    "frames.gif": (frames, r"frames\.gif holds 500 images"),
    "line.jsonl.gz": (zipped(b'{"a": "', b"x" * (60 << 20), b'"}\n'), r"line 1 is longer than 4,194,304 characters"),
    "deep.jsonl": (text("[" * 1_000_000), r"deep\.jsonl: line 1 is not JSON: maximum recursion depth"),
    "keys.jsonl": (
        text("".join(json.dumps({f"k{n}": n}) + "\n" for n in range(120_000))),
        r"keys\.jsonl has more than 100,000 columns",
    ),
    "cell.csv.gz": (zipped(b"a,b\n1,", b"x" * (60 << 20), b"\n2,3\n"), r"line 2 is longer than 4,194,304 characters"),
    "header.csv": (text("a," * 1_000_000 + "a\n1\n"), r"header\.csv has more than 100,000 columns"),
    "laughs.yaml": (text(laughs()), r"laughs\.yaml is not valid YAML: it holds more than 1,000,000 values"),
    "itself.yaml": (text("format: 1\na: &a [*a]\n"), r"itself\.yaml is not valid YAML: it is nested more than 50 deep"),
    "nested.yaml": (text(f"format: 1\na: {'[' * 100}{']' * 100}\n"), r"nested\.yaml is not valid YAML: it is nested"),
    "deepest.yaml": (text(f"format: 1\na: {'[' * 20_000}\n"), r"deepest\.yaml is not valid YAML"),
}


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> dict[str, tuple[str, float]]:
    """What is said of each, and after how many seconds: read by one process of limited memory."""
    folder = tmp_path_factory.mktemp("bombs")
    (folder / "models").mkdir()
    names = []
    for name, (write, _) in BOMBS.items():
        path = folder / "models" / name if name.endswith(".yaml") else folder / name
        write(path)
        names.append(str(path))
    command = [sys.executable, "-c", READ, str(MOST_MEMORY), *names]
    done = subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return {name: (said, seconds) for name, said, seconds in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize(("name", "problem"), [(name, said) for name, (_, said) in BOMBS.items() if said])
def test_a_bomb_is_one_paragraph(told, name, problem):
    import re

    said, _ = told[name]
    assert re.search(problem, said), said
    assert "\n" not in said


def test_they_are_found_soon(told):
    assert sum(seconds for _, seconds in told.values()) < MOST_SECONDS, told


def test_rows_and_lists_that_repeat_one_value_are_counted_by_the_head_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(compressed, "SMALL", 1 << 20)
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"a": pa.array(np.zeros(1_000_000))}), path)
    with pytest.raises(DataError, match=r"rows\.parquet unpacks from"):
        parquet.rows(path)
    values = pa.array(np.zeros(1_000_000, np.int8))
    pq.write_table(pa.table({"l": pa.ListArray.from_arrays(pa.array([0, 1_000_000], pa.int32()), values)}), path)
    with pytest.raises(DataError, match=r"rows\.parquet unpacks from"):
        parquet.rows(path)


@pytest.mark.parametrize("store", [True, False])
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary()])
def test_what_is_read_is_what_was_written_also_where_values_stand_once(tmp_path, monkeypatch, kind, store):
    """The way in which a possible bomb is read gives the same rows."""
    random = np.random.default_rng(0)
    words = [None if word == "b" else word for word in random.choice(["a", "b", "ccc"], 50_000)]
    table = pa.table({"s": pa.array(words, kind), "n": pa.array(range(50_000))})
    path = tmp_path / "rows.parquet"
    pq.write_table(table, path, row_group_size=20_000, store_schema=store)
    usual = pa.Table.from_batches(sources.read(path, ",", "utf-8"))
    monkeypatch.setattr(parquet, "BATCH_ROWS", 1 << 30)
    assert parquet._written_once(pq.read_metadata(path)) == ["s"]
    other = pa.Table.from_batches(sources.read(path, ",", "utf-8"))
    assert other == usual
    assert other["s"].to_pylist() == table["s"].to_pylist()


def test_a_declaration_with_some_aliases_is_read(world):
    path = world.root / "models" / "pets.yaml"
    content = YAML().load(path)
    path.write_text(path.read_text() + "\n")
    content["promote"]["slices"] = {}
    assert settings.read("pets")["format"] == 1
    path.write_text("format: 1\nfirst: &x {a: 1}\nsecond: *x\n")
    assert settings.read("pets")["second"] == {"a": 1}
    path.write_text(laughs())
    with pytest.raises(SettingsError, match="once its aliases are expanded"):
        settings.read("pets")
