"""Rows of a request become the arrays that the registered model makes of them, whatever their values."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flows.registry import served
from flows.serving.problem import Problem
from flows.serving.rows.reader import RowReader
from pipelines.model import predictor
from pipelines.readers.meaning import values
from tests.support.served import models

NUMBERS, WORDS, DATES = ["age", "spent"], ["city", "code"], ["signup", "left", "born"]
INSTANTS = {"born": ["year", "month", "day"]}
PLAIN = {"reader": 2, "missing": ["", "NA"], "dates": {}, "timezone": "UTC", "ambiguous": "refuse"}
PLAIN |= {"decimal": ".", "thousands": "", "marks": {}}
RULES = {
    "plain": PLAIN,
    "first reader": PLAIN | {"reader": 1},
    "marks": PLAIN | {"missing": ["", "-1", "none"], "marks": {"age": [99], "city": ["Nowhere"]}},
    "comma": PLAIN | {"decimal": ",", "thousands": "."},
    "dates": PLAIN | {"dates": {"left": "%d.%m.%Y"}, "timezone": "Europe/Berlin", "ambiguous": "later"},
    "no zone": PLAIN | {"timezone": ""},
}

plain_number = st.one_of(
    st.floats(), st.integers(-(2**60), 2**60), st.sampled_from(["29.85", " 3 ", "1e3", "29,85", "1.234,5", "-1", "99"])
)
word = st.one_of(st.sampled_from(["Oslo", " Oslo ", "Nowhere", "NA", "", "true", "1.0"]), st.text(max_size=4))
odd = st.sampled_from([None, True, False, 1, 1.0, -1, -0.0, 99, float("nan"), float("inf"), "old", [1], {"a": 1}])
instant = st.one_of(
    st.datetimes().map(str),
    st.datetimes(timezones=st.timezones()).map(lambda at: at.isoformat()),
    st.sampled_from(["2026-03-29 02:30", "2026-10-25 02:30", "31.01.2026", "2026-01", "", "NA", "soon"]),
)
part = st.integers(-1, 31)
cell = {"age": plain_number, "spent": plain_number, "city": word, "code": word, "signup": instant, "left": instant}
cell |= {"year": st.integers(1999, 2030), "month": part, "day": part}
AT = "2026-01-05T10:00:00+00:00"  # of a form that every reader takes
READ = {"age": 3, "spent": 1.5, "city": "Oslo", "code": 1, "signup": AT, "left": AT, "year": 2020, "month": 1, "day": 2}
OLDER = READ | {"born": AT}
changed = st.lists(st.sampled_from(list(cell)), max_size=2).flatmap(
    lambda names: st.fixed_dictionaries({name: st.one_of(cell[name], cell[name], odd) for name in names})
)
changes = st.lists(changed, min_size=1, max_size=3)  # of the cells of each row


def version(folder: Path, rules: dict[str, Any] | None) -> Path:
    """A version's folder, as far as its rows are concerned; rules: None for a version of an older Ratchet."""
    about = models.about("table", "regression", "y", [], numbers=NUMBERS, categories=WORDS, dates=DATES)
    (folder / "model").mkdir(parents=True)
    layers = [
        {"class_name": "StringLookup", "config": {"name": f"category_{place}", "vocabulary": known}}
        for place, known in enumerate([["Oslo", "true"], ["1", "2"]])
    ]
    (folder / "model" / "architecture.json").write_text(json.dumps({"config": {"layers": layers}}))
    (folder / "model" / "model.json").write_text(json.dumps(about))
    declared = [{"name": name, "role": "number", "sensitive": False} for name in [*NUMBERS, *WORDS, *DATES]]
    found = models.columns("table", "regression", "y", declared, instants=INSTANTS)
    (folder / "columns.json").write_text(json.dumps(found))
    if rules is not None:
        (folder / "reading").mkdir()
        content = {"format": 1, "rules": rules, "instants": INSTANTS}
        (folder / "reading" / "reading.json").write_text(json.dumps(content))
        shutil.copyfile(values.__file__, folder / "reading" / "values.py")
    return folder


@pytest.fixture(scope="module", params=[*RULES, "older"])
def readers(request, tmp_path_factory):
    """(the reader of requests, what the registered model does, a row that both take, the cells of it to change)"""
    folder = version(tmp_path_factory.mktemp("version") / "made", RULES.get(request.param))
    about = json.loads((folder / "model" / "model.json").read_text())
    reading = served.Reading(folder / "reading", about) if request.param in RULES else None

    def registered(found: list[dict[str, Any]]) -> dict[str, np.ndarray]:
        frame = pd.DataFrame(found, dtype=object)
        return predictor.to_arrays(reading.read(frame) if reading else frame, about)

    row = READ if RULES.get(request.param, {}).get("timezone") else OLDER
    return RowReader(folder), registered, row, set(cell) if reading else {*NUMBERS, *WORDS}


@settings(max_examples=25)  # for each way to read
@given(changes=changes)
@example(
    changes=[{"age": 99}, {"age": 99.0}, {"age": -1}, {"age": -1.0}, {"spent": 99}, {"spent": -1.0}, {"spent": -1}]
)
@example(changes=[{"code": 1}, {"code": True}, {"code": 1.0}, {"code": "1"}, {"code": 0}, {"code": False}])
def test_the_arrays_are_those_of_the_registered_model_and_what_it_refuses_is_refused(readers, changes):
    reader, registered, row, changeable = readers
    found = [row | {name: value for name, value in change.items() if name in changeable} for change in changes]
    try:
        wanted = registered(found)
    except (ValueError, TypeError, OverflowError):
        with pytest.raises(Problem) as caught:
            reader.read(found)
        assert caught.value.status == 400
        return
    arrays = reader.read(found).arrays
    assert arrays.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype
