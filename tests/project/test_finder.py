"""The finder of planted values (tests/support/finder.py) sees what is packed, and does not see what is not there."""

import base64
import gzip
import hashlib
import json
import sqlite3
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support import clone, finder

WORD, NUMBER, DATE = "maria.k@example.org", "48213.75", "1987-03-14"
PLANTED = {WORD, NUMBER, DATE}


def _text(folder):
    (folder / "page.html").write_text(f"<td>{WORD}</td> {NUMBER} {DATE}T00:00:00+00:00")


def _utf_16(folder):
    (folder / "page.txt").write_text(f"{WORD} {NUMBER} {DATE}", encoding="utf-16")


def _name(folder):
    (folder / f"{WORD} {NUMBER} {DATE}").touch()


def _packed(folder):
    inner = gzip.compress(f"{WORD} {NUMBER} {DATE}".encode())
    (folder / "packed.gz").write_bytes(gzip.compress(inner))


def _zstd(folder):
    with pa.output_stream(str(folder / "packed.zst"), compression="zstd") as stream:
        stream.write(f"{WORD} {NUMBER} {DATE}".encode())


def _arrays(folder):
    dates = np.array([DATE], "datetime64[us]").astype(np.int64)
    np.savez_compressed(folder / "arrays.npz", words=np.array([WORD]), numbers=np.array([float(NUMBER)]), dates=dates)


def _columns(folder):
    dates = pa.array([DATE, "2000-01-01"]).cast(pa.timestamp("us"))
    columns = {"word": [WORD, "x"], "number": [float(NUMBER), 1.0], "date": dates, "list": [[WORD], []]}
    pq.write_table(pa.table(columns), folder / "rows.parquet", compression="zstd")


def _dictionary(folder):
    """Values of a dictionary that no row has any more."""
    codes = pa.array([0, 0], pa.int32())
    column = pa.DictionaryArray.from_arrays(codes, pa.array(["x", WORD, NUMBER, DATE]))
    pq.write_table(pa.table({"word": column}), folder / "rows.parquet", compression="zstd")


def _base64(folder):
    content = base64.b64encode(f"row: {WORD} {NUMBER} {DATE}".encode()).decode()
    (folder / "line.jsonl").write_text(json.dumps({"image": content}))


def _hashes(folder):
    digests = [hashlib.sha256(value.encode()).hexdigest()[:32] for value in sorted(PLANTED)]
    (folder / "ids.txt").write_text("\n".join(digests))


def _database(folder):
    with sqlite3.connect(folder / "rows.db") as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE rows (word TEXT, number REAL, content BLOB)")
        database.execute("INSERT INTO rows VALUES (?, ?, ?)", (WORD, float(NUMBER), zlib.compress(DATE.encode())))


def _deleted(folder):
    with sqlite3.connect(folder / "rows.db") as database:
        database.execute("PRAGMA secure_delete = OFF")
        database.execute("CREATE TABLE rows (word TEXT)")
        database.execute("INSERT INTO rows VALUES (?)", (f"{WORD} {NUMBER} {DATE}",))
        database.commit()
        database.execute("DELETE FROM rows")


def _unreachable(folder):
    """An object that no branch reaches, first loose, then in a pack."""
    clone.git(folder, "init", "-q", "-b", "main")
    (folder / "rows.csv").write_text(f"{WORD} {NUMBER} {DATE}")
    clone.git(folder, "add", "-A")
    clone.git(folder, "commit", "-q", "-m", "rows")
    clone.git(folder, "repack", "-adq")
    clone.git(folder, "rm", "-q", "rows.csv")
    clone.git(folder, "commit", "-q", "--amend", "--allow-empty", "-m", "none")


KEPT = [_text, _utf_16, _name, _packed, _zstd, _arrays, _columns, _dictionary]
KEPT += [_base64, _hashes, _database, _deleted, _unreachable]


@pytest.mark.parametrize("kept", KEPT)
def test_it_is_found_however_it_is_kept(kept, tmp_path):
    kept(tmp_path)
    everywhere = set().union(*finder.found(PLANTED | {"not there"}, tmp_path).values())
    assert everywhere == PLANTED


def test_what_is_only_alike_is_not_found(tmp_path):
    (tmp_path / "page.html").write_text("maria.k@example.com 48213.7 1987-03-15")
    np.savez_compressed(tmp_path / "arrays.npz", numbers=np.array([48213.751]))
    assert finder.found(PLANTED, tmp_path) == {}


def test_a_thousand_values_are_told_apart(tmp_path):
    values = [f"person-{number}@example.org" for number in range(1000)]
    (tmp_path / "half.gz").write_bytes(gzip.compress("\n".join(values[::2]).encode()))
    assert finder.found(values, tmp_path) == {tmp_path / "half.gz": set(values[::2])}


def test_what_is_skipped_is_not_looked_at(tmp_path):
    (tmp_path / "data").mkdir()
    _text(tmp_path / "data")
    assert finder.found(PLANTED, tmp_path, skip=[tmp_path / "data"]) == {}
