"""Files of every writing that people use: `ratchet new` finds out how each is written.

A file is drawn as a table of values and a way to write it: delimiter, decimals, thousands, quotes, encoding, line ends,
what stands above and below. What is read back by the keys that were found has to be these values.
"""

import csv
import io
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.new import yaml_comments
from flows.new.first_rows import read, understood
from flows.new.text_files import dialect, options
from flows.new.wanted import Wanted
from pipelines.config.data import Data
from pipelines.errors import RatchetError
from pipelines.ingest import Ingest, ingest
from pipelines.readers import sources
from pipelines.table import rows

WORDS = ["Köln", "Bad Orb", "Smith, John", "x;y z", "Ulm"]
TITLES = ["Monthly report", "Made by hand, 2024", "Stand: 1.5.2024", ""]
NAMES = ["size", "größe (m)", "town", "price"]
DATA = Data.model_validate(
    {
        "kind": "table",
        "task": "regression",
        "target": "price",
        "columns": {"size": "number", "größe (m)": "number", "town": "category"},
    }
)


@st.composite
def tables(draw) -> list[list[Decimal | str]]:
    """Numbers with decimals, whole numbers, words, and amounts: as many as a person would look at."""
    count, seed = draw(st.integers(20, 60)), draw(st.randoms(use_true_random=False))
    places = draw(st.integers(1, 4))
    found: list[list[Decimal | str]] = []
    for _ in range(count):
        size = Decimal(seed.randint(-(10**places) * 99, 10**places * 99)) / 10**places
        amount = Decimal(seed.randint(-99_999_999, 99_999_999)) / 100
        found.append([size, Decimal(seed.randint(0, 300)), seed.choice(WORDS), amount])
    return found


ways = st.fixed_dictionaries(
    {
        "delimiter": st.sampled_from([",", ";", "\t", "|"]),
        "signs": st.sampled_from([(".", ""), (",", ""), (",", "."), (".", ","), (",", " "), (".", "'")]),
        "quote": st.sampled_from(['"', '"', "'"]),
        "quoting": st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
        "encoding": st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16"]),
        "end": st.sampled_from(["\n", "\r\n"]),
        "above": st.lists(st.sampled_from(TITLES), max_size=3) | st.just(["sep="]) | st.just(["# made by hand"]),
        "below": st.sampled_from([[], ["(60 rows affected)"]]),
        "beyond": st.sampled_from([0, 0, 1, 2]),
        "blank": st.sampled_from([0, 0, 3]),
        "named": st.booleans(),
    }
)


def spelled(value: Decimal | str, signs: tuple[str, str]) -> str:
    if isinstance(value, str):
        return value
    text = f"{value:,f}" if signs[1] and value != int(value) else f"{value:f}"
    return text.replace(",", "t").replace(".", signs[0]).replace("t", signs[1])


def written(table, way) -> bytes:
    out = io.StringIO()
    out.write("".join(line.replace("sep=", f"sep={way['delimiter']}") + way["end"] for line in way["above"]))
    cells = [[spelled(value, way["signs"]) for value in row] for row in table]
    for row in [*([NAMES] if way["named"] else []), *cells, *[[""] * len(NAMES)] * way["blank"]]:
        quoting = way["quoting"] if any(row) else csv.QUOTE_MINIMAL
        writer = csv.writer(out, delimiter=way["delimiter"], quotechar=way["quote"], quoting=quoting, lineterminator="")
        writer.writerow(row)
        out.write(way["delimiter"] * way["beyond"] + way["end"])
    out.write("".join(line + way["end"] for line in way["below"]))
    return out.getvalue().encode(way["encoding"])


def understood_as(path: Path, way, given=None) -> list[dict[str, object]]:
    """The rows as `ingest` reads them by the keys that were found."""
    names = [] if way["named"] else NAMES
    wanted = Wanted("m", path, "price", names, [], given=given or {})
    table, more, reading = read(wanted, sources.READERS["csv"])
    _, _, reading = understood(table, reading, wanted, more)
    keys = {"source": "-", **yaml_comments.plain(reading.keys)}
    config = Ingest.model_validate(keys)
    content = sources.read(path, config.delimiter, config.encoding, config.names, layout=config)
    return pa.Table.from_batches(ingest(content, DATA, config, path.name), rows.raw_schema(DATA)).to_pylist()


def values(table, way) -> list[list[object]]:
    return [[value if isinstance(value, str) else float(value) for value in row] for row in table]


@given(tables(), ways)
def test_what_is_found_out_reads_the_same_values(tmp_path_factory, table, way):
    if way["signs"][1] == "'":
        way = way | {"quote": '"'}
    path = tmp_path_factory.mktemp("t") / "x.csv"
    path.write_bytes(written(table, way))
    found = understood_as(path, way)
    assert [[row[name] for name in NAMES] for row in found] == values(table, way)


@pytest.mark.parametrize("count", [20, 300, 5000])
@pytest.mark.parametrize("named", [True, False])
def test_decimal_commas_do_not_part_cells_in_files_of_any_length(tmp_path, count, named):
    """Where each row has as many commas as delimiters, a comma parts all lines but the header alike."""
    lines = ["a;b;c"] * named + [f"{i % 97},{i % 10}1;{i % 31},5;-{i % 7},25" for i in range(count)]
    (tmp_path / "x.csv").write_text("\n".join(lines) + "\n")
    found = dialect.sniff(tmp_path / "x.csv", [])
    assert found.keys["delimiter"] == ";"
    assert ("names" in found.keys) == (not named)


def test_a_person_may_say_how_a_file_is_written(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("T\na^b\n1^x\n2^y\n" * 1)
    given = options.keys({"delimiter": "^", "skip": 1, "quote": "none", "decimal": "", "missing": ["-"], "names": []})
    found = dialect.sniff(path, [], "a", given)
    assert found.keys == given
    assert given["missing"][-1] == "-"
    assert options.keys({"delimiter": "tab"}) == options.keys({"delimiter": "\\t"}) == {"delimiter": "\t"}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"delimiter": ";;"}, "--delimiter: string should have at most 1 character"),
        ({"decimal": ";"}, "--decimal: input should be '.' or ','"),
        ({"skip": 10**9}, "--skip: "),
        ({"encoding": "utf-99"}, "--encoding: 'utf-99' is not an encoding"),
        ({"decimal": ",", "thousands": ","}, "--thousands: `decimal` and `thousands` cannot both be"),
    ],
)
def test_an_option_that_cannot_be_is_told_by_its_name(asked, said):
    with pytest.raises(RatchetError) as caught:
        options.keys(asked)
    assert said in str(caught.value)
    assert "YAML" not in str(caught.value)
