"""How a file writes numbers: the sign before decimals, and the one between thousands.

Each writing is judged by how many columns it reads. Of equals the plainest holds.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.readers.meaning import numbers

Signs = tuple[str, str]
PLAIN = (".", "")
WRITINGS = [PLAIN, (",", ""), (",", "."), (".", ","), (",", " "), (".", " "), (",", "'"), (".", "'"), (".", "_")]
OTHERWISE = "\\d[,'\u2019_ \u00a0\u2009\u202f]\\d|^\\s*[-+]?,\\d|\\.\\d+\\.|[^\\x00-\\x7f]"  # no plain number has it
THREE_DIGITS, OTHER_DIGITS = r"^\s*[-+]?[1-9]\d{0,2}\.\d{3}\s*$", r"\.(\d{1,2}|\d{4,})\s*$"
POINT = r"^\s*[-+]?\d*\.\d+\s*$"
GROUPED = {sign: re.compile(rf"[-+]?[1-9]\d{{0,2}}([{sign}]\d{{3}})+") for sign in ".,"}
SMALL = re.compile(r"[-+]?\d{1,3}")
CODE = re.compile(r"0\d+")
NEARLY = 0.99  # the share of a column's rows that are numbers,
FEW_OTHERS = 3  # and the different words beside them
MOST_WORDS = 1000  # of a column, by which a writing is judged
FEWEST_GROUPED = 10  # words of three digits after a sign, that are more than chance beside small whole numbers


@dataclass(frozen=True)
class Writing:
    decimal: str = "."
    thousands: str = ""
    why: str = ""
    lost: dict[str, str] = field(default_factory=dict)  # columns of numbers that it does not read, and why

    @property
    def signs(self) -> Signs:
        return self.decimal, self.thousands


def found(table: pa.Table, delimiter: str, target: str, given: dict[str, Any], missing: list[str]) -> Writing:
    """delimiter: of the file; of two readings of `1,234` it says which is likelier. given: keys that a person has set.

    missing: words for a missing value.
    """
    fitting = [s for s in WRITINGS if given.get("decimal", s[0]) == s[0] and given.get("thousands", s[1]) == s[1]]
    asked = given.get("decimal", "."), given.get("thousands", "")
    if {"decimal", "thousands"} <= {*given} or not fitting:
        return Writing(*asked)
    looks = {name: _look(table[name]) for name in table.column_names}
    texts = {name: _words(table[name], missing) for name, look in looks.items() if look == "otherwise"}
    others = [signs for signs in fitting if signs != PLAIN]
    if not given and all(_reads(w, PLAIN) or not any(_reads(w, signs) for signs in others) for w in texts.values()):
        return Writing()
    texts |= {name: _words(table[name], missing) for name, look in looks.items() if look == "with points"}
    reads = {signs: [name for name, words in texts.items() if _reads(words, signs)] for signs in fitting}
    best = max(fitting, key=lambda signs: (target in reads[signs], len(reads[signs]), -fitting.index(signs)))
    if best == (",", "") and delimiter == "," and not given and _only_groups(texts, reads[best]):
        best = (".", ",")
    if best == asked:
        return Writing(*asked)
    why = _reason(best, [(name, texts[name]) for name in reads[best]])
    lost = [name for name, words in texts.items() if name not in reads[best] and _reads(words, PLAIN)]
    return Writing(*best, why, {name: f"numbers such as {texts[name].index[0]!r}, but {why}" for name in lost})


def as_programs_write(table: pa.Table, writing: Writing, missing: list[str]) -> pa.Table:
    """The table with its numbers as programs write them, in the columns that this writing reads."""
    for place, name in enumerate(table.column_names):
        look = _look(table[name])
        if not look or (writing.signs == PLAIN and look != "otherwise"):
            continue
        if not _reads(_words(table[name], missing), writing.signs):
            continue
        coded = table[name].combine_chunks().dictionary_encode()
        plain = [_plain(str(word).strip(), writing.signs) or word for word in coded.dictionary.to_pylist()]
        table = table.set_column(place, name, pa.array(plain, pa.string()).take(coded.indices))
    return table


def _look(column: pa.ChunkedArray) -> str:
    """Whether some texts of a column are no numbers as programs write them, but may be some ("otherwise"), or some are
    as programs write them, with points; else ""."""

    def has(pattern: str) -> bool:
        return bool(pc.any(pc.match_substring_regex(column, pattern)).as_py())

    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return ""
    if has(OTHERWISE) or (has(THREE_DIGITS) and not has(OTHER_DIGITS)):
        return "otherwise"
    return "with points" if has(POINT) else ""


def _words(column: pa.ChunkedArray, missing: list[str]) -> "pd.Series":
    """How often the most frequent words of a column occur."""
    counts = column.drop_null().to_pandas().str.strip().value_counts()
    return counts[~counts.index.isin(missing)][:MOST_WORDS]


def _reads(words: "pd.Series", signs: Signs) -> bool:
    """Whether words are numbers of this writing, but for a few that may mean a missing one."""
    if not len(words) or any(map(CODE.fullmatch, words.index)) or _grouped(words, signs[0]):
        return False
    if all(word.startswith("+") for word in words.index):
        return False  # telephones
    others = [word for word in words.index if _plain(word, signs) is None]
    rows = words.sum()
    return len(others) <= FEW_OTHERS and bool(rows - words[others].sum() >= NEARLY * rows)


def _plain(word: str, signs: Signs) -> str | None:
    """A number as programs write it; None for another word."""
    try:
        found = numbers.plain(word, *signs)
    except ValueError:
        return None
    return found if numbers.is_plain(found) else None


def _grouped(words: "pd.Series", sign: str) -> bool:
    """Whether a sign parts thousands, and no decimals: three digits follow it always, and smaller numbers lack it."""
    marked = [word for word in words.index if sign in word]
    others = [word for word in words.index if sign not in word]
    several = any(word.count(sign) > 1 for word in marked)
    if not marked or not all(map(GROUPED[sign].fullmatch, marked)):
        return False
    return several or (len(marked) >= FEWEST_GROUPED and bool(others) and all(map(SMALL.fullmatch, others)))


def _only_groups(texts: "dict[str, pd.Series]", names: list[str]) -> bool:
    """Whether three digits follow every comma: where a comma parts cells, people write points before decimals."""
    marked = [word for name in names for word in texts[name].index if "," in word]
    return all(map(GROUPED[","].fullmatch, marked))


def _reason(signs: Signs, columns: "list[tuple[str, pd.Series]]") -> str:
    """Shown by the number that differs most from what programs write."""
    shown = ((name, word, found) for name, words in columns for word in words.index if (found := _plain(word, signs)))
    name, word, found = max(shown, key=lambda one: _changes(one[1], one[2]))
    return f"{name!r} has {word!r}, read as {found}"


def _changes(word: str, found: str) -> int:
    return sum(sign not in found[place : place + 1] for place, sign in enumerate(word) if not sign.isdigit())
