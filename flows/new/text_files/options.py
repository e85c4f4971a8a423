"""The options of `ratchet new` that stand for keys of `ingest:`, and errors that name them.

Before there is a YAML, nobody can write a key into it: a message names the option instead.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import ValidationError

from pipelines.errors import DataError, RatchetError, RequestError
from pipelines.ingest import Ingest
from pipelines.table.rows import MISSING

KEYS = (
    "delimiter",
    "decimal",
    "thousands",
    "encoding",
    "quote",
    "skip",
    "skip_end",
    "comment",
    "trailing_delimiters",
    "missing",
    "names",
)
SIGNS = {"tab": "\t", "\\t": "\t", "space": " ", "blank": " "}  # that are hard to type
KEY = re.compile(r"(under )?`ingest: (\w+):( [^`]*)?`( in the model's YAML)?")
OTHER_KEYS = re.compile(
    r",? or (change |correct )?(`\w+`,? (or )?)*(`\w+` )?(under )?`ingest:[^`]*` ?(in the model's YAML)?"
)
OF_A_YAML = re.compile(r"Remove `names:` from the model's YAML: it is")


def option(key: str) -> str:
    return f"--{key.replace('_', '-')}"


def keys(asked: dict[str, Any]) -> dict[str, Any]:
    """The keys of `ingest:` for what a person has asked; an option that was not given is None, "" or [].

    Raises RequestError, naming the option, for a value that a key cannot have.
    """
    found = {key: SIGNS.get(value, value) if isinstance(value, str) else value for key, value in asked.items()}
    found = {key: value for key, value in found.items() if value not in (None, "", [])}
    if "missing" in found:
        found["missing"] = [*MISSING, *found["missing"]]
    try:
        Ingest.model_validate({"source": "-", **found})
    except ValidationError as error:
        problem = error.errors()[0]
        key = next((str(part) for part in problem["loc"]), "thousands")
        message = problem["msg"].removeprefix("Value error, ")
        value = f", got {found[key]!r}" if key in found and problem["type"] != "value_error" else ""
        raise RequestError(f"{option(key)}: {message[0].lower()}{message[1:]}{value}.") from error
    return found


@contextmanager
def named() -> Iterator[None]:
    """Errors of the block name options where they named keys."""
    try:
        yield
    except (DataError, RequestError) as error:
        what, do = _without_keys(error.what), _without_keys(error.do)
        if (what, do) == (error.what, error.do):
            raise
        raise _like(error, what, do) from error


def _like(error: RatchetError, what: str, do: str) -> RatchetError:
    return DataError(what, do) if isinstance(error, DataError) else RequestError(what, do)


def _without_keys(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        into = "with " if found[1] else ""
        return f"{into}`{option(found[2])}{found[3] or ''}`" if found[2] in KEYS else found[0]

    text = OF_A_YAML.sub(f"Leave out `{option('names')}`: it is", KEY.sub(one, text))
    return OTHER_KEYS.sub("", text).strip()
