r"""Shown: a text from outside, such as a file's name, a cell, or the name of a class, as a person can see it.

A line end in a name would begin a line of its own, an escape would be obeyed by the terminal, and a mark that turns the
direction of writing shows other words than there are. Each stands there as what it is: \n, \x1b, \u202e. What a person
reads anyway stays as it is, so to do it twice changes nothing.
"""

import unicodedata
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any


def line(text: str) -> str:
    """The text in one line, with what cannot be seen written out."""
    return text if text.isprintable() else "".join(map(_seen, text))


def lines(text: str) -> str:
    """The same for a text that has lines of its own."""
    return "\n".join(map(line, text.split("\n")))


def every(value: Any, whole: Collection[str] = ()) -> Any:
    """All texts in lists and objects, keys too, each in one line. whole: keys of texts that have lines of their own."""
    if isinstance(value, str):
        return line(value)
    if isinstance(value, dict):
        return {
            every(key): lines(part) if key in whole and isinstance(part, str) else every(part, whole)
            for key, part in value.items()
        }
    return [every(part, whole) for part in value] if isinstance(value, list | tuple) else value


def note(text: str) -> None:
    """A line of a stage's log that `ratchet run` shows to a person."""
    print(f"note: {line(text)}", flush=True)


@contextmanager
def unwarned() -> Iterator[None]:
    """Around a picture: that a font lacks a letter, where a box stands then, or that names leave it no room, is no
    news for a terminal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def _seen(letter: str) -> str:
    kept = letter.isprintable() or unicodedata.category(letter) == "Zs"  # spaces of every width
    return letter if kept else letter.encode("unicode_escape", "surrogatepass").decode("ascii")
