"""Fit: a network of the declared kind, or another one, on the rows of a split."""

import json
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines import visible_text
from pipelines.config import user_code
from pipelines.errors import TrainingError
from pipelines.fitting.settings import Train
from pipelines.hardware import device
from pipelines.model import features, networks, objective, statistics
from pipelines.model.statistics import Fitted
from pipelines.training import accumulation, checkpoints, compiled_fit, keras_callbacks, throughput
from pipelines.training.checkpoints import Checkpoint
from pipelines.training.data_loader import Arrays, Columns, Prepare, Split, feed

WATCHED = {"classification": "accuracy", "regression": "mean_absolute_error"}


@dataclass(frozen=True)
class Keeper:
    """The checkpoints of a training: where it finds one, its identity (checkpoints.identity), and where it writes."""

    path: Path
    identity: dict[str, str]
    written: Path


@dataclass(frozen=True)
class Lesson:
    """What a network learns in the place of the declared target. prepare: from what gives the declared one, what gives
    this one; loss, metric: Keras'."""

    prepare: Callable[[Prepare], Prepare]
    loss: Any
    metric: Any


def train(
    config: Train,
    fitted: Fitted,
    splits: tuple[Split, Split],
    history: Path,
    keeper: Keeper | None = None,
    build: Callable[[user_code.Settings], Any] = lambda settings: None,
    strategy: Any = None,
    lesson: Lesson | None = None,
) -> Any:
    """Fit the network; returns the whole keras.Model, raw rows in. Raises TrainingError if the loss is not a number.

    splits: training, validation. keeper: None for no checkpoints. build: makes the network; None for the declared one.
    strategy: a tf.distribute.Strategy, or None for one device. lesson: None for the declared target and loss.
    """
    import keras

    keras.utils.clear_session()  # the names of layers count up in a process
    keras.utils.set_random_seed(config.seed)
    task = splits[0].data.task
    before = features.features(splits[0].data, fitted)
    prepare = preparation(before, config, fitted)
    declared = Lesson(lambda same: same, objective.loss(config, task), WATCHED[task])
    learned = lesson or declared
    prepare = learned.prepare(prepare)
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
        trained.compile(objective.optimizer(config), learned.loss, metrics=[learned.metric])
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
    if lesson is not None:  # the saved model says how it was compiled, and knows no functions but Keras' own
        trained.compile(trained.optimizer, declared.loss, metrics=[declared.metric])
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
