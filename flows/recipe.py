"""Placeholder, until the measured one comes."""

from typing import Any


def table(task: str, rows: int, features: int, balance: float) -> dict[str, Any]:
    stop = {"patience": 5}
    return {"network": "mlp", "hidden": [64], "epochs": 30, "batch_size": 64, "dropout": 0.3, "early_stopping": stop}


def images(rows: int, shape: list[int]) -> dict[str, Any]:
    """shape: [height, width, channels]."""
    filters = [16, 32] if min(shape[:2]) < 32 else [16, 32, 64]
    stop = {"patience": 5}
    train = {
        "network": "cnn",
        "filters": filters,
        "hidden": [128],
        "dropout": 0.3,
        "epochs": 20,
        "early_stopping": stop,
    }
    return train | {"batch_size": 64 if rows > 5000 else 32, "optimizer": "adam", "learning_rate": 0.001, "seed": 0}
