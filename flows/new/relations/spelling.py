"""Spelling: words that count as missing, and may be words like others: a person decides what is meant."""

import pyarrow as pa
import pyarrow.compute as pc

LEAST = 0.05  # of the rows, that a mark of a missing value has to have


def marked(name: str, values: pa.ChunkedArray, missing: list[str]) -> list[str]:
    """A sentence on a word of a category that counts as missing."""
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return []
    texts = pc.utf8_trim_whitespace(values)
    marks = texts.filter(pc.is_in(texts, value_set=pa.array([word for word in missing if word], values.type)))
    if len(marks) < LEAST * len(values):
        return []
    words = " and ".join(map(repr, pc.unique(marks).to_pylist()))
    return [f"{name}: {words} counts as missing: if it is a word, take it out of ingest: missing"]
