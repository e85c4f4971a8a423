"""A row that does not fit is told with its row, column and value, and with what to do; nothing else is refused."""

import json

import numpy as np
import pytest

from flows.serving.problem import Problem
from flows.serving.rows.reader import RowReader
from tests.support.served import versions
from tests.support.served.versions import pets_row


@pytest.fixture(scope="module")
def pets(tmp_path_factory) -> RowReader:
    return RowReader(versions.make(tmp_path_factory.mktemp("state"), "pets", 1))


def told(reader: RowReader, *rows) -> Problem:
    with pytest.raises(Problem) as caught:
        reader.read(rows)
    assert caught.value.status == 400
    assert caught.value.repair
    return caught.value


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"age": "old"}, "Row 2, column 'age': 'old' is not a number."),
        ({"age": "29,85"}, "Row 2, column 'age': '29,85' is not a number."),
        ({"age": float("inf")}, "Row 2, column 'age': inf is not a finite number."),
        ({"age": 2**60 + 1}, f"Row 2, column 'age': {2**60 + 1} has more digits than a number keeps here"),
        ({"age": 10**400}, "Row 2, column 'age': "),
        ({"age": 10**5000}, "Row 2, column 'age': a number of many digits "),
        ({"age": "1" * 5000}, "Row 2, column 'age': '1111"),
        ({"age": [1]}, "Row 2, column 'age': [1] is of type list, which is no single value."),
        ({"colour": {"a": 1}}, "Row 2, column 'colour': an object is of type dict, which is no single value."),
        ({"colour": "\ud800"}, "Row 2, column 'colour': '\\ud800' is no text in UTF-8."),
        ({"born": "soon"}, "Row 2, column 'born': 'soon' is not a date of the form ISO."),
        ({"born": "a\u202eb"}, "Row 2, column 'born': 'a\\u202eb' is not a date of the form ISO."),
    ],
)
def test_a_value_that_does_not_fit_is_told(pets, change, detail):
    (column,) = change
    found = told(pets, pets_row(), pets_row(**change))
    assert found.detail.startswith(detail)
    assert (found.row, found.column) == (2, column)
    assert len(found.value) <= 62
    assert "null if it is not known" in found.repair
    assert found.content()["type"] == "urn:ratchet:problem:value"
    json.dumps(found.content())


def test_a_needed_column_that_is_absent_is_told_with_the_nearest_name(pets):
    row = pets_row(Weight=3.0)
    del row["weight"]
    found = told(pets, row)
    assert found.detail == "Row 1 has no column 'weight', which the model needs (did you mean 'Weight'?)."
    assert found.kind == "missing-column"


@pytest.mark.parametrize("row", [None, 3, "a", [1, 2], True])
def test_what_is_no_object_is_told(pets, row):
    assert "not an object of columns" in told(pets, pets_row(), row).detail


def test_the_row_is_counted_from_the_start_of_the_request(pets):
    with pytest.raises(Problem, match=r"^Row 66, column 'age'"):
        pets.read([pets_row(), pets_row(age="old")], before=64)


def test_it_is_told_how_many_other_rows_do_not_fit_either(pets):
    rows = [pets_row(), pets_row(age="old"), pets_row(), pets_row(born="soon"), None]
    found = told(pets, *rows)
    assert found.detail == "Row 2, column 'age': 'old' is not a number. Of rows 1 to 5, 2 more do not fit."
    assert found.row == 2
    assert told(pets, *rows[:4]).detail.endswith("Of rows 1 to 4, 1 more does not fit.")


def test_lists_of_any_depth_are_refused(pets):
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    assert told(pets, pets_row(age=deep)).value == "a list of lists or objects"


def test_columns_that_the_model_does_not_know_are_passed_over_and_not_kept(pets):
    batch = pets.read([pets_row(note="hello", age=None)])
    assert batch.raw == [pets_row(age=None)]
    assert np.isnan(batch.arrays["numbers"][0, 1])


def test_unknown_words_are_told_for_each_row_and_a_missing_one_is_none(pets):
    batch = pets.read([pets_row(colour="blue"), pets_row(colour=None), pets_row(colour="NA"), pets_row(colour=True)])
    assert batch.unknown == [("colour",), (), (), ("colour",)]
    assert batch.arrays["categories"][:, 0].tolist() == ["blue", "", "", "true"]


def test_a_word_of_thousands_of_letters_is_read_and_not_remembered(pets):
    word = "x" * 100_000
    assert pets.read([pets_row(colour=word)]).arrays["categories"][0, 0] == word


def test_no_message_shows_a_sensitive_value(tmp_path):
    reader = RowReader(versions.make(tmp_path, "pets", 1), sensitive=["age", "born"])
    for change in ({"age": "secret"}, {"born": "secret"}):
        content = told(reader, pets_row(**change)).content()
        assert "secret" not in json.dumps(content)
        assert content["column"] in change
        assert "value" not in content
    assert "2023" not in json.dumps(told(reader, pets_row(born="secret")).content()), "nor that of the example"
