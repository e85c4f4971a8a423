"""Encoding, delimiter and names, found from what a file's lines have in common."""

import csv
import gzip
import io
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.new.text_files.dialect import sniff
from pipelines.errors import DataError, RequestError

ROWS = [["name", "age", "city"], ["Ann, Dr.", "31", "Oslo"], ['the "best"', "45", "a;b"], ["Bo\nDe", "7", ""]]


def written(path: Path, rows: list[list[str]], delimiter: str = ",", encoding: str = "utf-8") -> Path:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows(rows)
    path.write_bytes(out.getvalue().encode(encoding))
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_delimiter_and_encoding_are_found(tmp_path, delimiter, encoding):
    rows = [*ROWS, ["Zoë", "50", "Köln"]]
    found = sniff(written(tmp_path / "a.csv", rows, delimiter, encoding), []).keys
    assert found.get("delimiter", ",") == delimiter
    assert found.get("encoding", "utf-8") == {"utf-8-sig": "utf-8"}.get(encoding, encoding)
    assert "names" not in found


@pytest.mark.parametrize(
    ("first", "named"),
    [
        (["name", "age", "city"], True),
        (["x1", "x2", "x3"], True),
        (["name", "31", "city"], False),
        (["Bo", "-4.5e3", ""], False),
        (["a", "b", "Oslo"], False),  # a name does not come again below
    ],
)
def test_the_first_line_names_the_columns_or_is_a_row(tmp_path, first, named):
    found = sniff(written(tmp_path / "a.csv", [first, *ROWS[1:]]), [])
    assert found.keys.get("names", "none") == ("none" if named else ["column_1", "column_2", "column_3"])
    assert ("names" in found.why) == (not named)


def test_a_line_with_the_name_that_a_person_gives_is_no_row(tmp_path):
    path = written(tmp_path / "a.csv", [["2019", "2020", "sold"], ["1", "2", "3"], ["4", "5", "sold"]])
    assert "names" in sniff(path, []).keys
    assert "names" not in sniff(path, [], "sold").keys


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32"])
def test_an_encoding_without_a_mark_is_found_too(tmp_path, encoding):
    found = sniff(written(tmp_path / "a.csv", ROWS, ";", encoding), [])
    assert found.keys == {"delimiter": ";", "encoding": encoding}


def test_a_long_cell_is_read_in_every_process(tmp_path):
    csv.field_size_limit(131_072)  # Python's own
    path = written(tmp_path / "a.csv", [ROWS[0], ["x" * 300_000, "1", "Oslo"]], ";")
    assert sniff(path, []).keys == {"delimiter": ";"}


@pytest.mark.parametrize("end", ["", "\n"])
def test_names_alone_are_no_table(tmp_path, end):
    (tmp_path / "a.csv").write_text(f"a,b,c{end}")
    with pytest.raises(DataError, match="holds no row"):
        sniff(tmp_path / "a.csv", [])


def test_given_names_are_taken_and_counted(tmp_path):
    path = written(tmp_path / "a.csv", ROWS[1:])
    assert sniff(path, ["a", "b", "c"]).keys == {"names": ["a", "b", "c"]}
    for names, problem in ((["a", "b"], "3 columns, and 2 names"), (["a", "b", "a"], "has 'a' twice")):
        with pytest.raises(RequestError, match=problem):
            sniff(path, names)
    with pytest.raises(RequestError, match="holds these names already"):
        sniff(written(path, ROWS), ROWS[0])


def test_a_compressed_file_is_looked_into(tmp_path):
    plain = written(tmp_path / "a.csv", ROWS, ";")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(plain.read_bytes()))
    assert sniff(tmp_path / "a.csv.gz", []).keys == {"delimiter": ";"}
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(plain.read_bytes())[:-9])
    with pytest.raises(DataError, match="cannot be read"):
        sniff(tmp_path / "a.csv.gz", [])


@pytest.mark.parametrize("content", [b"", b" \n\n", b"a,b\n1,\x002\n" * 9])
def test_what_is_no_table_is_refused(tmp_path, content):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DataError):
        sniff(tmp_path / "a.csv", [])


@given(st.binary(max_size=300))
def test_any_bytes_give_an_answer_or_a_paragraph(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "a.csv"
    path.write_bytes(content)
    with suppress(DataError):
        assert sniff(path, []).keys.get("delimiter", ",") in (";", "\t", "|", ",")
