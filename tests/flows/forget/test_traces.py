"""Traces: a value is found in whatever is packed around it, and never as a part of another word."""

import gzip
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.forget import traces as module
from flows.forget.traces import Traces

TRACES = Traces({"p00017x", "Anna Bodø", "45321.123"})


@pytest.mark.parametrize(
    "text",
    [
        "p00017x",
        "id=p00017x,",
        '"p00017x"',
        "say Anna Bodø.",
        json.dumps(["Anna Bodø"]),
        "[45321.123, 2]",
        "\n45321.123",
    ],
)
def test_a_value_is_found_between_whatever_stands_around_it(text):
    assert TRACES.in_text(text.encode())


@pytest.mark.parametrize("text", ["p00017xy", "xp00017x", "Anna", "Anna Bodøn", "45321.1234", "145321.123", ""])
def test_a_part_of_another_word_is_no_value(text):
    assert not TRACES.in_text(text.encode())


def parquet(values: list[object]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"row": pa.array([{"deep": [value]} for value in values])}), out)
    return out.getvalue()


def archive(values: list[str]) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, names=np.array(values))
    return out.getvalue()


@pytest.mark.parametrize("pack", [gzip.compress, lambda text: gzip.compress(gzip.compress(text))])
def test_what_is_packed_is_unpacked(pack):
    assert TRACES.in_bytes(pack(b"a p00017x b"))
    assert not TRACES.in_bytes(pack(b"a p00018x b"))


def test_tables_and_archives_are_read():
    assert TRACES.in_bytes(parquet(["p00017x"]))
    assert TRACES.in_bytes(parquet([45321.123]))
    assert not TRACES.in_bytes(parquet(["p00018x"]))
    assert TRACES.in_bytes(archive(["p00018x", "p00017x"]))
    assert not TRACES.in_bytes(archive(["p00018x"]))
    assert TRACES.in_bytes(gzip.compress(parquet(["p00017x"])))


def test_a_value_across_two_blocks_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 1_000)
    path = tmp_path / "long"
    for before in range(990, 1_001):
        path.write_bytes(b"." * before + b"Anna Bod\xc3\xb8" + b"." * 500)
        assert TRACES.in_file(path), before


def test_damaged_files_are_read_as_they_are(tmp_path):
    path = tmp_path / "torn.gz"
    path.write_bytes(gzip.compress(b"nothing")[:-6] + b" p00017x")
    assert TRACES.in_file(path)
