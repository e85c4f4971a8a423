"""Every cell comes back as it was written, and what is no table is told, with its line and what to do."""

import csv
import gzip
import io
import json
from contextlib import suppress

import pyarrow as pa
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pipelines.errors import DataError, RatchetError
from pipelines.ingest import Ingest
from pipelines.readers import sources, text_errors
from pipelines.readers.formats import text

cells = st.text(st.sampled_from('a",;\t\n é€😀\u2028\x0b'), max_size=6) | st.text(max_size=4)
CRLF = ("\n", "\r\n", "\r")


def read(path, delimiter=",", encoding="utf-8", names=()):
    found = list(sources.read(path, delimiter, encoding, names))
    return [row for batch in found for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)]


def refused(path, *settings) -> str:
    """The paragraph that reading a file ends with; it names the file, and says what to do."""
    with pytest.raises(DataError) as caught:
        read(path, *settings)
    assert str(path) in caught.value.what
    assert caught.value.do
    return str(caught.value)


def written(table, delimiter, ending="\n", quoting=csv.QUOTE_MINIMAL) -> str:
    """By Python's own writer, which leaves a line end bare in a cell where lines end otherwise."""
    quoting = quoting if ending == "\r\n" else csv.QUOTE_ALL
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, lineterminator=ending, quoting=quoting).writerows(table)
    return file.getvalue()


@st.composite
def tables(draw):
    """A table of text without its header, at least one column wide."""
    width = draw(st.integers(1, 4))
    return draw(st.lists(st.lists(cells, min_size=width, max_size=width), min_size=1, max_size=8))


def header(table) -> list[str]:
    return [f"c{index}" for index in range(len(table[0]))]


@given(
    tables(),
    st.sampled_from(",;\t|"),
    st.sampled_from(CRLF),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.booleans(),
)
def test_a_csv_comes_back_cell_for_cell(tmp_path_factory, table, delimiter, ending, encoding, quoting, zipped):
    content = written([header(table), *table], delimiter, ending, quoting).encode(encoding)
    path = tmp_path_factory.mktemp("t") / ("x.csv.gz" if zipped else "x.csv")
    path.write_bytes(gzip.compress(content) if zipped else content)
    assert read(path, delimiter, encoding) == [tuple(row) for row in table]


@given(tables(), st.booleans())
def test_json_lines_come_back_value_for_value(tmp_path_factory, table, zipped):
    rows = [dict(zip(header(table), row, strict=True)) for row in table]
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8")
    path = tmp_path_factory.mktemp("t") / ("x.jsonl.gz" if zipped else "x.jsonl")
    path.write_bytes(gzip.compress(content) if zipped else content)
    assert read(path) == [tuple(row) for row in table]


KINDS = ["x.csv", "x.tsv", "x.jsonl", "x.csv.gz", "x.parquet", "x.npz", "x-images-idx3-ubyte", "x.xls", "x"]


@given(st.sampled_from(KINDS), st.binary(max_size=200), st.sampled_from(["utf-8", "utf-16", "latin-1", "cp1252"]))
@example("x.parquet", b"PAR1\x00\x00\x00\x00PAR1", "utf-8")
@example("x.jsonl", b"[" * 100_000, "utf-8")
@example("x.jsonl", b'{"a": "\\ud800"}\n', "utf-8")
@example("x.csv", b"a,b\n1,\xed\xa0\x80\n", "utf-8")
@example("x.npz", b"PK\x05\x06" + b"\0" * 18, "utf-8")
def test_any_bytes_give_rows_or_a_paragraph(tmp_path_factory, name, content, encoding):
    path = tmp_path_factory.mktemp("t") / name
    path.write_bytes(content)
    with suppress(RatchetError):  # anything else is a bug
        read(path, ",", encoding)


ROWS = "a,b\n" + "".join(f'{index},"text {index}"\n' for index in range(40))


@given(st.integers(0, len(gzip.compress(ROWS.encode(), mtime=0)) - 1))
def test_a_gzip_that_was_cut_off_anywhere_is_refused(tmp_path_factory, length):
    path = tmp_path_factory.mktemp("t") / "x.csv.gz"
    path.write_bytes(gzip.compress(ROWS.encode(), mtime=0)[:length])
    assert "Send it again" in refused(path)


@given(st.integers(len("a,b\n"), len(ROWS) - 1))
def test_a_csv_that_was_cut_off_loses_whole_rows_or_is_refused(tmp_path_factory, length):
    """Every row has a quoted last cell, so that the format can know, unless the cut is right before it."""
    assume(ROWS[length - 1] != ",")
    path = tmp_path_factory.mktemp("t") / "x.csv"
    path.write_text(ROWS[:length])
    whole = [(str(index), f"text {index}") for index in range(40)]
    try:
        found = read(path)
    except DataError:
        return
    assert found == whole[: len(found)]


@given(st.integers(0, 400))
def test_json_lines_that_were_cut_off_lose_whole_rows_or_are_refused(tmp_path_factory, length):
    whole = [(str(index), "x") for index in range(30)]
    path = tmp_path_factory.mktemp("t") / "x.jsonl"
    path.write_text("".join(json.dumps(dict(zip("ab", row, strict=True))) + "\n" for row in whole)[:length])
    try:
        found = read(path)
    except DataError:
        return
    assert found == whole[: len(found)]


def test_a_file_without_a_header_gets_declared_names(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("1,x\n2,y\n")
    (batch,) = sources.read(path, ",", "utf-8", ["number", "letter"])
    assert batch.to_pylist() == [{"number": "1", "letter": "x"}, {"number": "2", "letter": "y"}]
    message = refused(path, ",", "utf-8", ["a", "b", "c"])
    assert "line 1 has 2 cells, and `ingest: names:` lists 3" in message
    assert "line 1 holds the names of the columns" in refused(path, ",", "utf-8", ["1", " x"])
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n')
    assert "names its columns itself" in refused(path, ",", "utf-8", ["a"])


def test_tabs_need_no_declaration(tmp_path):
    for name in ("x.tsv", "x.TSV", "x.tsv.gz"):
        content = b"a\tb\n1,5\t2\n"
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
        assert read(tmp_path / name) == [("1,5", "2")]


def test_a_byte_order_mark_is_in_no_name(tmp_path):
    for name, content in (("x.csv", "a\n1\n"), ("x.jsonl", '{"a": 1}\n')):
        (tmp_path / name).write_text(content, encoding="utf-8-sig")
        (batch,) = sources.read(tmp_path / name, ",", "utf-8")
        assert batch.schema.names == ["a"]


WORKBOOK, OLD = b"PK\x03\x04" + bytes(range(200)), b"\xd0\xcf\x11\xe0" + bytes(200)
MANY = b"2,%s\n" % (b"y" * 60) * 320_000  # more than a block of a file, and than a line may have
LONG = "a,b\n1,2\n" + "x" * (text_errors.LONGEST + 9) + "\n"
BAD = {  # name, content, what is said of it
    "empty": ("x.csv", b"", "is empty"),
    "blank": ("x.csv", b"\xef\xbb\xbf\n\n", "is empty"),
    "workbook": ("x.csv", WORKBOOK, "an Excel workbook or another zip archive, but its name .* Save the sheet as CSV"),
    "workbook, named so": ("x.xlsx", WORKBOOK, r"a \.xlsx file cannot be read; .* Save the sheet as CSV"),
    "old workbook": ("x.csv", OLD, r"an Excel workbook \(\.xls\)"),
    "page": ("x.csv", b"\xef\xbb\xbf\n <!DOCTYPE html><p>Log in, please</p>", "a web page or XML, .* login page"),
    "page of lines": ("x.jsonl", b"<html>", "a web page or XML"),
    "gzip without its ending": ("x.csv", gzip.compress(ROWS.encode()), r"a gzip file.* Add \.gz to its name"),
    "no gzip": ("x.csv.gz", ROWS.encode(), "is not a complete gzip file: Not a gzipped file"),
    "parquet": ("x.csv", b"PAR1....PAR1", r"a Parquet file.* Rename it to \.parquet"),
    "other encoding": ("x.csv", b"a,b\n1,x\n2,caf\xe9\n", "line 3 is not utf-8: it holds the byte 0xe9 after '2,caf'"),
    "in the header": ("x.csv", b"caf\xe9,b\n1,x\n", "line 1 is not utf-8"),
    "utf-16": ("x.csv", ROWS.encode("utf-16"), "is not utf-8: it looks like UTF-16. Write `ingest: encoding: utf-16`"),
    "utf-16, no mark": ("x.csv", ROWS.encode("utf-16-be"), "looks like UTF-16-BE. Write `ingest: encoding: utf-16-be`"),
    "short": ("x.csv", b'a,b\n1,"x\ny"\n\n3\n', "line 5 has 1 cell, and the header has 2"),
    "long": ("x.csv", b"a,b\n1,x\n3,4,5\n", "line 3 has 3 cells, and the header has 2"),
    "open quote": ("x.csv", b'a,b\n1,x\n2,"y\n3,z\n', "quote that opens in line 3 is not closed"),
    "open quote at the end": ("x.csv", b'a,b\n1,x\n2,"y', "quote that opens in line 3 is not closed"),
    "open quote, odd one elsewhere": ("x.csv", b'a,b\n1,5"\n2,"y\n', "quote that opens in line 3 is not closed"),
    "open quote, closed by the next": ("x.csv", b'a,b\n1,"x\n2,y\n3,"z"\n4,w\n', "quote that opens in line 2 is not"),
    "open quote, many lines": (
        "x.csv",
        b'a,b\n1,"x\n' + MANY,
        "quote that opens in line 2 is not",
    ),
    "open quote in the header": ("x.csv", b'a,"b\n1,x\n2,y\n', "quote that opens in line 1 is not closed"),
    "delimiter": ("x.csv", b"a;b\n1,5;2\n", 'line 2 has 2 cells, and the header has 1.* `ingest: delimiter: ";"`'),
    "one long line": ("x.csv", LONG.encode(), "line 3 is longer than 4,194,304 characters"),
    "one long line of JSON": ("x.jsonl", LONG.encode()[8:], "line 1 is longer than 4,194,304 characters"),
    "key twice": ("x.jsonl", b'{"a": 1, "a": 2}\n', "line 1 has the key 'a' twice"),
    "deep": ("x.jsonl", b"[" * 100_000, "line 1 is not JSON"),
    "footer": ("x.parquet", b"PAR1" + bytes(99) + b"PAR1", "cannot be read"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_table_is_told_with_its_place_and_what_to_do(tmp_path, case):
    name, content, message = BAD[case]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read(path)
    assert str(path) in caught.value.what
    assert caught.value.do


def test_an_encoding_that_is_not_the_files_is_told(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(ROWS)
    assert "is not utf-16: it looks like UTF-8. Write `ingest: encoding: utf-8`" in refused(path, ",", "utf-16")
    path.write_text(ROWS, encoding="utf-8-sig")
    assert "is not cp1252: it looks like UTF-8" in refused(path, ",", "cp1252")
    path.write_bytes(ROWS.encode("utf-16") + b"x")
    assert "is not utf-16 throughout" in refused(path, ",", "utf-16")


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ('a,b\n1,5" pipe\n2,x\n', [("1", '5" pipe'), ("2", "x")]),
        ('a,b\n1,"x\ny" \n2,z\n', [("1", "x\ny "), ("2", "z")]),
        ("a,b\r1,x\r2,y\r", [("1", "x"), ("2", "y")]),
        ("a,b\r\n\r\n1,x\r\n", [("1", "x")]),
        ("a\n\n1\n", [("1",)]),
        ("a,b\n1,x\0y\n", [("1", "x\0y")]),
        ('a,b\n1,""""\n2,"x"', [("1", '"'), ("2", "x")]),
        ("a,b\n", []),
    ],
)
def test_what_is_odd_and_means_one_thing_is_read(tmp_path, content, rows):
    path = tmp_path / "x.csv"
    path.write_bytes(content.encode())
    assert read(path) == rows


def test_blocks_end_within_rows_and_characters(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "BLOCK_BYTES", 64)
    table = [[f"é{index}", 'many\n"lines"', "😀" * (index % 9)] for index in range(200)]
    path = tmp_path / "x.csv"
    path.write_text(written([["a", "b", "c"], *table], ","))
    assert len(list(sources.read(path, ",", "utf-8"))) > 9
    assert read(path) == [tuple(row) for row in table]


def test_memory_does_not_grow_with_a_text(tmp_path):
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"some text,7\n" * 8_000_000, 1))
    before = pa.total_allocated_bytes()
    # threads read some blocks ahead, how many depends on the machine's load
    assert max(pa.total_allocated_bytes() - before for _ in sources.read(path, ",", "utf-8")) < 96e6 / 2


@pytest.mark.parametrize("name", ["utf-9", "base64", "rot13", "", "a\0b"])
def test_what_is_no_encoding_of_text_is_no_setting(name):
    with pytest.raises(ValueError, match="is not an encoding: write one such as utf-8"):
        Ingest(source="x", encoding=name)


def test_names_stand_there_once_and_are_names():
    for names, message in ((["a", "a"], "'a' is listed twice"), (["a", ""], "a column has no name")):
        with pytest.raises(ValueError, match=message):
            Ingest(source="x", names=names)
