"""Private columns of a request: read as `ingest` reads them, logged as they are read, and told without their values."""

import json

import pyarrow as pa
import pytest

from flows.registry import columns, reading
from flows.serving.problem import Problem
from flows.serving.rows import declared, meaning
from flows.serving.rows.table import TableRows
from pipelines import ingest
from pipelines.config.data import Data
from pipelines.errors import IntegrityError
from pipelines.ingest import Ingest
from pipelines.readers import hash_key
from tests.pipelines.readers.test_private import KEY

ROLES = {"mail": "category", "age": "number", "born": "date"}
DATA = Data(kind="table", task="classification", target="animal", columns=ROLES)
HOW = {"mail": "hash", "age": {"bin": 10}, "born": {"bin": "year"}, "name": "drop"}
ROW = {"mail": "maria@example.org", "age": 37, "year": 1987, "month": 3, "day": 14, "name": "Maria", "beside": 1}


@pytest.fixture
def config(tmp_path, monkeypatch):
    (tmp_path / "hash-key").write_text(KEY.hex())
    monkeypatch.setenv(hash_key.VARIABLE, str(tmp_path / "hash-key"))
    instants = {"born": ["year", "month", "day"]}
    given = {"private": HOW, "hash_key": hash_key.fingerprint(KEY), "instants": instants, "timezone": "UTC"}
    return Ingest(source="-", reader=2, **given)


@pytest.fixture
def rows(config, tmp_path):
    """The reader of a version's requests. (Its model has learned no word.)"""
    about = {"kind": "table", "numbers": ["age"], "categories": ["mail"], "dates": ["born"], "classes": ["cat", "dog"]}
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.json").write_text(json.dumps(about))
    (tmp_path / "model" / "architecture.json").write_text('{"config": {"layers": []}}')
    found = columns.describe(DATA, tmp_path / "model", config.instants, None, None)
    (tmp_path / "columns.json").write_text(json.dumps(found))
    reading.write(reading.content(config), tmp_path / "reading")
    means = meaning.of_version(tmp_path / "reading")
    hidden = declared.of_version(tmp_path, means.private)
    return TableRows(about, means, {"mail": frozenset()}, hidden)


def ingested(config, row):
    table = pa.table({name: [value] for name, value in row.items()} | {"animal": ["cat"]})
    batches = ingest.ingest(table.to_batches(), DATA, config.model_copy(update={"ignore": ["beside"]}), "rows")
    return pa.Table.from_batches(batches).to_pylist()[0]


def test_a_request_is_read_as_a_file_and_logged_as_it_is_read(rows, config):
    wanted, batch = ingested(config, ROW), rows.read([ROW])
    assert batch.arrays["categories"].tolist() == [[wanted["mail"]]]
    assert batch.arrays["numbers"].tolist() == [[wanted["age"]]] == [[30.0]]
    assert batch.raw == [{"mail": wanted["mail"], "age": 30.0, "born": "1987-01-01T00:00:00+00:00"}]
    again = rows.read(batch.raw)
    assert again.raw == batch.raw, "a row of the log is answered as the row that was logged"
    assert {name: again.arrays[name].tolist() for name in again.arrays} == {
        name: batch.arrays[name].tolist() for name in batch.arrays
    }


@pytest.mark.parametrize("change", [{"age": "thirty-seven"}, {"day": 99, "month": "thirty-seven"}])
def test_a_value_that_does_not_fit_is_not_told(rows, change):
    with pytest.raises(Problem) as caught:
        rows.read([ROW | change])
    assert "thirty" not in f"{caught.value.detail} {caught.value}"


def test_without_its_key_a_version_is_not_served(config, tmp_path, monkeypatch):
    reading.write(reading.content(config), tmp_path / "reading")
    monkeypatch.setenv(hash_key.VARIABLE, str(tmp_path / "none"))
    with pytest.raises(IntegrityError, match="none is not there: private columns are hashed with it"):
        meaning.of_version(tmp_path / "reading")


def test_a_private_column_that_names_an_event_is_logged_as_it_is_read(rows, config, tmp_path):
    """No model takes it, so columns.json does not have it."""
    more = Ingest.model_validate(config.model_dump() | {"private": HOW | {"card": "hash"}})
    reading.write(reading.content(more), tmp_path / "other")
    means = meaning.of_version(tmp_path / "other")
    found = declared.of_version(tmp_path, means.private, ["card"]).kept(ROW | {"card": 4711}, means)
    assert found["card"].startswith("h_")
    assert "name" not in found
