"""Compare: how far apart are two distributions of one column, and how rare is that among rows of one kind?

Numbers: the two-sample Kolmogorov-Smirnov test. Words: Pearson's chi-squared test of the shares, with words that are
too rare for it as one (Cochran 1954). The share of missing values is a test of its own beside that of numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.table.summary import numbers
from pipelines.table.summary.columns import NUMBERS, WORDS, Column

LEAST_EXPECTED = 5.0  # rows of a word, in the smaller of the two samples


@dataclass(frozen=True)
class Apart:
    """distance: from 0 to 1, the Kolmogorov-Smirnov distance or the largest change of a share. p: the probability that
    rows of one kind are so far apart or farther."""

    distance: float
    p: float


def apart(then: Sequence[Column], now: Sequence[Column]) -> Apart:
    """Lines of one column before, and lines of it now. Both have rows."""
    if now[0].kind == WORDS:
        return _words(then, now)
    found = _missing(then, now)
    if now[0].kind != NUMBERS or not parts(then) or not parts(now):
        return found
    larger = max(found, _numbers(then, now), key=lambda one: one.distance)
    return Apart(larger.distance, min(1.0, 2 * larger.p))  # either of two tests could have been the larger one


def rows(lines: Sequence[Column]) -> int:
    return sum(line.rows for line in lines)


def known(lines: Sequence[Column]) -> int:
    """The rows that have a value."""
    return sum(line.known for line in lines)


def parts(lines: Sequence[Column]) -> list[numbers.Numbers]:
    """The distributions of numbers; [] if no value is known."""
    return [line.numbers for line in lines if line.points]


def missing_share(lines: Sequence[Column]) -> float:
    return sum(line.missing for line in lines) / max(1, rows(lines))


def shares(lines: Sequence[Column], words: Sequence[str]) -> np.ndarray:
    """The share of the rows that has each word [words]."""
    return _counts(lines, words) / max(1, rows(lines))


def common_words(then: Sequence[Column], now: Sequence[Column]) -> list[str]:
    """The words that were counted one by one in all lines."""
    return sorted(set.intersection(*(set(line.words) for line in (*then, *now))))


def _numbers(then: Sequence[Column], now: Sequence[Column]) -> Apart:
    from scipy.stats import kstwo

    before, after = parts(then), parts(now)
    far = numbers.distance(before, after)
    size, other = numbers.count(before), numbers.count(after)
    return Apart(far, float(kstwo.sf(far, max(1, round(size * other / (size + other))))))


def _missing(then: Sequence[Column], now: Sequence[Column]) -> Apart:
    table = np.array([[sum(line.missing for line in lines), known(lines)] for lines in (then, now)], np.float64)
    return Apart(abs(missing_share(then) - missing_share(now)), _chi_squared(table))


def _words(then: Sequence[Column], now: Sequence[Column]) -> Apart:
    words = common_words(then, now)
    table = np.array([_all_counts(lines, words) for lines in (then, now)])
    share = table / table.sum(axis=1, keepdims=True)
    return Apart(float(np.abs(share[0] - share[1]).max()), _chi_squared(_without_rare(table)))


def _counts(lines: Sequence[Column], words: Sequence[str]) -> np.ndarray:
    found = [dict(zip(line.words, line.counts, strict=True)) for line in lines]
    return np.array([sum(one.get(word, 0) for one in found) for word in words], np.float64)


def _all_counts(lines: Sequence[Column], words: Sequence[str]) -> np.ndarray:
    """The rows with each word, those without any, and the rest."""
    named = _counts(lines, words)
    gone = sum(line.missing for line in lines)
    return np.array([*named, gone, rows(lines) - gone - named.sum()])


def _without_rare(table: np.ndarray) -> np.ndarray:
    """The rarest words as one, so that each is expected often enough. table: counts [2, words]."""
    expected = table.sum(axis=0) / table.sum() * table.sum(axis=1).min()
    order = np.argsort(-expected, kind="stable")
    kept = order[expected[order] >= LEAST_EXPECTED]
    rest = np.setdiff1d(order, kept)
    if len(rest) and len(kept) and expected[rest].sum() < LEAST_EXPECTED:  # the rest alone is too rare as well
        rest, kept = np.append(rest, kept[-1]), kept[:-1]
    return np.column_stack([table[:, kept], table[:, rest].sum(axis=1)])


def _chi_squared(table: np.ndarray) -> float:
    """The p value of counts [2, words]."""
    from scipy.stats import chi2_contingency

    there = table[:, table.sum(axis=0) > 0]
    if there.shape[1] < 2 or not there.sum(axis=1).all():  # nothing to compare
        return 1.0
    return float(chi2_contingency(there).pvalue)
