"""Rows of a file are answered with the form of a version that a server answers with, byte for byte as there."""

import json

import pyarrow as pa
import pytest

from flows.predict.answering.session import Asked, answerer
from pipelines.errors import IntegrityError
from tests.flows.compression import forms

DATA = {"kind": "table", "task": "classification", "target": "bought", "columns": {"x": "number"}}


@pytest.fixture
def asked(tmp_path):
    """A model folder whose model could not be loaded, and a form of it."""
    about = {"kind": "table", "numbers": ["x"], "categories": [], "classes": forms.CLASSES, "batch_size": 32}
    (tmp_path / "model.json").write_text(json.dumps(about))
    digest = forms.write_serving(tmp_path / "int8", forms.graph(), "a model", variant="int8")
    return Asked(
        str(tmp_path),
        DATA,
        {"source": "data/incoming/x.csv"},
        "auto",
        False,
        form=str(tmp_path / "int8"),
        form_hash=digest,
    )


def test_the_answers_are_those_of_the_file_that_is_served(asked):
    rows = forms.table(100)
    found = answerer(asked, many=False)
    table = found.answer(pa.Table.from_pandas(rows, preserve_index=False)).to_pandas()
    expected = forms.answers(forms.graph(), rows)
    assert table["prediction"].tolist() == expected["prediction"].tolist()
    assert table["probability_yes"].tolist() == expected["probability_yes"].tolist()
    assert found.choice.told == "cpu: int8, by ONNX Runtime"


def test_a_file_that_is_not_the_recorded_one_answers_nothing(asked, tmp_path):
    (tmp_path / "int8" / "model.onnx").write_bytes(forms.wrong(forms.THRESHOLD))
    with pytest.raises(IntegrityError, match=r"model\.onnx is not the file"):
        answerer(asked, many=False)
