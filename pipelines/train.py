"""Train: fit the declared network on the training split, and save the whole model.

    python -m pipelines train digits

    data/<model>/train.parquet, validation.parquet, check.json  ->  data/<model>/model/, data/<model>/history.csv

history.csv grows by one line with every epoch, so that a watcher can follow it: the loss as it is optimised, the
metric in the target's own units. The order of the rows in an epoch depends only on the seed and the epoch. So an
interrupted training continues from its checkpoint as if nothing had happened.
"""

import os
from functools import partial
from pathlib import Path
from typing import Any

from pipelines import visible_text
from pipelines.config import settings, user_code
from pipelines.config.data import Data
from pipelines.config.stage import Stage
from pipelines.distributed import ray_launch
from pipelines.fitting.fit import Keeper, train
from pipelines.fitting.folder import reader_of, save
from pipelines.fitting.settings import Train, scaled
from pipelines.hardware import device
from pipelines.model import statistics
from pipelines.training import checkpoints, memory, replicas, tensorflow_errors
from pipelines.training.data_loader import Split

STAGE = Stage("train", Train, after="check", preload="networks", numeric=True)


def run(model: str) -> None:
    declared = device.replayed(settings.load(model, "train", Train))
    if declared.workers > 1 and declared.launcher == "ray" and replicas.VARIABLE not in os.environ:
        visible_text.note(f"Ray starts {declared.workers} workers")
        gpus = 1 if declared.devices == "all" else declared.devices
        ray_launch.with_ray(model, declared.workers, declared.device, gpus, device.waits)
        return
    me = replicas.worker(declared.workers)
    with device.turn(declared, f"the training of {model}"), tensorflow_errors.told():
        choice = device.prepare(declared, declared.seed)
        visible_text.note(f"device: {choice.told}")
        config = scaled(device.resolved(declared, choice))
        if me.count > 1:
            device.waits(f"this is worker {me.index + 1} of {me.count}, waiting for the others")
        strategy = replicas.strategy(choice.device, choice.devices, config.workers)
        with me.place(Path("data") / model) as place:
            fit(model, config, strategy, place)


def fit(model: str, config: Train, strategy: Any, place: Path) -> None:
    """Train with as many rows at once as fit into memory, and save. config: resolved; place: of the outputs."""
    data, folder = settings.load(model, "data", Data), Path("data") / model
    splits = (Split(folder / "train.parquet", data), Split(folder / "validation.parquet", data))
    fitted = statistics.measure(data, splits[0].pieces, config)
    checkpoint = folder / "checkpoint.npz"

    def attempt(micro: int) -> tuple[Any, Train]:
        tried = config.model_copy(update={"micro_batch": None if micro == config.batch_size else micro})
        identity = checkpoints.identity("train", model, tried)
        keeper = Keeper(checkpoint, identity, place / checkpoint.name)
        build = partial(user_code.built, model)
        return train(tried, fitted, splits, place / "history.csv", keeper, build, strategy), tried

    trained, used = memory.fitting(
        attempt, config.batch_size, config.micro_batch or config.batch_size, visible_text.note
    )
    save(trained, data, used, fitted, place / "model", reader_of(splits[0].path))
    checkpoint.unlink(missing_ok=True)
