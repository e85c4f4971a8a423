"""Words of a message about words that are not known."""

import difflib


def nearest(word: str, known: list[str]) -> str:
    """The end of a sentence about an unknown word: a similar known word, or all known ones."""
    near = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {near[0]!r}?)" if near else f" (known: {', '.join(sorted(known))})"
