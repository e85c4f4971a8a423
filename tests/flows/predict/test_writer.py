"""What is written as CSV is read back as it was, and computed by no spreadsheet."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.predict import writer

FORMULAS = ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "=1"]
PLAIN = ["cat", "-1", "+3.5e-7", "a=b", "", "'quoted", "a\nb", 'say "x"', "1-2", None]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_class_or_a_series_that_reads_as_a_formula_is_text_in_csv_and_itself_in_parquet(tmp_path, suffix):
    schema = pa.schema(
        [("row_id", pa.string()), ("=series", pa.string()), ("prediction", pa.string()), ("p", pa.float32())]
    )
    values = FORMULAS + PLAIN
    columns = [[f"{n:032x}" for n in range(len(values))], values, values, [-0.5] * len(values)]
    with writer.writer(tmp_path / f"x{suffix}", schema) as out:
        arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
        out.write(pa.RecordBatch.from_arrays(arrays, schema=schema))
    if suffix == ".parquet":
        assert pq.read_table(tmp_path / "x.parquet")["prediction"].to_pylist() == values
        return
    found = pd.read_csv(tmp_path / "x.csv", keep_default_na=False, na_values=[], dtype=str)
    assert found.columns.tolist() == ["row_id", "'=series", "prediction", "p"]
    assert found["prediction"].tolist() == [f"'{value}" for value in FORMULAS] + [value or "" for value in PLAIN]
    assert found["'=series"].tolist() == found["prediction"].tolist()
    assert found["p"].tolist() == ["-0.5"] * len(values)
