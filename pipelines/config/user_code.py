"""Own: what a model's own code, models/<model>.py, may say where the YAML is not enough.

    build(settings) -> keras.Model      the network, in place of `train: network:`
    clean(table) -> table               which rows to use: some of those of a pandas.DataFrame
    derived(table) -> table             columns own_<name> for rules to name, which nothing else sees

The file is a dependency of the stages that may call it, and is loaded only where it defines what a stage asks for.
"""

import ast
import json
import runpy
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.config.settings import FOLDER
from pipelines.errors import RatchetError, SettingsError

OWN = "own_"  # how the names of derived columns begin


@dataclass(frozen=True)
class Settings:
    """What `build` is given.

    shape: of the features of one row, normalised, as the network takes them. outputs: how many probabilities it gives
    (softmax), or 1 for a regression's number (of mean 0 and standard deviation 1). values: `train: own:`.
    """

    task: str
    shape: tuple[int, ...]
    outputs: int
    seed: int
    values: dict[str, Any]


def function(model: str, name: str) -> Callable[..., Any] | None:
    """The function of models/<model>.py, or None if it defines none. What it raises becomes a SettingsError.

    Raises SettingsError if the file cannot be read or loaded.
    """
    path = FOLDER / f"{model}.py"
    if not path.is_file() or name not in defined(path):
        return None
    found = _told(path, runpy.run_path)(str(path))
    return _told(path, found[name])


def defined(path: Path) -> list[str]:
    """The functions at the top of a file, found without running it. Raises SettingsError for one that is no Python."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise SettingsError(f"{path} is not valid Python: {error}.", "Correct the file and run again.") from error
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]


def _told(path: Path, work: Callable[..., Any]) -> Callable[..., Any]:
    """The function; an error in it names the file and the line."""

    def call(*arguments: Any) -> Any:
        try:
            return work(*arguments)
        except RatchetError:
            raise
        except Exception as error:
            lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).name == path.name]
            where = f"{path}, line {lines[-1]}" if lines else str(path)
            what = " ".join(f"{type(error).__name__}: {error}".split())
            raise SettingsError(f"{where}: {what}.", "Correct the file and run again.") from error

    return call


Chooser = Callable[[pa.RecordBatch], np.ndarray]  # some raw rows -> whether each is used [rows]


def chooser(model: str) -> Chooser | None:
    """Which rows `clean` of models/<model>.py keeps, or None if it defines none. Raises SettingsError.

    It is given some rows at a time, as raw.parquet holds them, and gives back some of those, unchanged: what changes
    values is part of the model, or the model would not be given in use what it was trained on.
    """
    if (clean := function(model, "clean")) is None:
        return None
    import pandas as pd

    where = f"{FOLDER / model}.py: clean"

    def choose(batch: pa.RecordBatch) -> np.ndarray:
        given = batch.to_pandas()
        found = clean(given.copy())
        if not isinstance(found, pd.DataFrame):
            raise SettingsError(f"{where} gives a {type(found).__name__}, and should give a pandas.DataFrame.")
        kept = given.index.isin(found.index)
        if len(found) != kept.sum() or list(found) != list(given) or not found.sort_index().equals(given[kept]):
            raise SettingsError(
                f"{where} gives rows that are not some of those it was given.",
                "Only leave rows out there: what changes values belongs into the network, or into the source.",
            )
        return np.asarray(kept)

    return choose


Deriver = Callable[[Any], Any]  # some raw rows, a pandas.DataFrame -> further columns of the same rows


def deriver(model: str) -> Deriver | None:
    """The columns for rules by `derived` of models/<model>.py, or None if it defines none. Raises SettingsError.

    It is given some rows at a time, as rules see them, and gives one row for each.
    """
    if (derived := function(model, "derived")) is None:
        return None
    import pandas as pd

    where = f"{FOLDER / model}.py: derived"

    def derive(frame: Any) -> Any:
        found = derived(frame.copy())
        if not isinstance(found, pd.DataFrame) or not found.index.equals(frame.index):
            raise SettingsError(f"{where} should give a pandas.DataFrame with the rows that it was given, in order.")
        if wrong := [str(name) for name in found if not str(name).startswith(OWN)]:
            raise SettingsError(f"{where} gives a column {wrong[0]!r}.", f"Let its columns begin with {OWN}.")
        return found

    return derive


def built(model: str, settings: Settings) -> Any:
    """The keras.Model that `build` of models/<model>.py gives, or None if it defines none. Raises SettingsError.

    It has to be made of Keras' own layers: the registered model travels without this file.
    """
    if (build := function(model, "build")) is None:
        return None
    import keras

    found, path = build(settings), FOLDER / f"{model}.py"
    if not isinstance(found, keras.Model):
        raise SettingsError(f"{path}: build gives a {type(found).__name__}, and should give a keras.Model.")
    wanted = ((None, *settings.shape), (None, settings.outputs))
    if (shapes := (found.input_shape, found.output_shape)) != wanted:
        raise SettingsError(
            f"{path}: the model of build takes {shapes[0]} and gives {shapes[1]}, and should take {wanted[0]} and give "
            f"{wanted[1]}.",
            "Take both from settings.shape and settings.outputs.",
        )
    text = found.to_json()
    foreign = ", ".join(sorted(set(_foreign(json.loads(text)))))
    try:
        keras.models.model_from_json(text)
    except Exception as error:  # a lambda, mostly
        foreign = foreign or f"code ({' '.join(str(error).split())[:120]})"
    if foreign:
        raise SettingsError(
            f"{path}: the model of build holds {foreign}, which nobody can load without this file.",
            "Use Keras' own layers and functions: a registered model travels alone.",
        )
    return found


def _foreign(content: Any) -> Iterator[str]:
    """The classes and functions in a model's architecture that are not Keras' own, or hold code."""
    if isinstance(content, dict):
        if "class_name" in content and "config" in content:
            name, module = str(content["class_name"]), str(content.get("module"))
            if name != "__keras_tensor__" and (not module.startswith("keras") or name == "Lambda"):
                yield str(content["config"]) if name == "function" else name
        content = list(content.values())
    if isinstance(content, list):
        for part in content:
            yield from _foreign(part)
