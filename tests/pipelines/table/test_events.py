"""Events: the last row of each counts, however many are held at once."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipelines.config.data import Data
from pipelines.table import id_sets, row_groups, rows, splits

DATA = Data.model_validate(
    {
        "kind": "table",
        "task": "classification",
        "target": "animal",
        "columns": {"chip": "carried", "day": "number", "weight": "number"},
    }
)
SCHEMA = rows.raw_schema(DATA)
NAMES = SCHEMA.names[1:]
cases = st.tuples(
    st.sampled_from(["a", "b", None]), st.sampled_from([1.0, -0.0, 0.0, None]), st.integers(0, 3), st.sampled_from("xy")
)


def write(path, found):
    columns = {"chip": 0, "day": 1, "weight": 2, "animal": 3}
    values = {name: [row[columns[name]] for row in found] for name in NAMES}
    plain = pa.RecordBatch.from_pydict(values, schema=pa.schema([SCHEMA.field(name) for name in NAMES]))
    ids = rows.id_column(rows.identify(plain, NAMES))
    batch = pa.RecordBatch.from_arrays([ids, *plain.columns], schema=SCHEMA)
    row_groups.write(path, SCHEMA, [batch.slice(0, 3), batch.slice(3)])
    return path


@given(st.lists(cases, min_size=1, max_size=30), st.integers(1, 20))
def test_all_but_the_last_row_of_an_event_are_older(tmp_path_factory, found, held):
    path = write(tmp_path_factory.mktemp("t") / "raw.parquet", found)
    names = [(chip, day) if None not in (chip, day) else (chip, day, *rest) for chip, day, *rest in found]
    marks = id_sets.followed(
        lambda: (splits.events(batch, ["chip", "day"]) for batch in row_groups.batches(path)), len(found), held
    )
    assert marks.between(0, len(found)).tolist() == [name in names[place + 1 :] for place, name in enumerate(names)]


def test_the_event_of_a_row_is_that_by_which_it_is_split(tmp_path):
    batch = next(row_groups.batches(write(tmp_path / "raw.parquet", [("a", 1.0, 5, "x")])))
    assert splits.events(batch, ["day", "chip"]) == rows.identify(batch, ["chip", "day"])
    assert isinstance(splits.events(batch, ["chip"]), np.ndarray)
