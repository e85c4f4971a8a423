"""A YAML text as plain values, within limits of size and depth. YAML is read as version 1.2, as DVC does."""

import re
from typing import Any

from ruamel.yaml import YAML

MOST_VALUES = 1_000_000  # of one YAML file, its aliases written out,
MOST_DEPTH = 50  # and so deep


def plain(text: str) -> Any:
    """The content of a YAML text. Raises YAMLError or RecursionError, ValueError if it is too deep or too large."""
    depth = deepest = 0
    for found in re.finditer(r"[\[{\]}]", text):  # the parser takes seconds to give up
        depth = max(0, depth + (1 if found[0] in "[{" else -1))
        deepest = max(deepest, depth)
    if deepest > 4 * MOST_DEPTH:  # some may stand in words
        raise ValueError(f"it is nested more than {MOST_DEPTH} deep")
    content = YAML(typ="safe", pure=True).load(text)
    _size(content)
    return content


def _size(content: Any, depth: int = 0, known: dict[int, int] | None = None) -> int:
    """The number of values once every alias is expanded. Raises ValueError for too many, or too deep.

    A few lines of aliases of aliases can expand to billions of values, and an alias that contains itself has no end.
    """
    known = {} if known is None else known
    if depth > MOST_DEPTH:
        raise ValueError(f"it is nested more than {MOST_DEPTH} deep")
    if not isinstance(content, dict | list):
        return 1
    if id(content) not in known:
        parts = [*content, *content.values()] if isinstance(content, dict) else content
        known[id(content)] = 1 + sum(_size(part, depth + 1, known) for part in parts)
    if known[id(content)] > MOST_VALUES:
        raise ValueError(f"it holds more than {MOST_VALUES:,} values once its aliases are expanded")
    return known[id(content)]
