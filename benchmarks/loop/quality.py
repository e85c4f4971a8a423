"""Live quality: how often a stationary champion is called worse in a year of daily looks, and how soon a worse one."""

from functools import partial

import numpy as np
from gate.cells import Cells, Random, header, line, rate, title

from loop.looks import first_worse
from loop.streams import MARGIN, Stream, tested

TESTED = (200, 360, 1000)  # test rows
ROWS = {"roc_auc": 20}  # a day; others have
USUAL = 60
LATE = 7  # days that a label takes
CHANGED = 60  # the day on which the world changes
AFTER = 60  # days after the change that are looked at
NEVER = 10_000.0
HARMS = {
    "accuracy": (0.05, 0.1, 0.2, 0.4),
    "log_loss": (0.05, 0.1, 0.2, 0.4),
    "mean_absolute_error": (0.1, 0.2, 0.4),
    "roc_auc": (0.1, 0.2, 0.4),
}
PER_DAY = {"roc_auc": 50}  # rows, where harm is looked for; others have
MANY = 200


def stationary(cells: Cells) -> None:
    """A year of daily looks at a champion that stays as good as it was tested, without a margin: any margin makes a
    false "worse" rarer."""
    title("Called worse in a year, though nothing changed and with margin 0: per cent of streams, 95 % interval")
    header("metric", "rows a day", "streams", *(f"{rows:,} test rows" for rows in TESTED))
    for metric in MARGIN:
        found = cells.of(f"{metric} {_rows(metric)}", partial(_year, metric))
        line(metric, _rows(metric), cells.trials, *(rate(found[str(rows)]) for rows in TESTED))


def _rows(metric: str) -> int:
    return ROWS.get(metric, USUAL)


def _year(metric: str, random: Random) -> dict[str, float]:
    """One stream, judged by the promises of three tests."""
    promises = {rows: tested(metric, rows, 0.0, random) for rows in TESTED}
    scored = Stream(365, _rows(metric)).scored(metric, random)
    return {str(rows): first_worse(metric, scored, one) is not None for rows, one in promises.items()}


def harm(cells: Cells) -> None:
    """The world changes on a day; 1,000 test rows, labels a week late."""
    title(f"The world changes on day {CHANGED}, labels come {LATE} days late: days until it is called worse")
    header("metric", "rows a day", "it was", "it is", "called worse before", "within 60 days", "median", "95 of 100")
    for metric, sizes in HARMS.items():
        for size in sizes:
            rows = PER_DAY.get(metric, MANY)
            found = cells.of(f"{metric} {size} {rows}", partial(_turned, metric, size, rows), cells.trials // 2)
            days = np.array(found["days"])
            after = np.where(days >= 0, days, NEVER)
            was, now = (f"{np.mean(found[name]):.3f}" for name in ("was", "now"))
            middle, most = (_days(float(np.quantile(after, part, method="higher"))) for part in (0.5, 0.95))
            line(metric, rows, was, now, rate((days < 0).tolist()), rate((after < AFTER).tolist()), middle, most)


def _turned(metric: str, size: float, rows: int, random: Random) -> dict[str, float]:
    """days: from the change until it is called worse, below 0 before it."""
    known = tested(metric, 1000, MARGIN[metric], random)
    scored = Stream(CHANGED + AFTER - LATE, rows, CHANGED, size).scored(metric, random)
    found = first_worse(metric, scored, known, LATE)
    was, now = (scored.answers.take(part).score(metric) for part in (scored.days < CHANGED, scored.days >= CHANGED))
    return {"days": NEVER if found is None else found - CHANGED, "was": was, "now": now}


def _days(number: float) -> str:
    return "later" if number >= NEVER else f"{number:.0f}"
