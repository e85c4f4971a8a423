"""`ratchet new` on whole files as people have them: what the YAML says of them, and what it learns from."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from flows.new.new import new
from flows.new.wanted import Wanted
from pipelines.config import yaml_text
from pipelines.errors import RatchetError
from tests.flows.new.test_new_files import project  # noqa: F401 (a fixture)
from tests.support.world import ROOT

RANDOM = np.random.default_rng(0)
ROWS = 200
SIZE = RANDOM.normal(0, 1, ROWS).round(2)
AGE = RANDOM.integers(0, 100, ROWS)
TABLE = pd.DataFrame({"size": SIZE, "age": AGE, "price": (2000 * SIZE + AGE + RANDOM.normal(0, 9, ROWS)).round(2)})
CASES = ROOT.parent / "shared" / "cases" / "tables"


def sections(project, path: Path, target: str, **more: Any) -> dict[str, Any]:  # noqa: F811
    wanted = Wanted("whole", path, target, [], [], dry_run=True, **more)
    return dict(yaml_text.plain(str(new(project, wanted)["yaml"])))


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "x.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "target"),
    [("decimal_comma.csv", "preis"), ("decimal_comma_all.csv", "c"), ("decimal_comma_all.csv", "-1")],
)
def test_the_cases_of_decimal_commas(project, tmp_path, name, target):  # noqa: F811
    if not CASES.is_dir():
        pytest.skip("there are no shared cases beside this project")
    text = (CASES / name).read_text(encoding="utf-8")
    found = sections(project, written(tmp_path, text if target != "-1" else text.split("\n", 1)[1]), target)
    assert (found["ingest"]["delimiter"], found["ingest"]["decimal"]) == (";", ",")
    assert found["data"]["task"] == "regression"
    assert "ignore" not in found["ingest"]


def test_an_export_of_a_sensor_is_a_series_by_the_hour(project, tmp_path):  # noqa: F811
    """Delimiters at the end, empty rows, decimal commas, points in times, and -200 where nothing was measured."""
    at = pd.date_range("2004-03-10 18:00", periods=ROWS, freq="h")
    gas = [-200.0 if n % 9 == 0 else 20 + np.sin(n / 4) for n in range(ROWS)]
    lines = [
        f"{t:%d/%m/%Y;%H.%M.%S};{v:.1f};{s}".replace("-200.0", "-200") for t, v, s in zip(at, gas, SIZE, strict=True)
    ]
    content = "\n".join(
        ["Date;Time;CO(GT);T;;", *(f"{line.replace('.', ',')};;" for line in lines), *[";;;;;"] * 3, ""]
    )
    for hour in range(24):  # the times keep their points
        content = content.replace(f";{hour:02d},00,00;", f";{hour:02d}.00.00;")
    found = sections(project, written(tmp_path, content), "CO(GT)")
    assert found["data"]["kind"] == "sequence"
    assert found["data"]["columns"] == {"Date_Time": "date", "T": "number"}
    ingest = found["ingest"]
    assert ingest["instants"] == {"Date_Time": ["Date", "Time"]}
    assert ingest["dates"] == {"Date_Time": "%d/%m/%Y %H.%M.%S"}
    assert ingest["marks"] == {"CO(GT)": [-200]}
    assert (ingest["trailing_delimiters"], ingest["blank_rows"]) == (2, "drop")


@pytest.mark.parametrize("name", ["Unnamed: 0", "__index_level_0__", ""])
def test_an_index_that_pandas_wrote_is_no_feature(project, tmp_path, name):  # noqa: F811
    table = TABLE[TABLE["age"] > 20].reset_index(names="index").rename(columns={"index": name})
    found = sections(project, written(tmp_path, table.to_csv(index=False)), "price")
    assert found["data"]["columns"] == {"size": "number", "age": "number"}
    assert found["ingest"]["ignore"] == [name]


def test_a_column_of_such_a_name_that_counts_nothing_is_one(project, tmp_path):  # noqa: F811
    table = TABLE.rename(columns={"age": "Unnamed: 3"})
    assert "Unnamed: 3" in sections(project, written(tmp_path, table.to_csv(index=False)), "price")["data"]["columns"]


def test_a_total_is_no_row(project, tmp_path):  # noqa: F811
    total = f"{TABLE['size'].sum():.2f},,{TABLE['price'].sum():.2f}\n"
    found = sections(project, written(tmp_path, TABLE.to_csv(index=False) + total), "price")
    assert found["ingest"]["skip_end"] == 1
    (between,) = [r for r in found["validate"]["rules"] if r.get("column") == "price" and "max_value" in r]
    assert between["max_value"] < 2 * TABLE["price"].max() - TABLE["price"].min()


def test_columns_of_another_writing_than_the_target_are_left_out(project, tmp_path):  # noqa: F811
    table = TABLE.assign(price=[f"{value:.2f}".replace(".", ",") for value in TABLE["price"]])
    found = sections(project, written(tmp_path, table.to_csv(index=False)), "price")
    assert found["ingest"]["decimal"] == ","
    assert found["ingest"]["ignore"] == ["size"]


def test_what_a_person_says_counts_more_than_what_is_found(project, tmp_path):  # noqa: F811
    path = written(tmp_path, TABLE.to_csv(index=False))
    given = {"missing": ["", "7"], "skip_end": 2}
    found = sections(project, path, "price", given=given)["ingest"]
    assert {key: found[key] for key in given} == given
    with pytest.raises(
        RatchetError, match=r"'-?\d+\.\d+' is not written like 1234,5, .* `--decimal` and `--thousands`"
    ):
        sections(project, path, "price", given={"decimal": ","})


def test_a_target_may_be_counted_only_where_there_are_no_names(project, tmp_path):  # noqa: F811
    bare = written(tmp_path, TABLE.to_csv(index=False, header=False))
    assert sections(project, bare, "-1")["data"]["target"] == "column_3"
    assert sections(project, bare, "1")["data"]["target"] == "column_1"
    with pytest.raises(
        RatchetError, match=r"no column '9' \(known: column_1, column_2, column_3\).*--target may count"
    ):
        sections(project, bare, "9")
    with pytest.raises(RatchetError, match=r"no column '-1' \(known: size, age, price\)"):
        sections(project, written(tmp_path, TABLE.to_csv(index=False)), "-1")
