"""Rules: what is read from the package's text is what the package itself says."""

import pytest
from pydantic import ValidationError

from pipelines.config import rules
from pipelines.config.rules import Rule
from pipelines.table.expectations import COMBINED, EVERY_BATCH, ROWWISE


@pytest.fixture(scope="module")
def library():
    from great_expectations import expectations
    from great_expectations.expectations import expectation

    return expectations, expectation


@pytest.mark.parametrize("name", sorted(rules.exported()))
def test_arguments_and_kind_are_those_of_the_class(name, library):
    expectations, bases = library
    kind = rules.kind(name)
    found = getattr(expectations, kind.class_name)
    fields = {field for field in found.__fields__ if field not in {*bases.BatchExpectation.__fields__, *rules.HIDDEN}}
    assert kind.arguments == fields
    assert kind.required == {field for field in fields if found.__fields__[field].required}
    assert kind.by_row == issubclass(found, tuple(getattr(bases, base) for base in rules.BY_ROW))


def test_the_rules_that_stream_exist_and_are_each_of_one_sort():
    for name in (*ROWWISE, *EVERY_BATCH, *COMBINED):
        assert name in rules.exported()
    assert len({*ROWWISE, *EVERY_BATCH, *COMBINED}) == len(ROWWISE) + len(EVERY_BATCH) + len(COMBINED)
    assert all(rules.kind(name).by_row for name in ROWWISE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"rule": "expect_column_values_to_not_be_nul"}, "did you mean 'expect_column_values_to_not_be_null'"),
        ({"rule": "expect_column_values_to_not_be_null"}, "needs the argument 'column'"),
        ({"rule": "expect_column_to_exist", "colum": "x"}, "has no argument 'colum' .did you mean 'column'"),
        ({"rule": "expect_column_to_exist", "column": "x", "levle": "warn"}, "did you mean 'level'"),
        (
            {"rule": "expect_column_max_to_be_between", "column": "x", "level": "quarantine"},
            "about the whole table, so it cannot quarantine rows",
        ),
    ],
)
def test_a_rule_that_cannot_be_is_refused_without_importing_the_library(content, message):
    with pytest.raises(ValidationError, match=message):
        Rule.model_validate(content)


def test_a_rule_tells_its_columns_and_itself():
    pair = Rule.model_validate({"rule": "expect_column_pair_values_to_be_equal", "column_A": "a", "column_B": "b"})
    assert pair.columns == ["a", "b"]
    several = Rule.model_validate({"rule": "expect_compound_columns_to_be_unique", "column_list": ["a", "b"]})
    assert several.columns == ["a", "b"]
    single = Rule.model_validate({"rule": "expect_column_max_to_be_between", "column": "a", "max_value": 3})
    assert single.title == "column 'a': expect_column_max_to_be_between {'max_value': 3}"
