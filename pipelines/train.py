"""Train: fit the declared network on the training split, and save the whole model.

    python -m pipelines train digits

    data/<model>/train.parquet, validation.parquet, check.json  ->  data/<model>/model/, data/<model>/history.csv

history.csv grows by one line with every epoch, so that a watcher can follow it: the loss as it is optimised, the
metric in the target's own units. The order of the rows in an epoch is a function of the seed and the epoch alone, so
that a training which was interrupted goes on from its checkpoint as if nothing had happened.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from pipelines import checkpoints, device, networks, predictor, settings, tables
from pipelines.checkpoints import Checkpoint
from pipelines.device import Hardware
from pipelines.errors import TrainingError
from pipelines.networks import Fitted, Network
from pipelines.settings import FORMAT, Data, Section

LOSSES = {"classification": "sparse_categorical_crossentropy", "regression": "mean_squared_error"}
WATCHED = {"classification": "accuracy", "regression": "mean_absolute_error"}
PREDICT_ROWS = 1024  # rows in one batch of the saved model


class EarlyStopping(Section):
    """End when the validation loss has not fallen for `patience` epochs, and keep the weights of the best one."""

    patience: int = Field(ge=1)
    min_delta: float = Field(0.0, ge=0)  # a smaller fall counts as none


class ReduceOnPlateau(Section):
    """Multiply the learning rate by `factor` when the validation loss has not fallen for `patience` epochs."""

    patience: int = Field(ge=1)
    factor: float = Field(0.1, gt=0, lt=1)
    min_learning_rate: float = Field(0.0, ge=0)


class Train(Network, Hardware):
    epochs: int = Field(20, ge=1, le=100_000)
    batch_size: int = Field(32, ge=1)
    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: float = Field(0.001, gt=0)
    seed: int = Field(0, ge=0, lt=2**31)
    early_stopping: EarlyStopping | None = None
    reduce_on_plateau: ReduceOnPlateau | None = None


def run(model: str) -> None:
    data = settings.load(model, "data", Data)
    config = settings.load(model, "train", Train)
    choice = device.prepare(config, config.seed)
    print(f"device: {choice.device}, because {choice.reason}; {config.threads} threads", flush=True)
    folder = Path("data") / model
    train_split, validation_split = (load(folder / f"{name}.parquet", data) for name in ("train", "validation"))
    fitted = networks.measure(data, *train_split)
    keeper = Keeper(folder / "checkpoint.npz", checkpoints.identity("train", model, choice.device))
    trained = train(data, config, fitted, train_split, validation_split, folder / "history.csv", keeper)
    save(trained, data, config, fitted, folder / "model", choice.device)
    keeper.path.unlink(missing_ok=True)


Split = tuple[dict[str, np.ndarray], np.ndarray]  # the arrays of the features, and the target [rows]


def load(path: Path, data: Data) -> Split:
    """One split, which has rows: the arrays that the graph takes, and the target as it is declared."""
    about = describe_inputs(data)
    frames = [batch.to_pandas() for batch in tables.batches(path, [*data.features, data.target])]
    parts = [predictor.to_arrays(frame, about) for frame in frames]
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return arrays, np.concatenate([frame[data.target].to_numpy() for frame in frames])


def describe_inputs(data: Data) -> dict[str, Any]:
    return {"kind": data.kind, "shape": data.shape, "numbers": data.numbers, "categories": data.categories}


@dataclass(frozen=True)
class Keeper:
    """Where a training keeps its checkpoint, and what that belongs to (checkpoints.identity)."""

    path: Path
    identity: dict[str, str]


def train(
    data: Data,
    config: Train,
    fitted: Fitted,
    train_split: Split,
    validation_split: Split,
    history: Path,
    keeper: Keeper | None = None,
) -> Any:
    """Fit the network; returns the whole keras.Model, raw rows in. Raises TrainingError when the loss is no number.

    Features are computed once, before the first epoch: what is fitted and constant need not be repeated. keeper: None
    for a training that keeps no checkpoint.
    """
    import keras

    keras.utils.clear_session()  # the names of layers count up in a process
    keras.utils.set_random_seed(config.seed)
    before = networks.features(data, fitted)
    x, y = numbers(before, train_split, fitted)
    validation = numbers(before, validation_split, fitted)
    trained = networks.network(config, x.shape[1:], len(fitted.classes) or 1, config.seed)
    optimizer = keras.optimizers.get(
        {"class_name": config.optimizer, "config": {"learning_rate": config.learning_rate}}
    )
    trained.compile(optimizer, LOSSES[data.task], metrics=[WATCHED[data.task]])
    callbacks = [*rules(config), log(history, fitted.target[1])]  # what the rules write into the logs is logged
    found: Checkpoint | None = None
    if keeper is not None:
        found = checkpoints.find(keeper.path, keeper.identity, _say)
        callbacks.append(checkpoints.keep(keeper.path, keeper.identity, list(callbacks), history, found))
    done = found.epoch if found else 0
    trained.fit(
        shuffled(x, y, config.batch_size, config.seed, done),
        validation_data=validation,
        validation_batch_size=PREDICT_ROWS,
        initial_epoch=config.epochs if found and found.stopped else done,
        epochs=config.epochs,
        shuffle=False,  # Keras' own order of the batches depends on how often Python's random was asked before
        callbacks=callbacks,
        verbose=0,
    )
    return networks.whole(before, trained, fitted)


def rules(config: Train) -> list[Any]:
    """Keras' callbacks for the keys early_stopping and reduce_on_plateau."""
    import keras

    found: list[Any] = []
    if (plateau := config.reduce_on_plateau) is not None:
        found.append(
            keras.callbacks.ReduceLROnPlateau(
                "val_loss", factor=plateau.factor, patience=plateau.patience, min_lr=plateau.min_learning_rate
            )
        )
    if (early := config.early_stopping) is not None:
        found.append(
            keras.callbacks.EarlyStopping(
                "val_loss", min_delta=early.min_delta, patience=early.patience, restore_best_weights=True
            )
        )
    return found


def _say(text: str) -> None:
    """A line that `ratchet run` shows to a person."""
    print(f"note: {text}", flush=True)


def numbers(before: Any, split: Split, fitted: Fitted) -> tuple[np.ndarray, np.ndarray]:
    """Features [rows, ...] as the network takes them, and the target as it is trained: class numbers or scaled."""
    arrays, target = split
    parts = [
        np.asarray(before({name: values[start : start + PREDICT_ROWS] for name, values in arrays.items()}))
        for start in range(0, len(target), PREDICT_ROWS)
    ]
    if not fitted.classes:
        mean, scale = fitted.target
        return np.concatenate(parts), ((target - mean) / scale).astype(np.float32)
    places = {label: index for index, label in enumerate(fitted.classes)}
    return np.concatenate(parts), np.array([places[label] for label in target.tolist()], np.int32)


def shuffled(x: np.ndarray, y: np.ndarray, batch_size: int, seed: int, done: int = 0) -> Any:
    """A keras.utils.PyDataset over the rows, in an order that depends on (seed, epoch) alone.

    done: the number of epochs that an earlier process has trained.
    """
    import keras

    class Shuffled(keras.utils.PyDataset):
        epoch = done
        order = np.empty(0, int)

        def __len__(self) -> int:
            return -(-len(y) // batch_size)

        def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
            if index == 0:
                self.order = np.random.default_rng([seed, self.epoch]).permutation(len(y))
            rows = self.order[index * batch_size : (index + 1) * batch_size]
            return x[rows], y[rows]

        def on_epoch_end(self) -> None:
            self.epoch += 1

    return Shuffled()


def log(path: Path, target_scale: float) -> Any:
    """A callback that appends each epoch to history.csv, and stops at a loss that is not a number.

    target_scale: what a mean_absolute_error is multiplied by, to be in the target's own units.
    """
    import keras

    class Log(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            path.unlink(missing_ok=True)

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.epoch = epoch + 1

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            _check_loss("loss", (logs or {}).get("loss", 0.0), f"epoch {self.epoch}, step {batch + 1}")

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            _check_loss("validation loss", logs["val_loss"], f"epoch {epoch + 1}")
            found = {_named(key): in_units(key, value) for key, value in logs.items()}
            with path.open("a", encoding="utf-8") as file:
                if epoch == 0:
                    file.write(",".join(["epoch", *found]) + "\n")
                file.write(",".join([str(epoch + 1), *(f"{value:.9g}" for value in found.values())]) + "\n")

    def in_units(key: str, value: float) -> float:
        return value * target_scale if key.endswith("mean_absolute_error") else value

    return Log()


def _check_loss(what: str, value: float, when: str) -> None:
    if not np.isfinite(value):
        raise TrainingError(
            f"The {what} became {value} in {when}: training has diverged.",
            "Lower train.learning_rate, or look for extreme values in the data.",
        )


def _named(key: str) -> str:
    """Keras' name of a measure -> train/<measure> or validation/<measure>."""
    return f"validation/{key.removeprefix('val_')}" if key.startswith("val_") else f"train/{key}"


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
        "classes": fitted.classes,
        "batch_size": PREDICT_ROWS,
        "hardware": {key: getattr(config, key) for key in Hardware.model_fields},
        "device": used,
        **describe_inputs(data),
    }
    (partial / "model.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    digest = predictor.write_manifest(partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return digest
