"""The same rows have the same identities and values, whatever the types and the format that they come in."""

import json

import pandas as pd
import pytest

from flows.registry.served import _cells
from pipelines.readers.meaning import values
from tests.pipelines.readers import same_rows

READ = {
    ".parquet": pd.read_parquet,
    ".csv": pd.read_csv,
    ".tsv": lambda path: pd.read_csv(path, sep="\t"),
    ".jsonl": lambda path: pd.DataFrame(map(json.loads, path.read_text().splitlines())),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("formats")
    return [
        path for turn, table in enumerate(same_rows.tables()) for path in same_rows.written(table, folder / str(turn))
    ]


def test_the_same_rows_are_the_same_in_every_type_and_format(files):
    found = {path: same_rows.ingested(path) for path in files}
    first = found[files[0]]
    assert len({*first["row_id"].to_pylist()}) == len(same_rows.AT)
    for path, table in found.items():
        for name in first.column_names:
            assert table[name].to_pylist() == first[name].to_pylist(), f"{name} in {path}"


def test_single_rows_of_a_program_mean_what_the_file_means(files):
    wanted = same_rows.ingested(files[0])
    for path in (path for path in files if path.suffix in READ):
        frame = READ[path.suffix](path)
        for name in same_rows.DATA.features:
            role = same_rows.DATA.columns[name]
            found = values.read(_cells(frame[name]), role, same_rows.CONFIG.rules, name)
            assert found == wanted[name].to_pylist(), f"{name} in {path}"
