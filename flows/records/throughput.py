"""The pace of a training beside its history: for MLflow, and in words (pipelines/training/throughput.py writes it)."""

import statistics
from pathlib import Path

from flows.records import epochs
from flows.records.epochs import Epoch

RATE, SECONDS, WAITING = "pace/rows_per_second", "pace/seconds_per_epoch", "pace/waiting_for_data"
COLUMNS = {"seconds": SECONDS, "rows_per_second": RATE, "waiting": WAITING}
LOSS = "train/loss"
MUCH, LONG = 0.2, 0.1  # share of the time, and seconds of an epoch: with more waiting, advice is shown
ADVICE = (
    "reading is slower than training: leave it a core (train.threads below the number of cores), put the data on a "
    "faster disk, or leave out columns that do not help (ingest.ignore)"
)


def beside(found: list[Epoch], path: Path) -> list[Epoch]:
    """The epochs, with their pace if pace.csv at `path` has it. Lines of another training have another loss."""
    lines = {line["epoch"]: line for line in epochs.read(path)}

    def of(epoch: Epoch) -> Epoch:
        line = lines.get(epoch["epoch"], {})
        known = LOSS in line and line[LOSS] == epoch.get(LOSS)
        return {name: line[column] for column, name in COLUMNS.items()} if known else {}

    return [epoch | of(epoch) for epoch in found]


def words(epoch: Epoch) -> str:
    """Such as "52,000 rows/s, 3 % waiting for data"; "" for an epoch with unknown pace."""
    if RATE not in epoch:
        return ""
    return f"{float(f'{epoch[RATE]:.2g}'):,.0f} rows/s, {epoch[WAITING]:.0%} waiting for data".replace("%", " %")


def advice(history: Path) -> str:
    """Advice if a training waited long for its data, or "". The median counts: a single slow epoch is chance."""
    found = beside(epochs.read(history), history.with_name("pace.csv"))
    known = [epoch for epoch in found if WAITING in epoch]
    share, seconds = (statistics.median([e[name] for e in known] or [0.0]) for name in (WAITING, SECONDS))
    return ADVICE if share > MUCH and seconds > LONG else ""
