"""A model's own code, models/<model>.py, for what the YAML cannot say.

    build(settings) -> keras.Model      the network, in place of `train: network:`
    clean(table) -> table               the rows to use, out of those of a pandas.DataFrame
    derived(table) -> table             columns own_<name>, which only rules see

The file is a dependency of the stages that may call it, and is loaded only if it defines the stage's function.
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
from pipelines.safety import syntax

OWN = "own_"  # the beginning of the names of derived columns


@dataclass(frozen=True)
class Settings:
    """The argument of `build`.

    shape: of the normalised features of one row, as the network takes them. outputs: the number of probabilities
    (softmax), or 1 for a regression's number (of mean 0 and standard deviation 1). values: `train: own:`.
    """

    task: str
    shape: tuple[int, ...]
    outputs: int
    seed: int
    values: dict[str, Any]


def function(model: str, name: str) -> Callable[..., Any] | None:
    """The function of models/<model>.py, or None if it defines none. Its errors become a SettingsError.

    Raises SettingsError if the file cannot be read or loaded.
    """
    path = FOLDER / f"{model}.py"
    if not path.is_file() or name not in defined(path):
        return None
    found = _told(path, runpy.run_path)(str(path))
    return _told(path, found[name])


def defined(path: Path) -> list[str]:
    """The functions at the top of a file, found without running it. Raises SettingsError if it is not valid Python."""
    try:
        tree = syntax.tree(path.read_bytes())
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
    """The rows that `clean` of models/<model>.py keeps, or None if it defines none. Raises SettingsError.

    It gets some rows at a time, as raw.parquet has them, and returns some of them unchanged. Only the model may change
    values: else in use it would get other values than in training.
    """
    if (clean := function(model, "clean")) is None:
        return None
    import pandas as pd

    where = f"{FOLDER / model}.py: clean"

    def choose(batch: pa.RecordBatch) -> np.ndarray:
        given = batch.to_pandas()
        found = clean(given.copy())
        if not isinstance(found, pd.DataFrame):
            raise SettingsError(f"{where} returns a {type(found).__name__}, but must return a pandas.DataFrame.")
        kept = given.index.isin(found.index)
        if len(found) != kept.sum() or list(found) != list(given) or not found.sort_index().equals(given[kept]):
            raise SettingsError(
                f"{where} must return some of the rows that it got, unchanged and at most once.",
                "Only remove rows there. Change values in the network, or in the source.",
            )
        return np.asarray(kept)

    return choose


Deriver = Callable[[Any], Any]  # some raw rows, a pandas.DataFrame -> further columns of the same rows


def deriver(model: str) -> Deriver | None:
    """The columns for rules by `derived` of models/<model>.py, or None if it defines none. Raises SettingsError.

    It gets some rows at a time, as rules see them, and returns one row for each.
    """
    if (derived := function(model, "derived")) is None:
        return None
    import pandas as pd

    where = f"{FOLDER / model}.py: derived"

    def derive(frame: Any) -> Any:
        found = derived(frame.copy())
        if not isinstance(found, pd.DataFrame) or not found.index.equals(frame.index):
            raise SettingsError(f"{where} must return a pandas.DataFrame with the rows that it got, in order.")
        if wrong := [str(name) for name in found if not str(name).startswith(OWN)]:
            raise SettingsError(
                f"{where} returns a column {wrong[0]!r}.", f"Begin the names of its columns with {OWN}."
            )
        return found

    return derive


def built(model: str, settings: Settings) -> Any:
    """The keras.Model by `build` of models/<model>.py, or None if it defines none. Raises SettingsError.

    It must consist of Keras' own layers, because the registered model does not contain this file.
    """
    if (build := function(model, "build")) is None:
        return None
    import keras

    found, path = build(settings), FOLDER / f"{model}.py"
    if not isinstance(found, keras.Model):
        raise SettingsError(f"{path}: build returns a {type(found).__name__}, but must return a keras.Model.")
    wanted = ((None, *settings.shape), (None, settings.outputs))
    if (shapes := (found.input_shape, found.output_shape)) != wanted:
        raise SettingsError(
            f"{path}: the model of build takes {shapes[0]} and gives {shapes[1]}, but must take {wanted[0]} and give "
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
            f"{path}: the model of build contains {foreign}, which cannot be loaded without this file.",
            "Use Keras' own layers and functions: a registered model does not contain this file.",
        )
    return found


def _foreign(content: Any) -> Iterator[str]:
    """The classes and functions in a model's architecture that are not Keras' own, or contain code."""
    if isinstance(content, dict):
        if "class_name" in content and "config" in content:
            name, module = str(content["class_name"]), str(content.get("module"))
            if name != "__keras_tensor__" and (not module.startswith("keras") or name == "Lambda"):
                yield str(content["config"]) if name == "function" else name
        content = list(content.values())
    if isinstance(content, list):
        for part in content:
            yield from _foreign(part)
