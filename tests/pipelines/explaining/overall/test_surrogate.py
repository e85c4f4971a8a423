"""Rules beside their fidelity; refused where one answer for all rows is as near to the model."""

import numpy as np
import pytest

from pipelines.explaining.columns import Column
from pipelines.explaining.overall import surrogate

COLUMNS = [Column("weight", "numbers", 0), Column("age", "numbers", 1), Column("colour", "categories", 0)]
COLUMNS += [Column("born", "dates", 0)]


def rows(count=600, seed=0):
    random = np.random.default_rng(seed)
    return {
        "numbers": random.normal(size=(count, 2)),
        "categories": random.choice(["black", "white", ""], (count, 1)).astype(object),
        "dates": random.uniform(0, 2e9, (count, 1)),
    }


def classes(yes):
    return np.column_stack([1 - yes, yes]).astype(np.float32)


def found_for(model, names=("cat", "dog"), change=lambda arrays: arrays):
    train, test = change(rows()), change(rows(seed=1))
    return surrogate.rules(train, model(train), test, model(test), COLUMNS, list(names))


def test_rules_say_what_a_simple_model_does():
    def model(arrays):
        heavy, white = arrays["numbers"][:, 0] > 0.5, arrays["categories"][:, 0] == "white"
        return classes((heavy & white).astype(float))

    found = found_for(model)
    assert found.fidelity > 0.98 > found.majority
    assert found.refused == ""
    assert "if colour is 'white':" in found.text
    assert "if weight > 0." in found.text.replace("  ", "")
    assert "dog  (" in found.text
    assert max(len(line) - len(line.lstrip()) for line in found.text.splitlines()) <= 2 * surrogate.LEVELS


def test_a_gap_is_named_where_it_decides_and_where_it_goes_along():
    def planted(arrays):
        arrays["numbers"][::7, 0] = np.nan
        return arrays

    def model(arrays):
        return classes((arrays["numbers"][:, 0] > 0).astype(float))  # no gap is greater

    text = found_for(model, change=planted).text
    assert ", or it is missing:" in text

    def asks(arrays):
        return classes(np.isnan(arrays["numbers"][:, 0]).astype(float))

    text = found_for(asks, change=planted).text
    assert "if weight is missing:" in text
    assert "if weight is known:" in text


def test_rules_for_a_number_and_for_a_date():
    def model(arrays):
        return np.where(arrays["dates"] > 1e9, 100.0, 3.5).astype(np.float32)

    found = found_for(model, names=())
    assert found.fidelity > 0.95
    assert found.majority == 0
    assert "if born <= 2001-08-" in found.text
    assert "about 3.5  (" in found.text


def test_rules_that_are_no_better_than_one_answer_are_refused_in_words():
    def model(arrays):
        noise = np.random.default_rng(len(arrays["numbers"]) + int(arrays["numbers"][0, 0] * 1000))
        return classes((noise.random(len(arrays["numbers"])) < 0.05).astype(float))

    found = found_for(model)
    assert (found.text, found.refused) == (
        "",
        "they would be no better than the share of the most frequent class",
    )
    assert found.fidelity <= found.majority
    constant = found_for(lambda arrays: np.full((len(arrays["numbers"]), 1), 2.0, np.float32), names=())
    assert constant.refused == "they would be no better than the mean for all rows"


@pytest.mark.parametrize("columns", [[], [Column("w", "past_categories", 0)]])
def test_without_a_column_that_rules_could_ask_for_there_are_none(columns):
    arrays = {"past_categories": np.full((20, 3, 1), "a", object)}
    answers = np.zeros((20, 1), np.float32)
    found = surrogate.rules(arrays, answers, arrays, answers, columns, [])
    assert found.refused == "there is no column that rules could ask for"


def test_invisible_letters_of_names_and_words_are_written_out():
    arrays = rows()
    arrays["categories"][::2, 0] = "a\nb"
    answers = classes((arrays["categories"][:, 0] == "a\nb").astype(float))
    found = surrogate.rules(arrays, answers, arrays, answers, [Column("c\x1b", "categories", 0)], ["x", "y"])
    assert "if c\\x1b is 'a\\nb':" in found.text
