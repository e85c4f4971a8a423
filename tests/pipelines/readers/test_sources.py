"""Sources: what is pinned is what is read, and nothing else."""

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from sklearn import datasets

from pipelines.errors import DataError, IntegrityError, RequestError
from pipelines.readers import sources
from tests.support.world import pets


def read(path, delimiter=",", encoding="utf-8"):
    return [row for batch in sources.read(path, delimiter, encoding) for row in batch.to_pylist()]


def test_csv_cells_are_text_and_none_is_guessed(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text('a,b\n1,"x\ny"\nNA,\n')
    assert read(path) == [{"a": "1", "b": "x\ny"}, {"a": "NA", "b": ""}]


def test_delimiter_encoding_and_byte_order_mark(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes("a;b\né;2\n".encode("latin-1"))
    assert read(path, ";", "latin-1") == [{"a": "é", "b": "2"}]
    path.write_bytes("a,b\né,2\n".encode("utf-8-sig"))
    assert read(path) == [{"a": "é", "b": "2"}]


def test_a_large_csv_arrives_in_blocks(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a,b\n" + "some text,7\n" * 1_000_000)
    batches = [batch.num_rows for batch in sources.read(path, ",", "utf-8")]
    assert sum(batches) == 1_000_000
    assert len(batches) > 2


def test_memory_does_not_grow_with_a_parquet_file(tmp_path):
    table = pa.table({f"x{index}": np.random.default_rng(index).random(400_000) for index in range(10)})
    path = tmp_path / "x.parquet"
    pyarrow.parquet.write_table(table, path, row_group_size=10_000)
    del table
    before = pa.total_allocated_bytes()
    most = max(pa.total_allocated_bytes() - before for _ in sources.read(path, ",", "utf-8"))
    assert most < path.stat().st_size / 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"x\.csv is empty. Send it again"),
        (b"a,b\n1,2\n3\n", r"x\.csv: line 3 has 1 cell, and the header has 2. Correct the line"),
        (b"a,b\n1,2\n3,4,5\n", r"x\.csv: line 3 has 3 cells, and the header has 2. Correct the line"),
        (b"a,b\n\xff,2\n", r"x\.csv: line 2 is not utf-8: it holds the byte 0xff after ''. Save the file"),
    ],
    ids=["empty", "short", "long", "bytes"],
)
def test_a_csv_that_cannot_be_read_names_the_file_and_the_row(tmp_path, content, message):
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(path)


def test_a_torn_parquet_file_and_an_unknown_kind_are_told(tmp_path):
    path = tmp_path / "x.parquet"
    pets().to_parquet(path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"x\.parquet cannot be read"):
        read(path)
    with pytest.raises(
        DataError, match=r"x\.xlsx: a \.xlsx file cannot be read; known: \.csv, .*Save the sheet as CSV"
    ):
        read(tmp_path / "x.xlsx")


def test_json_lines_are_text_as_it_stands_there_and_a_key_that_is_missing_is_none(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 0.12345678901234567890, "b": "é"}\n\n{"b": null, "a": 1e5}\n{"c": true, "a": -7}\n')
    assert read(path) == [
        {"a": "0.12345678901234567890", "b": "é", "c": None},
        {"a": "1e5", "b": None, "c": None},
        {"a": "-7", "b": None, "c": "true"},
    ]


def test_many_json_lines_arrive_in_batches(tmp_path):
    path = tmp_path / "x.ndjson"
    path.write_text('{"a": 1}\n' * 40_000)
    assert [batch.num_rows for batch in sources.read(path, ",", "utf-8")] == [16_384, 16_384, 7_232]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"a": [1]}', r"line 2, key 'a' holds a list, but a cell must be one value"),
        ('{"a": {"b": 1}}', r"line 2, key 'a' holds a dict"),
        ("[1]", "line 2 is not a JSON object"),
        ('{"a": 1', "line 2 is not JSON"),
    ],
)
def test_a_json_line_that_is_no_row_is_refused_with_its_number(tmp_path, line, expected):
    path = tmp_path / "x.jsonl"
    path.write_text(f'{{"a": 1}}\n{line}\n')
    with pytest.raises(DataError, match=expected):
        read(path)


def test_pinned_files_are_checked_by_content(world):
    path = world.pin(pets())
    pin = sources.read_pin("pets")
    assert sources.check_files("pets", pin) == [path.relative_to(world.root)]
    before = path.read_bytes()
    path.write_bytes(before.replace(b"dog", b"cat", 1))  # the same size
    with pytest.raises(IntegrityError, match=r"rows\.csv differs from the pin.*dvc checkout --force"):
        sources.check_files("pets", pin)
    path.write_bytes(before)
    (path.parent / "more.csv").write_text("x")
    with pytest.raises(IntegrityError, match=r"more\.csv is not pinned"):
        sources.check_files("pets", pin)
    (path.parent / "more.csv").unlink()
    path.unlink()
    with pytest.raises(IntegrityError, match=r"The pinned file .*rows\.csv is missing\. Bring it back: dvc checkout"):
        sources.check_files("pets", pin)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (None, DataError, "the data are not pinned yet. Pin them: `ratchet run pets`"),
        ("{", IntegrityError, "is not valid JSON"),
        ("[]", IntegrityError, "is not a pin of format 1"),
        ({"format": 2}, IntegrityError, "is not a pin of format 1"),
        ({"format": 1, "source": "x", "kind": "files"}, IntegrityError, "is not a pin of format 1"),
        ({"format": 1, "source": "x", "kind": "builtin"}, IntegrityError, "is not a pin of format 1"),
        *(
            (
                {"format": 1, "source": "x", "kind": "files", "files": [{"name": name, "bytes": 1, "sha256": "0"}]},
                IntegrityError,
                "is not a pin of format 1",
            )
            for name in ("../x", "/x", "a/../../x", "a//x", "./x", ".", "", "a/", 7)
        ),
    ],
)
def test_a_pin_that_is_none_is_told(world, content, error, message):
    if content is not None:
        path = world.root / "data" / "pets" / "pin.json"
        path.parent.mkdir(parents=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(error, match=re.escape(message)):
        sources.read_pin("pets")


def test_built_in_sets_hold_scikit_learns_values():
    digits = sources.builtin("digits")
    assert digits["image"][5].as_py() == datasets.load_digits().images[5].astype(np.uint8).tobytes()
    assert digits["digit"].to_pylist() == datasets.load_digits().target.tolist()
    cancer = sources.builtin("breast_cancer")
    assert cancer["worst_fractal_dimension"].to_pylist() == datasets.load_breast_cancer().data[:, -1].tolist()
    assert cancer["diagnosis"].to_pylist().count("malignant") == 212
    diabetes = sources.builtin("diabetes")
    assert (diabetes.num_rows, set(diabetes["sex"].to_pylist())) == (442, {"1", "2"})


def test_the_hash_of_a_built_in_set_depends_on_its_rows_alone():
    table = sources.builtin("diabetes")
    shuffled = table.take(np.random.default_rng(0).permutation(len(table))).select(sorted(table.column_names))
    assert sources.builtin_hash(shuffled) == sources.builtin_hash(table)
    assert sources.builtin_hash(table.slice(1)) != sources.builtin_hash(table)


def test_an_unknown_built_in_set_is_refused_with_the_nearest_name():
    with pytest.raises(RequestError, match=r"no built-in set 'digit'.*did you mean 'digits'"):
        sources.builtin("digit")
