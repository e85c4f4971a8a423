"""What stands around the rows of a CSV file is not read, wherever it stands, and every cell stays as it was written."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.config import settings
from pipelines.errors import DataError, SettingsError
from pipelines.ingest import Ingest
from pipelines.readers import sources
from pipelines.readers.formats import text
from pipelines.readers.layout import Layout

cells = st.text(st.sampled_from("a1 ,;'\"#\n"), max_size=5) | st.sampled_from(["x", "1,5", "é", ""])
tables = st.integers(2, 3).flatmap(
    lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), min_size=2, max_size=8)
)


def read(path, layout: Layout, names=()):
    found = list(sources.read(path, ",", "utf-8", names, layout=layout))
    return [row for batch in found for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)]


@given(
    tables,
    st.lists(st.sampled_from(["A title", 'half a " quote', "", "sep=,", "a,b,c,d"]), max_size=3),
    st.lists(st.sampled_from(["Total,,9", "(9 rows)", "a"]), max_size=2),
    st.integers(0, 2),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(['"', "'"]),
    st.booleans(),
)
def test_every_cell_comes_back_whatever_stands_around(
    tmp_path_factory, table, above, below, beyond, end, quote, blocks
):
    out = io.StringIO()
    header = [f"c{index}" for index in range(len(table[0]))]
    for row in [header, *table]:
        csv.writer(out, quotechar=quote, quoting=csv.QUOTE_ALL, lineterminator="").writerow(row)
        out.write("," * beyond + end)
    content = "".join(line + end for line in above) + out.getvalue() + "".join(line + end for line in below)
    path = tmp_path_factory.mktemp("t") / "x.csv"
    path.write_bytes(content.encode())
    layout = Layout(quote=quote, skip=len(above), skip_end=len(below), trailing_delimiters=beyond)
    with pytest.MonkeyPatch.context() as patch:
        if blocks:
            patch.setattr(text, "BLOCK_BYTES", 64)
        assert read(path, layout) == [tuple(row) for row in table]


def write(tmp_path, content: str):
    path = tmp_path / "x.csv"
    path.write_text(content)
    return path


def test_comments_are_no_rows_but_cells_that_begin_so_are(tmp_path):
    path = write(tmp_path, '# by hand\na,b\n1,"x\n# y"\n# in between\n2,# z\n')
    assert read(path, Layout(comment="#")) == [("1", "x\n# y"), ("2", "# z")]


def test_quotes_may_be_letters_like_others(tmp_path):
    path = write(tmp_path, 'a,b\n1,"x\n2,5" pipe"\n')
    assert read(path, Layout(quote="none")) == [("1", '"x'), ("2", '5" pipe"')]
    with pytest.raises(DataError, match="`ingest: quote: none`"):
        read(path, Layout())


def test_delimiters_at_the_end_may_be_in_the_header_or_not(tmp_path):
    for header in ("a,b", "a,b,", "a,b,,"):
        assert read(write(tmp_path, f"{header}\n1,2,,\n3,4,,\n"), Layout(trailing_delimiters=2)) == [
            ("1", "2"),
            ("3", "4"),
        ]
    assert read(write(tmp_path, "1,2,\n3,4,\n"), Layout(trailing_delimiters=1), ["a", "b"]) == [("1", "2"), ("3", "4")]


def test_a_cell_after_the_last_column_is_told_and_not_dropped(tmp_path):
    with pytest.raises(DataError, match="row 2 has a cell after the last column: '5'"):
        read(write(tmp_path, "a,b\n1,2,\n3,4,5\n"), Layout(trailing_delimiters=1))


def test_a_wrong_line_is_told_by_its_number_in_the_file(tmp_path):
    for layout, wrong in ((Layout(skip=2), "3,4,5"), (Layout(skip=2, trailing_delimiters=1), "3,4")):
        end = "," * layout.trailing_delimiters
        path = write(tmp_path, f"Title\n\na,b\n1,2{end}\n\n{wrong}\n")
        with pytest.raises(DataError, match="line 6 has"):
            read(path, layout)


def test_rows_without_a_value_are_rows_unless_declared_otherwise(tmp_path):
    path = write(tmp_path, "a,b\n1,2\n, \n3,4\n,\n")
    assert len(read(path, Layout())) == 4
    assert read(path, Layout(blank_rows="drop")) == [("1", "2"), ("3", "4")]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"decimal": ",", "thousands": ","}, "cannot both be ','"),
        ({"comment": "# "}, "has no blanks around it"),
        ({"decimal": ";"}, "ingest.decimal"),
        ({"skip": -1}, "ingest.skip"),
        ({"quote": ""}, "ingest.quote"),
    ],
)
def test_what_cannot_be_declared_is_told(keys, said):
    with pytest.raises(SettingsError, match=said):
        settings.parse("pets", "ingest", {"source": "-", **keys}, Ingest)
