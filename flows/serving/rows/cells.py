"""Cells: a function for each column, which reads one value of a request.

What is plain is taken as it is, and short texts are remembered: the same words come again and again. For everything
else the version's own reader is asked.
"""

from collections.abc import Callable, Collection
from datetime import datetime
from functools import lru_cache
from typing import Any

from flows.serving.rows.meaning import Meaning

MISSING = float("nan")
EXACT = 2**53  # whole numbers up to here are doubles
REMEMBERED = 1024  # values of a column
SHORT = 64  # letters of a text that is remembered
SCALARS = (int, float, bool)
UNREADABLE = (ValueError, TypeError, ArithmeticError, RecursionError)  # what a reader may raise of a value

Number = Callable[[Any], float]
Word = Callable[[Any], tuple[str, bool]]


def number(name: str, meaning: Meaning) -> Number:
    """Value -> double, NaN where it is missing. The function raises ValueError for what is no number."""

    def asked(value: Any) -> float:
        found = meaning.one(value, "number", name)
        return MISSING if found is None else float(found)

    remembered, marks, own = lru_cache(REMEMBERED)(asked), meaning.numeric_marks, meaning.altered(name)

    def read(value: Any) -> float:
        kind = type(value)
        if kind is float and not own and value - value == 0.0 and value not in marks:  # finite
            return float(value)
        if kind is int and not own and -EXACT <= value <= EXACT and value not in marks:
            return float(value)
        return remembered(value) if kind is str and len(value) <= SHORT else asked(value)

    return read


def word(name: str, meaning: Meaning, known: Collection[str]) -> Word:
    """Value -> text, "" where it is missing, and whether the model has never seen that text.

    known: the words that the model has seen.
    """

    def asked(value: Any) -> tuple[str, bool]:
        found = meaning.one(value, "category", name)
        return ("", False) if found is None else (_encodable(found), found not in known)

    remembered = lru_cache(REMEMBERED, typed=True)(asked)  # 1, 1.0 and True are different texts

    def read(value: Any) -> tuple[str, bool]:
        kind = type(value)
        plain = len(value) <= SHORT if kind is str else kind in SCALARS and -EXACT <= value <= EXACT
        return remembered(value) if plain else asked(value)

    return read


def date(name: str, meaning: Meaning) -> Number:
    """Value -> seconds since 1970, NaN where it is missing. The function raises ValueError for what is no date."""

    def asked(value: Any) -> float:
        return seconds(meaning.one(value, "date", name))

    remembered = lru_cache(REMEMBERED)(asked)

    def read(value: Any) -> float:
        return remembered(value) if type(value) is str and len(value) <= SHORT else asked(value)

    return read


def seconds(instant: str | None) -> float:
    """ISO text with an offset -> seconds since 1970; NaN for None."""
    return MISSING if instant is None else datetime.fromisoformat(instant).timestamp()


def _encodable(text: str) -> str:
    """The same text. Raises ValueError for half a character, which no runtime takes."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("is no text in UTF-8") from error
    return text
