"""Broken: does a column look as if its pipe were broken, and not as if the world had changed?

Each of these is far beyond what chance does to a few dozen rows, so one look is enough.
"""

from collections.abc import Sequence

from flows.monitoring.drift import compare
from pipelines.table.summary import numbers
from pipelines.table.summary.columns import NUMBERS, WORDS, Column

MISSING, UNKNOWN, CONSTANT, UNIT = "missing", "unknown", "constant", "unit"
NEARLY_ALL = 0.9  # of the rows lack a value
MORE = 0.5  # of the rows, more than before
RARE = 1e-6  # the chance that a column has one value alone by itself
OTHER_UNIT = 0.5  # the least distance of values in another unit,
SAME_SHAPE = 0.1  # and the largest distance once they are scaled
TIMES = 1.5  # the least factor between two units
MIDDLE = (0.25, 0.5, 0.75)


def broken(then: Sequence[Column], now: Sequence[Column], learned: bool) -> str:
    """MISSING, UNKNOWN, CONSTANT, UNIT, or "". Lines of one column before and now; both have rows. learned: whether
    the unknown words of now are those that today's champion has not learned."""
    gone = compare.missing_share(now)
    if gone >= NEARLY_ALL and gone - compare.missing_share(then) >= MORE:
        return MISSING
    if not compare.known(now) or not compare.known(then):
        return ""
    if now[0].kind == NUMBERS and not (compare.parts(now) and compare.parts(then)):
        return ""
    if learned and unknown_share(now) - unknown_share(then) >= MORE:
        return UNKNOWN
    if _constant(now) and _largest_share(then) ** compare.known(now) < RARE:
        return CONSTANT
    return UNIT if now[0].kind == NUMBERS and factor(then, now) else ""


def unknown_share(lines: Sequence[Column]) -> float:
    """Of the rows with a word, the share whose word the model has never seen."""
    return sum(line.unknown for line in lines) / max(1, compare.known(lines))


def factor(then: Sequence[Column], now: Sequence[Column]) -> float:
    """By what the values of now are multiples of those before, if they are of another unit; else 0."""
    before, after = compare.parts(then), compare.parts(now)
    middle = [numbers.quantiles(parts, MIDDLE) for parts in (before, after)]
    if min(map(abs, (*middle[0], *middle[1]))) == 0 or numbers.distance(before, after) < OTHER_UNIT:
        return 0.0
    by = middle[1][1] / middle[0][1]
    if by <= 0 or 1 / TIMES < by < TIMES:
        return 0.0
    same = numbers.distance([numbers.scaled(part, by) for part in before], after)
    return by if same < SAME_SHAPE else 0.0


def _constant(lines: Sequence[Column]) -> bool:
    """Whether all known values are the same."""
    if lines[0].kind == NUMBERS:
        found = compare.parts(lines)
        return all(part.constant for part in found) and len({part.points[0] for part in found}) == 1
    if lines[0].kind != WORDS:
        return False
    total = compare.known(lines)
    return any(count == total for count in _word_counts(lines))


def _word_counts(lines: Sequence[Column]) -> list[float]:
    words = sorted({word for line in lines for word in line.words})
    return [float(share * compare.rows(lines)) for share in compare.shares(lines, words)]


def _largest_share(lines: Sequence[Column]) -> float:
    """The share of the most frequent value among the known ones, at most."""
    if lines[0].kind == NUMBERS:
        return max(part.largest_share for part in compare.parts(lines))
    named = _word_counts(lines)
    rest = compare.known(lines) - sum(named)
    return max([*named, rest]) / compare.known(lines)
