"""A small time series for tests, and its declaration: what two shops sell in an hour."""

from typing import Any

import numpy as np
import pandas as pd

from tests.support.world import World

SHOPS: dict[str, Any] = {
    "kind": "sequence",
    "task": "regression",
    "target": "sold",
    "columns": {"at": "date", "warm": "number", "sky": "category", "shop": "category"},
    "time": "at",
    "series": ["shop"],
    "step": 3600,
    "window": 6,
}
SPLIT = {"by": "time", "column": "at", "validation_from": "2026-01-07T00:00Z", "test_from": "2026-01-09T00:00Z"}
SECTIONS: dict[str, Any] = {
    "data_": SHOPS,
    "ingest": {"source": "data/incoming/shops/"},
    "clean_": {"split": SPLIT},
    "train_": {"network": "rnn", "recurrent": [8], "cell": "gru", "hidden": [], "epochs": 3, "batch_size": 16},
    "evaluate": {"metrics": ["mean_absolute_error", "r2"]},
    "promote_": {"metric": "mean_absolute_error", "at_most": 50.0},
}


def shops(hours: int = 240) -> pd.DataFrame:
    """By the hour of the day, about 12 on average, and more in the shop `b`; one value in twenty is missing, and of the
    shop `a` a whole day."""
    random = np.random.default_rng(0)
    parts = []
    for shop, more in (("a", 0), ("b", 6)):
        at = pd.date_range("2026-01-01", periods=hours, freq="h", tz="UTC")
        sold = 12 + more + 8 * np.sin(2 * np.pi * at.hour.to_numpy() / 24) + random.normal(0, 0.5, hours)
        part = {"at": at.strftime("%Y-%m-%dT%H:%M:%S+00:00"), "shop": shop, "warm": random.normal(5, 3, hours).round(6)}
        part |= {"sky": random.choice(["clear", "cloud"], hours), "sold": sold.round(6)}
        parts.append(pd.DataFrame(part))
    table = pd.concat(parts, ignore_index=True)
    for name in ("warm", "sky", "sold"):
        table[name] = table[name].mask(random.random(len(table)) < 0.05)
    return table.drop(index=range(72, 96))


def declare(world: World, **changes: dict[str, Any]) -> None:
    """The model `shops`, with some of its sections changed."""
    world.declare("shops", **SECTIONS | changes)


def prepared(world: World, table: pd.DataFrame, *stages: str, **changes: dict[str, Any]) -> Any:
    """Declare, pin and run the stages (ingest, validate and clean unless named); returns data/shops."""
    declare(world, **changes)
    world.pin(table, model="shops")
    return world.run(*(stages or ("ingest", "validate", "clean")), model="shops")
