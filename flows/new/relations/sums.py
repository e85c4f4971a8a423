"""Sums: numbers that contain the target, or make it up, such as a total and its parts. A linear fit shows them.

A bill contains the tip: bill = tip + fare + tolls. Rentals by members and by guests are the rentals. No column alone
gives the target away, all together do. The same holds of products and ratios, in logarithms.
"""

from dataclasses import dataclass

import numpy as np

from flows.new.relations.sample import Sample

ROWS = 5000
COLUMNS = 150  # of more, those that go with the target most
EXPLAINED = 0.98  # of the variance of a total, that its parts make up
UNIT = 0.05  # how far from 1 a copy of the target may count,
ROUGHLY = 0.25  # and the target in a total, that may hold more than its known parts
EXACT = 0.999  # of the variance of a target, where its parts count alike,
MADE = 0.9999  # or by factors of few digits
DIGITS = 0.001  # how far from such a factor
NEAR = 0.99  # of the variance of the target, that a copy with some noise has
BESIDE = 0.95  # of it: where the other columns know so much too, a near copy is no wonder
SMOOTH = 0.9  # the correlation of one row's target with the next, from which one may be read off the other


@dataclass(frozen=True)
class Numbers:
    """A sample's columns of numbers that are there in every row [rows, columns], and the target [rows]."""

    names: list[str]
    columns: np.ndarray
    target: np.ndarray


def of_sample(sample: Sample) -> dict[str, str]:
    """Why a column is to be left out, by its name."""
    found: dict[str, str] = {}
    numbers = _numbers(sample)
    for look in (_near_copies, _totals, _made_of, _product_of):
        left = [name not in found for name in numbers.names]
        rest = Numbers([n for n in numbers.names if n not in found], numbers.columns[:, left], numbers.target)
        if rest.names:
            found |= look(rest)
    return found


def _numbers(sample: Sample) -> Numbers:
    """Gaps are filled by the median. Columns that hardly vary are left out."""
    some = sample.take(ROWS)
    filled = {}
    for name, values in some.numbers.items():
        gap = np.isnan(values)
        if gap.mean() < 0.5 and np.nanstd(values) > 0:
            filled[name] = np.where(gap, np.nanmedian(values), values)
    if len(filled) > COLUMNS:
        alike = {name: abs(np.corrcoef(values, some.target)[0, 1]) for name, values in filled.items()}
        best = sorted(alike, key=lambda name: -alike[name])[:COLUMNS]
        filled = {name: values for name, values in filled.items() if name in best}
    table = np.stack([*filled.values()], axis=1) if filled else np.zeros((some.rows, 0))
    return Numbers([*filled], table, some.target)


def explained(columns: np.ndarray, values: np.ndarray) -> tuple[float, np.ndarray]:
    """The share of the variance of the values [rows] that a linear fit explains, and its factors [columns]."""
    if not columns.shape[1] or not values.std():
        return 0.0, np.zeros(columns.shape[1])
    spread = columns.std(axis=0)
    scaled = (columns - columns.mean(axis=0)) / spread
    factors = np.linalg.lstsq(scaled, values - values.mean(), rcond=1e-9)[0]
    rest = values - values.mean() - scaled @ factors
    return float(1 - rest.var() / values.var()), factors / spread


def _near_copies(numbers: Numbers) -> dict[str, str]:
    """The target with some noise, in its own unit. What the row before shows as well (a price) is none."""
    target, found = numbers.target, {}
    if len(target) < 3 or np.corrcoef(target[1:], target[:-1])[0, 1] > SMOOTH:
        return {}
    for index, name in enumerate(numbers.names):
        share, factor = explained(numbers.columns[:, [index]], target)
        offset = abs(float(np.median(numbers.columns[:, index] - target)))
        if share >= NEAR and abs(factor[0] - 1) <= UNIT and offset <= UNIT * target.std():
            found[name] = (
                f"nearly the target itself: {share:.2%} of its variance, in the same unit: known only afterwards?"
            )
    others = numbers.columns[:, [name not in found for name in numbers.names]]
    return {} if explained(others, target)[0] > BESIDE else found


def _totals(numbers: Numbers) -> dict[str, str]:
    """Columns that are the target and other columns together: never less than the target."""
    found = {}
    for index, name in enumerate(numbers.names):
        total, others = numbers.columns[:, index], np.delete(numbers.columns, index, axis=1)
        if (total < numbers.target - 1e-9).mean() > 0.01 or not others.shape[1]:
            continue
        share, factors = explained(np.column_stack([numbers.target, others]), total)
        if share < EXPLAINED or abs(factors[0] - 1) > ROUGHLY:
            continue
        parts = factors[1:] * others.std(axis=0) / total.std()
        without = explained(others, total)[0]
        if parts.max() > 0.05 and parts.min() > -0.05 and 1 - share < 0.5 * (1 - without):
            names = [n for n, part in zip([n for n in numbers.names if n != name], parts, strict=True) if part > 0.05]
            found[name] = f"contains the target: it is about the target + {_listed(names)} (linear fit, {share:.2%})"
    return found


def _made_of(numbers: Numbers) -> dict[str, str]:
    """The parts of which the target is the sum, or the one from which it is what the others leave."""
    names, factors, share = _fewest(numbers, EXACT)
    if len(names) < 2:
        return {}
    alike = np.abs(np.abs(factors) / np.abs(factors).mean() - 1).max() < UNIT / 10
    if not (alike or (share >= MADE and all(map(_short, factors)))):
        return {}
    told = " ".join(f"{factor:+.3g} {name}" for name, factor in zip(names, factors, strict=True)).removeprefix("+")
    why = f"the target is made of it: {told} (linear fit, {share:.2%})"
    return {name: why for name, factor in zip(names, factors, strict=True) if factor > 0}


def _product_of(numbers: Numbers) -> dict[str, str]:
    """The same of products, ratios and powers. Of several factors those with the most digits: they were computed."""
    positive = np.asarray((numbers.columns > 0).all(axis=0))
    if not (numbers.target > 0).all() or positive.sum() < 2:
        return {}
    logs = Numbers(
        [name for name, ok in zip(numbers.names, positive, strict=True) if ok],
        np.log(numbers.columns[:, positive]),
        np.log(numbers.target),
    )
    names, powers, share = _fewest(logs, EXACT)
    if len(names) < 2 or any(abs(power - round(2 * power) / 2) > UNIT / 10 or not round(2 * power) for power in powers):
        return {}
    over = [name for name, power in zip(names, powers, strict=True) if power > 0]
    digits = {name: _digits(numbers.columns[:, numbers.names.index(name)]) for name in over}
    told = " * ".join(
        name if power == 1 else f"{name}^{power:g}" for name, power in zip(names, np.round(powers, 1), strict=True)
    )
    why = f"the target is made of it: {told} (fit of logarithms, {share:.2%})"
    return {name: why for name in over if digits[name] == max(digits.values())}


def _fewest(numbers: Numbers, least: float) -> tuple[list[str], np.ndarray, float]:
    """The fewest columns that explain the target so far: (names, factors, share); none if all do not."""
    names, columns = numbers.names, numbers.columns
    share, factors = explained(columns, numbers.target)
    if share < least:
        return [], factors[:0], share
    weight = np.abs(factors * columns.std(axis=0))
    for name in [numbers.names[index] for index in np.argsort(weight)]:
        keep = [other != name for other in names]
        less, smaller = explained(columns[:, keep], numbers.target)
        if less >= least and 1 - less <= max(2 * (1 - share), 1e-9):
            names, columns, factors, share = [n for n in names if n != name], columns[:, keep], smaller, less
    return names, factors, share


def _short(factor: float) -> bool:
    short = float(f"{factor:.2g}")
    return bool(short and abs(factor / short - 1) <= DIGITS)


def _digits(values: np.ndarray) -> int:
    """Digits after the point, 6 at most."""
    return next((count for count in range(6) if np.allclose(values, np.round(values, count), atol=1e-9)), 6)


def _listed(names: list[str]) -> str:
    return " + ".join(names[:4]) + (" + ..." if len(names) > 4 else "")
