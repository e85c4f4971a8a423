"""Train: fit the declared network on the training split, and save the whole model.

    python -m pipelines train digits

    data/<model>/train.parquet, validation.parquet, check.json  ->  data/<model>/model/, data/<model>/history.csv

history.csv grows by one line with every epoch, so that a watcher can follow it: the loss as it is optimised, the
metric in the target's own units. The order of the rows in an epoch is a function of the seed and the epoch alone, so
that a training which was interrupted goes on from its checkpoint as if nothing had happened.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from pipelines import (
    checkpoints,
    device,
    features,
    fitting,
    fused,
    networks,
    objective,
    observers,
    own,
    pace,
    predictor,
    settings,
)
from pipelines.checkpoints import Checkpoint
from pipelines.device import Hardware
from pipelines.errors import TrainingError
from pipelines.feed import Arrays, Columns, Prepare, Split, described, feed
from pipelines.fitting import Fitted
from pipelines.networks import Network
from pipelines.objective import Objective
from pipelines.settings import FORMAT, Data

WATCHED = {"classification": "accuracy", "regression": "mean_absolute_error"}
PREDICT_ROWS = 1024  # rows in one batch of the saved model


class Train(Network, Objective, Hardware):
    epochs: int = Field(20, ge=1, le=100_000)
    batch_size: int = Field(32, ge=1)
    seed: int = Field(0, ge=0, lt=2**31)
    tensorboard: bool = False  # also write data/<model>/tensorboard/
    profile: bool = False  # also write a profile there
    own: dict[str, Any] = {}  # what `build` of models/<model>.py is given


def run(model: str) -> None:
    data = settings.load(model, "data", Data)
    config = settings.load(model, "train", Train)
    choice = device.prepare(config, config.seed)
    print(f"device: {choice.device}, because {choice.reason}; {config.threads} threads", flush=True)
    folder = Path("data") / model
    splits = (Split(folder / "train.parquet", data), Split(folder / "validation.parquet", data))
    fitted = fitting.measure(data, splits[0].pieces, config)
    keeper = Keeper(folder / "checkpoint.npz", checkpoints.identity("train", model, choice.device))
    trained = train(config, fitted, splits, folder / "history.csv", keeper, partial(own.built, model))
    save(trained, data, config, fitted, folder / "model", choice.device)
    keeper.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Keeper:
    """Where a training keeps its checkpoint, and what that belongs to (checkpoints.identity)."""

    path: Path
    identity: dict[str, str]


def train(
    config: Train,
    fitted: Fitted,
    splits: tuple[Split, Split],
    history: Path,
    keeper: Keeper | None = None,
    build: Callable[[own.Settings], Any] = lambda settings: None,
) -> Any:
    """Fit the network; returns the whole keras.Model, raw rows in. Raises TrainingError when the loss is no number.

    splits: training, validation. keeper: None for a training that keeps no checkpoint. build: gives the network, or
    None for the declared one.
    """
    import keras

    keras.utils.clear_session()  # the names of layers count up in a process
    keras.utils.set_random_seed(config.seed)
    task = splits[0].data.task
    before = features.features(splits[0].data, fitted)
    prepare = preparation(before, config, fitted)
    shape, outputs = before.output.shape[1:], len(fitted.classes) or 1
    network = build(own.Settings(task, shape, outputs, config.seed, config.own))
    if network is None:
        network = networks.network(config, shape, outputs, config.seed)
    trained = networks.augmented(config, network, config.seed)
    trained.compile(objective.optimizer(config), objective.loss(config, task), metrics=[WATCHED[task]])
    rules = [*objective.rules(config), observers.log(history, fitted.target[1])]  # what the rules log is in the history
    found: Checkpoint | None = None
    callbacks = [pace.log(history.with_name("pace.csv")), *rules, *watchers(config, history.parent / "tensorboard")]
    if keeper is not None:
        found = checkpoints.find(keeper.path, keeper.identity, _say)
        callbacks.append(checkpoints.keep(keeper.path, keeper.identity, rules, history, found))
    done = found.epoch if found else 0
    fused.fit(
        trained,
        feed(splits[0], prepare, config.batch_size, config.seed),
        feed(splits[1], prepare, fused.VALIDATION_ROWS, None),
        batch_size=config.batch_size,
        epochs=config.epochs,
        initial_epoch=config.epochs if found and found.stopped else done,
        callbacks=callbacks,
        say=_say,
    )
    return features.whole(before, network, fitted)


def preparation(before: Any, config: Train, fitted: Fitted) -> Prepare:
    """Raw rows -> features as the network takes them, the target as it is trained, and a weight if classes have one.

    before: the graph of the features (networks.features). What is fitted and constant is computed here, once, and not
    in every step.
    """
    places = {label: index for index, label in enumerate(fitted.classes)}
    weights = objective.balanced(list(fitted.classes.values())) if config.class_weights == "balanced" else None

    def prepare(arrays: Arrays, target: np.ndarray) -> Columns:
        x = before(arrays)
        if not places:
            mean, scale = fitted.target
            since = np.asarray(fitting.last_known(arrays, fitted.past))[:, 0] if fitted.changes else 0.0
            return x, ((target - since - mean) / scale).astype(np.float32)
        labels = np.array([places[label] for label in target.tolist()], np.int32)
        y = np.eye(len(places), dtype=np.float32)[labels] if objective.one_hot(config) else labels
        return (x, y) if weights is None else (x, y, weights[labels])

    return prepare


def watchers(config: Train, folder: Path) -> list[Any]:
    """Callbacks for the keys tensorboard and profile. Their files hold times, so they are no outputs."""
    if not (config.tensorboard or config.profile):
        return []
    shutil.rmtree(folder, ignore_errors=True)
    found = []
    if config.tensorboard:
        _say(f"curves and weights: tensorboard --logdir {folder}")
        found.append(observers.tensorboard(folder))
    if config.profile:
        _say(f"the profile: xprof --logdir {folder}")
        found.append(observers.profile(folder, config.epochs))
    return found


def _say(text: str) -> None:
    """A line that `ratchet run` shows to a person."""
    print(f"note: {text}", flush=True)


def save(model: Any, data: Data, config: Train, fitted: Fitted, folder: Path, used: str = "cpu") -> str:
    """Write the model folder; returns its model_hash. Raises TrainingError if a weight is not a finite number.

    used: the device that it was trained on.
    """
    broken = [weight.path for weight in model.weights if not np.isfinite(weight.numpy()).all()]
    if broken:
        raise TrainingError(
            f"The weights {broken[0]} are not finite: this model is not saved.",
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
        "batch_size": PREDICT_ROWS,
        "hardware": {key: getattr(config, key) for key in Hardware.model_fields},
        "device": used,
        **described(data),
    }
    (partial / "model.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    digest = predictor.write_manifest(partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return digest
