"""Hidden copies: what is pinned holds no private value, and reads as the file itself is read."""

import gzip
import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.data.arrivals import hidden_copies
from flows.project.environment import Project
from pipelines import ingest, model_file
from pipelines.errors import DataError
from pipelines.readers import hash_key, sources
from tests.pipelines.readers.test_private import KEY
from tests.support import finder

ROLES = {"mail": "category", "phone": "carried", "age": "number", "born": "date", "note": "carried"}
HOW = {
    "mail": "hash",
    "phone": {"mask": {"last": 2}},
    "age": {"bin": 7.5},
    "born": {"bin": "month"},
    "name": "drop",
}
KEYS = {"source": "data/incoming/pets/", "reader": 2, "private": HOW, "timezone": "UTC"}
ROWS = [
    {"name": f"Person {n}", "mail": f"someone-{n}@example.org", "phone": f"0301234{n:03}", "age": 20.515625 + n / 8}
    | {"born": f"1987-{n % 12 + 1:02}-{n % 28 + 1:02}", "note": f'it is "quoted", {n}\nover lines', "animal": "cat"}
    for n in range(120)
] + [{"name": "", "mail": "", "phone": "NA", "age": None, "born": "", "note": "", "animal": "dog"}]
SECRET = {row["mail"] for row in ROWS[:-1]} | {row["name"] for row in ROWS[:-1]} | {row["phone"] for row in ROWS[:-1]}
SECRET |= {str(row["age"]) for row in ROWS[:-1]}


def csv_text(delimiter=",", decimal="."):
    return pd.DataFrame(ROWS).to_csv(index=False, sep=delimiter, decimal=decimal)


def lines():
    return "".join(json.dumps({key: value for key, value in row.items() if value != ""}) + "\n" for row in ROWS)


def parquet(path):
    table = pa.Table.from_pandas(pd.DataFrame(ROWS).replace({"": None, "NA": None}), preserve_index=False)
    born = table["born"].cast(pa.timestamp("us"))
    pq.write_table(table.set_column(table.schema.get_field_index("born"), "born", born), path)


FILES = {
    "rows.csv": (lambda path: path.write_text(csv_text()), {}),
    "rows.tsv": (lambda path: path.write_text(csv_text("\t")), {}),
    "rows.csv.gz": (lambda path: path.write_bytes(gzip.compress(csv_text().encode())), {}),
    "latin.csv": (lambda path: path.write_text(csv_text(";", ","), "latin-1"), {"delimiter": ";", "decimal": ","}),
    "rows.jsonl": (lambda path: path.write_text(lines()), {}),
    "rows.parquet": (parquet, {}),
    "none.csv": (
        lambda path: path.write_text(csv_text().partition("\n")[2]),
        {"names": ["name", "mail", "phone", "age", "born", "note", "animal"]},
    ),
}


@pytest.fixture
def declare(world, monkeypatch):
    (world.root / "key").write_text(KEY.hex())
    monkeypatch.setenv(hash_key.VARIABLE, str(world.root / "key"))
    data = {"kind": "table", "task": "classification", "target": "animal", "columns": ROLES}

    def declared(**more):
        keys = KEYS | {"hash_key": hash_key.fingerprint(KEY)} | more
        world.declare(data_=data, ingest_=keys, clean_={"split": {"by": "hash", "seed": 0}})
        return model_file.check("pets")

    return declared


def made(world, declared, path):
    project = Project(world.root, world.root / "state", "", "")
    return hidden_copies.of(project, declared, path.parent, [path]) / path.name


def read(declared, path):
    config = declared.ingest
    found = sources.read(path, config.delimiter, config.encoding, config.names, layout=config)
    return pa.Table.from_batches(ingest.ingest(found, declared.data, config, path.name))


@pytest.mark.parametrize("name", FILES)
def test_a_copy_reads_as_its_file_and_holds_no_private_value(world, declare, name):
    write, keys = FILES[name]
    declared, path = declare(**keys), world.root / "in" / name
    path.parent.mkdir()
    write(path)
    assert len(set().union(*finder.found(SECRET, path.parent).values())) > 0.7 * len(SECRET)
    copy = made(world, declared, path)
    assert read(declared, copy).equals(read(declared, path))
    assert finder.found(SECRET, world.root / "state") == {}


def test_a_copy_is_made_again_when_the_file_or_the_rules_change_and_goes_with_it(world, declare):
    path = world.root / "in" / "rows.csv"
    path.parent.mkdir()
    path.write_text(csv_text())
    declared = declare()
    copy = made(world, declared, path)
    first, status = copy.read_bytes(), copy.stat()
    assert made(world, declared, path).stat().st_mtime_ns == status.st_mtime_ns
    path.write_text(csv_text() + "Eva,eva@example.org,030,33,1990-01-02,,cat\n")
    assert made(world, declared, path).read_bytes().startswith(first), "a file that grew at its end has such a copy"
    assert made(world, declare(private=HOW | {"age": {"bin": 10}}), path).read_bytes() != first
    project = Project(world.root, world.root / "state", "", "")
    hidden_copies.of(project, declare(), path.parent, [])
    assert not copy.exists()


def test_a_value_that_does_not_fit_is_told_without_it_and_no_copy_is_left(world, declare):
    path = world.root / "in" / "rows.csv"
    path.parent.mkdir()
    path.write_text(csv_text().replace("20.515625", "twenty"))
    with pytest.raises(DataError, match=r"rows\.csv: Row 1, column 'age': a sensitive value is not a number") as caught:
        made(world, declare(), path)
    assert "twenty" not in str(caught.value)
    assert [one.name for one in (world.root / "state" / "hidden" / "pets").iterdir() if "csv" in one.suffix] == []


@pytest.mark.parametrize(
    ("keys", "names", "told"),
    [
        ({}, ["rows.csv", "rows.parquet"], ""),
        ({}, ["rows.csv", "rows.npz"], "rows.npz is no table"),
        ({"source": "/elsewhere/rows.csv"}, ["rows.csv"], "no file inside the project"),
        ({"skip": 2}, ["rows.csv"], "`ingest: skip:`"),
        ({"quote": "none"}, ["rows.csv"], "no quotes"),
        ({"missing": []}, ["rows.csv"], "no mark"),
    ],
)
def test_what_cannot_be_copied_so_is_named(declare, keys, names, told):
    found = hidden_copies.plain(declare(**keys), names)
    assert told in found
    assert bool(found) == bool(told)
