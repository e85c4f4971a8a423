r"""Makes every character of a text from outside visible, such as in a file's name, a cell, or the name of a class.

A line end in a name would begin a new line, the terminal would obey an escape, and a mark that changes the direction of
writing would show other words. Each is written out: \n, \x1b, \u202e. Visible characters stay as they are, so doing it
twice changes nothing.
"""

import unicodedata
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any


def line(text: str) -> str:
    """The text in one line, with invisible characters written out."""
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
    """Draw a picture without warnings about letters that the font lacks or names that leave no room."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def _seen(letter: str) -> str:
    kept = letter.isprintable() or unicodedata.category(letter) == "Zs"  # spaces of every width
    return letter if kept else letter.encode("unicode_escape", "surrogatepass").decode("ascii")
