"""Checkpoints: an interrupted training goes on after its last completed epoch, and ends with the same bytes.

One file for a model, data/<model>/checkpoint.npz, written by rename after every epoch and gone when the stage ends.
It holds every variable of network and optimizer, the state of every callback, the history so far, and what it was
made of: where anything of that differs, it is not used, and the first difference is said. Its own hash lies in it: a
file that was changed is not trained on from. (Whoever writes that hash anew is not found out; who can do so can write
the data as well.)
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from pipelines.config import settings
from pipelines.hardware import fingerprint
from pipelines.hardware.device import Hardware
from pipelines.process import seal

ABOUT = "about"  # the array that holds everything that is no array, as JSON
DIGEST = "digest"  # the array that holds the hash of all others
STATE = {  # what training changes in a callback; the rest comes from the settings. One that is not named is refused
    "EarlyStopping": ("wait", "best", "best_epoch", "best_weights", "stopped_epoch"),
    "ReduceLROnPlateau": ("wait", "best", "cooldown_counter"),
    "Log": (),
}
Arrays = dict[str, np.ndarray]


def identity(stage: str, model: str, hardware: Hardware) -> dict[str, str]:
    """What a training depends on, by what a person would call it: files, settings, packages, processor, device.

    hardware: resolved.
    """
    sections = settings.read(model)
    return {
        **{name: _hash(path) for name, path in seal.files(stage, model).items()},
        **{f"the section {key}": json.dumps(sections[key], sort_keys=True) for key in ("data", stage)},
        **{f"the {key}": json.dumps(value) for key, value in fingerprint.present().items()},
        **{
            f"the {key}": json.dumps(getattr(hardware, key))
            for key in ("device", "devices", "precision", "micro_batch")
        },
    }


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Checkpoint:
    """One that was found: `about` has identity, epoch (the number that are done), callbacks and history."""

    about: dict[str, Any]
    arrays: Arrays

    @property
    def epoch(self) -> int:
        return int(self.about["epoch"])

    @property
    def stopped(self) -> bool:
        """Whether a callback had ended the training with that epoch."""
        return bool(self.about["stopped"])


def find(path: Path, wanted: dict[str, str], say: Callable[[str], None]) -> Checkpoint | None:
    """The checkpoint at `path` if it belongs to what is wanted, or None; a person is told which."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        if (digest := arrays.pop(DIGEST, None)) is None or digest.tobytes() != _digest(arrays):
            raise ValueError("its content is not what was written: it was changed")
        about = json.loads(arrays.pop(ABOUT).tobytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, MemoryError) as error:
        say(f"the checkpoint {path} cannot be read ({error}): training starts afresh")
        return None
    known = about["identity"]
    if different := [name for name in {**wanted, **known} if wanted.get(name) != known.get(name)]:
        say(f"{different[0]} changed since the checkpoint of epoch {about['epoch']}: training starts afresh")
        return None
    say(f"training goes on after epoch {about['epoch']}, from a checkpoint")
    return Checkpoint(about, arrays)


def keep(path: Path, identity: dict[str, str], callbacks: list[Any], history: Path, found: Checkpoint | None) -> Any:
    """A Keras callback, to be the last one: restores what was found, and writes a checkpoint after every epoch.

    callbacks: the others, whose state is kept. history: the file of finished epochs.
    """
    import keras

    class Keep(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            self.model.optimizer.build(self.model.trainable_variables)
            if found is None:
                return
            for index, variable in enumerate(self._variables()):
                variable.assign(found.arrays[f"variable_{index}"])
            for index, callback in enumerate(callbacks):
                _restore(callback, found.about["callbacks"][index], found.arrays, f"callback_{index}")
            history.write_text(found.about["history"], encoding="utf-8")

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            arrays = {f"variable_{index}": variable.numpy() for index, variable in enumerate(self._variables())}
            states = [_state(callback, arrays, f"callback_{index}") for index, callback in enumerate(callbacks)]
            about = {
                "identity": identity,
                "epoch": epoch + 1,
                "callbacks": states,
                "history": history.read_text(encoding="utf-8"),
                "stopped": bool(self.model.stop_training),
            }
            arrays[ABOUT] = np.frombuffer(json.dumps(about).encode(), np.uint8)
            _write(path, arrays)

        def _variables(self) -> list[Any]:
            return [*self.model.variables, *self.model.optimizer.variables]

    return Keep()


def _state(callback: Any, arrays: Arrays, prefix: str) -> dict[str, Any]:
    """What a training has made of a callback: numbers for JSON; lists of weights go into `arrays`."""
    plain = {}
    for name in STATE[type(callback).__name__]:
        value = getattr(callback, name)
        if isinstance(value, list):
            arrays |= {f"{prefix}.{name}.{index}": entry for index, entry in enumerate(value)}
        else:
            plain[name] = value.item() if isinstance(value, np.generic) else value
    return plain


def _restore(callback: Any, plain: dict[str, Any], arrays: Arrays, prefix: str) -> None:
    vars(callback).update(plain)
    lists: dict[str, list[np.ndarray]] = {}
    for key, value in arrays.items():  # in the order in which they were written
        if key.startswith(f"{prefix}."):
            lists.setdefault(key.split(".")[1], []).append(value)
    vars(callback).update(lists)


def _digest(arrays: Arrays) -> bytes:
    """SHA-256 over name, shape, bytes of a value and content of every array."""
    found = hashlib.sha256()
    for name, value in sorted(arrays.items()):
        found.update(f"{name} {value.shape} {value.itemsize}\n".encode())
        found.update(value.tobytes())
    return found.digest()


def _write(path: Path, arrays: Arrays) -> None:
    arrays = {**arrays, DIGEST: np.frombuffer(_digest(arrays), np.uint8)}
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    os.replace(partial, path)
