"""Bytes that are no text: names of columns, cells, and half characters of JSON, each refused in one paragraph."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import ingest
from pipelines.config.data import Data
from pipelines.errors import DataError
from pipelines.readers import sources

DATA = Data.model_validate({"kind": "table", "task": "regression", "target": "y", "columns": {"word": "category"}})


def rows(path: Path, reader: int = 2) -> list:
    content = sources.read(path, ",", "utf-8")
    return list(ingest.ingest(content, DATA, ingest.Ingest(source="-", reader=reader), path.name))


@pytest.mark.parametrize("stored", [True, False])
def test_the_name_of_a_column_of_parquet(tmp_path, stored):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"word": ["a"], "y": [1]}), path, store_schema=stored)
    path.write_bytes(path.read_bytes().replace(b"word", b"wo\xff\xfe"))
    with pytest.raises(DataError, match=r"the name of the column b'wo\\xff\\xfe' is no text in UTF-8. Rename"):
        rows(path)


@pytest.mark.parametrize("reader", [1, 2])
def test_a_cell_of_parquet_that_claims_to_be_text(tmp_path, reader):
    cells = pa.array([b"ok", b"\xff"])
    text = pa.Array.from_buffers(pa.string(), 2, cells.buffers())
    pq.write_table(pa.table({"word": text, "y": [1, 2]}), tmp_path / "rows.parquet")
    with pytest.raises(DataError, match=r"olumn 'word'.* no text in UTF-8.*Write"):
        rows(tmp_path / "rows.parquet", reader)


@pytest.mark.parametrize("line", ['{"word": "a\\ud800", "y": 1}', '{"wo\\uDFFFrd": "a", "y": 1}'])
def test_half_a_character_of_json(tmp_path, line):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"word": "\\u00e4 \\ud83d\\ude00", "y": 1}\n' + line + "\n")
    with pytest.raises(DataError, match="line 2 holds half of a character"):
        rows(path)
    path.write_text('{"word": "\\u00e4 \\ud83d\\ude00", "y": 1}\n')
    assert rows(path)[0]["word"].to_pylist() == ["ä 😀"]
