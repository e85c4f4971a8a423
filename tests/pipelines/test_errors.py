"""Errors: one tree, drawn on its page as it is."""

import inspect
import re

from pipelines import errors
from pipelines.errors import RatchetError, StageError


def test_the_page_draws_every_error_under_its_parent():
    page = (errors.__doc__ or "").splitlines()
    drawn = {word: line.index(word) // 4 for line in page for word in re.findall(r"\w+Error", line)}
    classes = dict(inspect.getmembers(errors, inspect.isclass))
    assert drawn == {name: len(found.__mro__) - len(RatchetError.__mro__) for name, found in classes.items()}


def test_an_error_is_one_paragraph_of_what_and_what_to_do():
    error = errors.DataError("The table is empty.", "Add rows.")
    assert (str(error), error.what, error.do, error.status) == (
        "The table is empty. Add rows.",
        "The table is empty.",
        "Add rows.",
        1,
    )
    assert str(errors.DataError("The table is empty.")) == "The table is empty."


def test_wrong_requests_have_status_two_and_a_stage_keeps_its_own():
    assert errors.RequestError("x").status == errors.SettingsError("x").status == 2
    assert (StageError("train", "x").status, StageError("train", "x", 2).status) == (1, 2)
