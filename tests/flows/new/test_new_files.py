"""`ratchet new` on files with faults: each is understood, or refused in one paragraph that names it."""

import gzip
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.new.new import new
from flows.new.wanted import Wanted
from flows.project import environment
from pipelines.errors import RatchetError
from tests.support.world import ROOT

ROWS = 300
RANDOM = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "a": RANDOM.normal(size=ROWS).round(3),
        "b": RANDOM.integers(0, 50, ROWS),
        "c": RANDOM.choice(["x", "y", "z"], ROWS),
    }
)
TABLE["t"] = np.where(TABLE["a"] + RANDOM.normal(0, 0.5, ROWS) > 0, "yes", "no")
DAYS = pd.date_range("2024-01-01", periods=ROWS)


def csv(**changes) -> bytes:
    return TABLE.assign(**changes).to_csv(index=False).encode()


def parquet() -> bytes:
    out = io.BytesIO()
    TABLE.to_parquet(out)
    return out.getvalue()


def lines() -> bytes:
    return str(TABLE.to_json(orient="records", lines=True)).encode()


THREE = [day.strftime(["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y"][index % 3]) for index, day in enumerate(DAYS)]
UNDERSTOOD = {  # a file, and what the YAML says of it
    "semicolons.csv": (TABLE.to_csv(index=False, sep=";").encode(), 'delimiter: ";"'),
    "tabs.tsv": (TABLE.to_csv(index=False, sep="\t").encode(), "source: "),
    "mixed.csv": (csv(c="Zoë").replace("Zoë".encode(), b"Zo\xeb", 3), "encoding: cp1252"),
    "utf16.csv": (TABLE.to_csv(index=False).encode("utf-16"), "encoding: utf-16"),
    "utf16 without a mark.csv": (TABLE.to_csv(index=False).encode("utf-16-be"), "encoding: utf-16-be"),
    "utf32.csv": (TABLE.to_csv(index=False).encode("utf-32"), "encoding: utf-32"),
    "mark.csv": (b"\xef\xbb\xbf" + csv(), "    a: number"),
    "windows.csv": (csv().replace(b"\n", b"\r\n"), "    c: category"),
    "old mac.csv": (csv().replace(b"\n", b"\r"), "    c: category"),
    "headless.csv": (TABLE.to_csv(index=False, header=False).encode(), ""),
    "no end.csv": (csv().rstrip(b"\n"), "    a: number"),
    "zipped.csv.gz": (gzip.compress(csv()), "    a: number"),
    "lines.jsonl": (lines(), "    b: number"),
    "rows.parquet": (parquet(), "    b: number"),
    "three forms.csv": (csv(d=THREE), "- d # dates in which day and month"),
    "dates.csv": (csv(d=DAYS.strftime("%d.%m.%Y")), 'd: "%d.%m.%Y"'),
    "huge numbers.csv": (csv(k=[2**60 + index for index in range(ROWS)]), "- k # whole numbers beyond 2^53"),
    "infinite.csv": (csv(b=["inf"] * 3 + TABLE["b"].astype(str).tolist()[3:]), "'inf': where a value is missing"),
    "hole.csv": (csv(m=""), "- m # no value in any row"),
    "commas.csv": (csv(n=[f"{value},5" for value in TABLE["b"]]), "- n # numbers with a comma"),
    "money.csv": (csv(n=[f"{b * 37},50 €" for b in TABLE["b"]]), "- n # numbers with a sign"),
    "compact dates.csv": (csv(d=DAYS.strftime("%Y%m%d")), 'dates: {d: "%Y%m%d"}'),
    "marked target.csv": (csv(t=["?"] * 20 + TABLE["t"].tolist()[20:]), "'?': where a value is missing"),
    "years.csv": (csv().replace(b"a,b,c", b"2019,2020,c", 1), '"2020": number'),
    "sentences.csv": (csv(s=[f"this is sentence number {i}" for i in range(ROWS)]), "free text"),
    "hard names.csv": (csv().replace(b"a,b,c", '"a/b ""q"" ☃", lead ,日本'.encode(), 1), "日本: category"),
    "titled.csv": (b"Report,,,\n,,,\n" + csv(), "skip: 2"),
    "nameless.csv": (TABLE.to_csv().encode(), '- "" # it has no name'),
}
REFUSED = {  # a file, and what is said of it
    "open quote.csv": (csv().replace(b"x", b'"x', 1), "is not closed"),
    "ragged.csv": (csv() + b"1,2\n", "line 302 has 2 cells"),
    "twice.csv": (csv().replace(b"a,b,c", b"a,a,c", 1), "more than one column 'a'"),
    "header.csv": (b"a,b,c,t\n", "holds no row"),
    "carets.csv": (TABLE.to_csv(index=False, sep="^").encode(), "Cells are parted by a comma, a semicolon, a tab or |"),
    "copies.csv": (
        TABLE.iloc[[0, 1] * 150].to_csv(index=False).encode(),
        "Only 2 rows are different, and equal ones lie in one split. Bring more rows",
    ),
    "money to predict.csv": (csv(t=[f"${b}.50" for b in RANDOM.integers(0, 900, ROWS)]), "write them as 1234.5"),
    "empty.csv": (b"", "is empty"),
    "cut.csv.gz": (gzip.compress(csv())[:-20], "cannot be read to its end"),
    "no gzip.csv.gz": (csv(), "cannot be read to its end"),
    "cut.parquet": (parquet()[:-30], "cannot be read"),
    "sheet.xlsx": (b"PK\x03\x04" + bytes(500), "Save the sheet as CSV"),
    "sheet.csv": (b"PK\x03\x04" + bytes(500), "Excel workbook"),
    "page.csv": (b"<!doctype html><html><body>login</body></html>", "web page"),
    "one class.csv": (csv(t="yes"), "nothing to tell apart"),
    "classes.csv": (csv(t=[f"k{index}" for index in range(ROWS)]), "300 different values"),
    "few.csv": (TABLE.head(30).to_csv(index=False).encode(), "30 rows"),
    "zeros.csv": (csv().replace(b"x", b"\0", 4), "zero bytes"),
    "broken.jsonl": (lines() + b"{broken\n", "line 301 is not JSON"),
    "array.json": (str(TABLE.to_json(orient="records")).encode(), "rename it to .jsonl"),
    "wrong.npz": (b"no archive", "not a complete NumPy archive"),
    "picture.png": (b"\x89PNG", "cannot be read"),
    "long line.csv": (b"a,b,c,t\n" + b"x" * (5 << 20), "line 2 is longer"),
}


@pytest.fixture(scope="module", autouse=True)
def project(tmp_path_factory):
    """A project folder; nothing is written into it."""
    root = tmp_path_factory.mktemp("project")
    (root / "models").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        yield environment.Project(root, root / ".ratchet", "", "")
    assert [path.name for path in root.rglob("*")] == ["models"]
    assert root != ROOT


def yaml(project, path: Path, content: bytes, target: str = "t") -> str:
    path.write_bytes(content)
    return str(new(project, Wanted("new", path, target, [], [], dry_run=True))["yaml"])


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_a_file_that_can_be_understood_is_and_the_yaml_says_how(project, tmp_path, name):
    content, said = UNDERSTOOD[name]
    assert said in yaml(project, tmp_path / name, content, "column_4" if name == "headless.csv" else "t")


@pytest.mark.parametrize("name", REFUSED)
def test_any_other_is_refused_in_one_paragraph_that_names_it(project, tmp_path, name):
    content, said = REFUSED[name]
    with pytest.raises(RatchetError) as caught:
        yaml(project, tmp_path / name, content)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=400), st.sampled_from([".csv", ".tsv", ".csv.gz", ".jsonl", ".parquet", ".npz"]))
def test_any_bytes_are_a_table_or_a_paragraph(project, tmp_path_factory, content, ending):
    path = tmp_path_factory.mktemp("any") / f"file{ending}"
    with pytest.raises(RatchetError):  # of so few bytes no table of fifty rows is made
        yaml(project, path, content)


@settings(max_examples=12)
@given(st.integers(0, len(csv()) - 2), st.binary(min_size=1, max_size=3))
def test_a_few_wrong_bytes_in_a_table_are_read_or_told(project, tmp_path_factory, place, wrong):
    content = csv()
    path = tmp_path_factory.mktemp("wrong") / "file.csv"
    try:
        text = yaml(project, path, content[:place] + wrong + content[place + len(wrong) :])
    except RatchetError as error:
        text = str(error)
    assert text
