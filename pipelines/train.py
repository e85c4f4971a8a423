"""Train: fit the declared network on the training split, and save the whole model.

    python -m pipelines train digits

    data/<model>/train.parquet, validation.parquet, check.json  ->  data/<model>/model/, data/<model>/history.csv

history.csv grows by one line with every epoch, so that a watcher can follow it: the loss as it is optimised, the
metric in the target's own units. The order of the rows in an epoch depends only on the seed and the epoch. So an
interrupted training continues from its checkpoint as if nothing had happened.
"""

import json
import os
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, model_validator

from pipelines import visible_text
from pipelines.config import settings, user_code
from pipelines.config.data import Data
from pipelines.config.settings import FORMAT
from pipelines.config.stage import Stage
from pipelines.distributed import ray_launch
from pipelines.errors import TrainingError
from pipelines.hardware import device
from pipelines.hardware.device import Hardware
from pipelines.model import features, networks, objective, predictor, statistics
from pipelines.model.networks import Network
from pipelines.model.objective import Objective
from pipelines.model.statistics import Fitted
from pipelines.table import row_groups, rows
from pipelines.training import (
    accumulation,
    checkpoints,
    compiled_fit,
    keras_callbacks,
    memory,
    replicas,
    tensorflow_errors,
    throughput,
)
from pipelines.training.checkpoints import Checkpoint
from pipelines.training.data_loader import Arrays, Columns, Prepare, Split, described, feed
from pipelines.training.replicas import Spread

WATCHED = {"classification": "accuracy", "regression": "mean_absolute_error"}


class Train(Network, Objective, Hardware, Spread):
    """The network, and how it is trained."""

    epochs: int = Field(20, ge=1, le=100_000)
    """How often the training passes over all training rows."""
    batch_size: int = Field(32, ge=1)
    """Rows in a batch."""
    split_statistics: bool = False
    """Whether layers that measure their batch, such as batch normalisation, may measure a micro-batch."""
    seed: int = Field(0, ge=0, lt=2**31)
    """The seed of all that is random in the training."""
    tensorboard: bool = False
    """Whether to write `data/<model>/tensorboard/` too."""
    profile: bool = False
    """Whether to write a profile for TensorBoard too."""
    own: dict[str, Any] = {}
    """Values for the function `build` of `models/<model>.py`."""

    @model_validator(mode="after")
    def _parts_fit(self) -> "Train":
        if self.micro_batch and self.batch_size % self.micro_batch:
            raise ValueError(f"`micro_batch` {self.micro_batch} does not divide batch_size {self.batch_size}")
        return self


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


def scaled(config: Train) -> Train:
    """The config with batch and learning rate changed by `scale`. config: resolved."""
    count = int(config.devices) * config.workers
    batch, rate = replicas.scaled(config.scale, count, config.batch_size, config.learning_rate)
    if count > 1:
        visible_text.note(
            f"{count} replicas share batches of {batch} rows, at the learning rate {rate:g} (scale: {config.scale})"
        )
    return config.model_copy(update={"batch_size": batch, "learning_rate": rate})


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


@dataclass(frozen=True)
class Keeper:
    """The checkpoints of a training: where it finds one, its identity (checkpoints.identity), and where it writes."""

    path: Path
    identity: dict[str, str]
    written: Path


def train(
    config: Train,
    fitted: Fitted,
    splits: tuple[Split, Split],
    history: Path,
    keeper: Keeper | None = None,
    build: Callable[[user_code.Settings], Any] = lambda settings: None,
    strategy: Any = None,
) -> Any:
    """Fit the network; returns the whole keras.Model, raw rows in. Raises TrainingError if the loss is not a number.

    splits: training, validation. keeper: None for no checkpoints. build: makes the network; None for the declared one.
    strategy: a tf.distribute.Strategy, or None for one device.
    """
    import keras

    keras.utils.clear_session()  # the names of layers count up in a process
    keras.utils.set_random_seed(config.seed)
    task = splits[0].data.task
    before = features.features(splits[0].data, fitted)
    prepare = preparation(before, config, fitted)
    shape, outputs = before.output.shape[1:], len(fitted.classes) or 1
    with strategy.scope() if strategy else nullcontext(), networks.computed_in(config.precision):
        network = build(user_code.Settings(task, shape, outputs, config.seed, config.own))
        if network is not None and config.precision == "float32":
            device.refuse_half(json.loads(network.to_json()))
        if network is None:
            columns = features.places(splits[0].data, fitted)
            network = networks.network(config, shape, outputs, config.seed, bool(fitted.baseline), columns)
        network = networks.answering(network)
        trained = networks.augmented(config, network, config.seed)
        trained.compile(objective.optimizer(config), objective.loss(config, task), metrics=[WATCHED[task]])
    _check_parts(config, trained)
    rules = [
        *objective.rules(config),
        keras_callbacks.log(history, fitted.target[1]),
    ]  # what the rules log is in the history
    found: Checkpoint | None = None
    callbacks = [
        throughput.log(history.with_name("pace.csv")),
        *rules,
        *watchers(config, history.parent / "tensorboard"),
    ]
    if keeper is not None:
        found = checkpoints.find(keeper.path, keeper.identity, visible_text.note)
        callbacks.append(checkpoints.keep(keeper.written, keeper.identity, rules, history, found))
    done = found.epoch if found else 0
    plan = compiled_fit.Plan(config.batch_size, config.micro_batch, config.xla, strategy)
    compiled_fit.fit(
        trained,
        feed(splits[0], prepare, config.batch_size, config.seed),
        feed(splits[1], prepare, plan.validation_rows, None),
        plan,
        epochs=config.epochs,
        initial_epoch=config.epochs if found and found.stopped else done,
        callbacks=callbacks,
        say=visible_text.note,
    )
    return features.whole(before, network, fitted)


def _check_parts(config: Train, trained: Any) -> None:
    """Raises TrainingError if a batch in parts gives another result, because a layer measures its batch."""
    parts = config.micro_batch or int(config.devices) > 1 or config.workers > 1
    if parts and not config.split_statistics and (found := accumulation.measuring(trained)):
        rows = config.micro_batch or config.batch_size // (int(config.devices) * config.workers)
        raise TrainingError(
            f"The layer {found[0]} measures a batch of {config.batch_size} rows, but only {rows} are computed at once.",
            "Lower train.batch_size, or declare `split_statistics: true` to let it measure those rows.",
        )


def preparation(before: Any, config: Train, fitted: Fitted) -> Prepare:
    """Raw rows -> features for the network, the target as it is trained, and a weight if classes have one.

    before: the graph of the features (features.features). Constant parts are computed here once, not in every step.
    """
    places = {label: index for index, label in enumerate(fitted.classes)}
    weights = objective.balanced(list(fitted.classes.values())) if config.class_weights == "balanced" else None

    def prepare(arrays: Arrays, target: np.ndarray) -> Columns:
        x = before(arrays)
        if not places:
            mean, scale = fitted.target
            if fitted.changes:
                target = target - np.asarray(statistics.baseline(arrays, fitted.past, fitted.baseline))[:, 0]
            return x, ((target - mean) / scale).astype(np.float32)
        labels = np.array([places[label] for label in target.tolist()], np.int32)
        y = np.eye(len(places), dtype=np.float32)[labels] if objective.one_hot(config) else labels
        return (x, y) if weights is None else (x, y, weights[labels])

    return prepare


def watchers(config: Train, folder: Path) -> list[Any]:
    """Callbacks for the keys tensorboard and profile. Their files contain times, so they are no outputs."""
    if not (config.tensorboard or config.profile):
        return []
    shutil.rmtree(folder, ignore_errors=True)
    found = []
    if config.tensorboard:
        visible_text.note(f"curves and weights: tensorboard --logdir {folder}")
        found.append(keras_callbacks.tensorboard(folder))
    if config.profile:
        visible_text.note(f"the profile: xprof --logdir {folder}")
        found.append(keras_callbacks.profile(folder, config.epochs))
    return found


def reader_of(split: Path) -> int:
    """The number of the reader that made the rows of a split."""
    return int((row_groups.metadata(split) or {}).get(rows.READER, b"1"))


def save(model: Any, data: Data, config: Train, fitted: Fitted, folder: Path, reader: int = 1) -> str:
    """Write the model folder; returns its model_hash. Raises TrainingError if a weight is not a finite number.

    reader: the number of the one that made the rows; the first has none in model.json.
    config: resolved (device.resolved); as declared for a model that no stage trains.
    """
    broken = [weight.path for weight in model.weights if not np.isfinite(weight.numpy()).all()]
    if broken:
        raise TrainingError(
            f"The weights {broken[0]} are not finite, so the model is not saved.",
            "Lower train.learning_rate, or look for extreme values in the data.",
        )
    partial = folder.with_name(".model.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    (partial / "architecture.json").write_text(
        json.dumps(json.loads(model.to_json()), indent=1, sort_keys=True) + "\n", encoding="utf-8"
    )
    model.save_weights(partial / "model.weights.h5")
    shutil.copyfile(predictor.__file__, partial / "predictor.py")
    about = {
        "format": FORMAT,
        "task": data.task,
        "target": data.target,
        "label": data.label,
        "classes": list(fitted.classes),
        "batch_size": compiled_fit.Plan(config.batch_size, config.micro_batch).validation_rows,
        "hardware": {key: getattr(config, key) for key in Hardware.model_fields},
        **described(data),
        **({"reader": reader} if reader > 1 else {}),
    }
    (partial / "model.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    digest = predictor.write_manifest(partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return digest
