"""Is the recipe for tables any good? python benchmarks/quality.py FOLDER [SET ...] [--seeds 3]

FOLDER holds telco-churn.csv and adult-train.csv; a set whose file is not there is named and skipped. Every seed is
another split (20 % test, stratified for classes) and another training, through the stages' own functions with the
settings of flows/recipe.py. Beside it, fitted on the same rows, of which the recipe sets some aside for early stopping:
scikit-learn's linear model (numbers standardised, categories one-hot) and its HistGradientBoosting, both as they come.
Prints a Markdown table of means over the seeds, and who wins. A few minutes on two cores; keep the machine idle.
"""

import argparse
import logging
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas.api.types import is_numeric_dtype
from sklearn import datasets
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

sys.path.insert(0, str(Path(__file__).parent.parent))

from flows import recipe
from pipelines import device, evaluate, networks, rows, sources, tables, train
from pipelines.feed import Split
from pipelines.metrics import METRICS, Answers
from pipelines.settings import Data

TEST = 0.2  # of the rows
MISSING = [*rows.MISSING, "?"]
Frame = pd.DataFrame


@dataclass(frozen=True)
class Set:
    """One set: what is predicted, how it is scored, and how it is read from the folder of files."""

    target: str
    metrics: tuple[str, ...]  # the first one says who wins
    read: Callable[[Path], Frame]

    @property
    def task(self) -> str:
        return METRICS[self.metrics[0]].task


def csv(name: str, **options: Any) -> Callable[[Path], Frame]:
    """A reader of a CSV file of the folder, as `ingest` reads one: without spaces around cells."""

    def read(folder: Path) -> Frame:
        frame = pd.read_csv(folder / name, dtype=str, keep_default_na=False, **options)
        frame = frame.apply(lambda column: column.str.strip()).replace(MISSING, None)
        return frame.apply(_numbers_if_all_are)

    return read


def _numbers_if_all_are(column: pd.Series) -> pd.Series:
    try:
        return pd.to_numeric(column)
    except ValueError:
        return column


ADULT = [
    *("age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation", "relationship"),
    *("race", "sex", "capital_gain", "capital_loss", "hours_per_week", "native_country", "income"),
]


def builtin(name: str) -> Callable[[Path], Frame]:
    return lambda _: sources.builtin(name).to_pandas()


def friedman(_: Path) -> Frame:
    """Ten numbers, five of which matter, in a smooth curve with noise of variance 1."""
    x, y = datasets.make_friedman1(4000, noise=1.0, random_state=0)
    return pd.DataFrame(x, columns=[f"x{index}" for index in range(x.shape[1])]).assign(y=y)


def skewed(_: Path) -> Frame:
    """Prices: the exponential of a curve of skewed numbers and a category of 40 words, with noise of a fifth."""
    random, size = np.random.default_rng(0), 8000
    area, age, place = random.lognormal(4, 0.6, size), random.exponential(20, size), random.zipf(1.5, size) % 40
    worth = random.normal(0, 0.4, 40)[place]
    price = np.exp(0.8 * np.log(area) - 0.3 * np.sqrt(age) / 3 + worth + random.normal(0, 0.2, size))
    return pd.DataFrame({"area": area, "age": age, "place": [f"p{code}" for code in place], "price": price})


def imbalanced(_: Path) -> Frame:
    """Twenty numbers, one row in fifty of the rare class."""
    x, y = datasets.make_classification(20_000, 20, n_informative=6, weights=[0.98], flip_y=0.005, random_state=0)
    frame = pd.DataFrame(x, columns=[f"x{index}" for index in range(x.shape[1])])
    return frame.assign(y=np.where(y == 1, "rare", "common"))


CLASSES, NUMBERS = ("roc_auc", "balanced_accuracy", "log_loss"), ("root_mean_squared_error", "mean_absolute_error")
SETS = {
    "telco": Set("Churn", CLASSES, csv("telco-churn.csv")),
    "adult": Set("income", CLASSES, csv("adult-train.csv", header=None, names=ADULT)),
    "breast_cancer": Set("diagnosis", CLASSES, builtin("breast_cancer")),
    "imbalanced": Set("y", CLASSES, imbalanced),
    "diabetes": Set("progression", NUMBERS, builtin("diabetes")),
    "friedman": Set("y", NUMBERS, friedman),
    "skewed": Set("price", NUMBERS, skewed),
    # A forecast comes here, once a model can be one: with a split by time in `divided`, and rivals that know the last
    # values in `RIVALS`.
}


def features(frame: Frame, target: str) -> dict[str, str]:
    """Columns by name to number or category; text that is different in every row names the row, and is left out."""
    kinds = {name: "number" if is_numeric_dtype(frame[name]) else "category" for name in frame if name != target}
    return {name: kind for name, kind in kinds.items() if kind == "number" or frame[name].nunique() < len(frame)}


def divided(frame: Frame, one: Set, seed: int, share: float) -> tuple[Frame, Frame]:
    classes = frame[one.target] if one.task == "classification" else None
    return tuple(train_test_split(frame, test_size=share, random_state=seed, stratify=classes))


def ours(frame: Frame, test: Frame, one: Set, seed: int, folder: Path, **changes: Any) -> dict[str, float]:
    """Scores of the recipe: the training split and early stopping out of `frame`, the rest as the stages do it."""
    columns = features(frame, one.target)
    data = Data.model_validate({"kind": "table", "task": one.task, "target": one.target, "columns": columns})
    wanted = recipe.table(len(frame), len(columns), one.metrics[0]) | changes
    config = train.Train.model_validate(wanted | {"seed": seed})
    device.prepare(config, config.seed)
    logging.getLogger("tensorflow").setLevel("ERROR")  # it wonders about so many models in one process
    fit, validation = divided(frame, one, seed, recipe.VALIDATION)
    for name, part in {"train": fit, "validation": validation, "test": test}.items():
        _write(folder / f"{name}.parquet", part, data)
    splits = (Split(folder / "train.parquet", data), Split(folder / "validation.parquet", data))
    fitted = networks.measure(data, splits[0].pieces, config)
    model = train.train(config, fitted, splits, folder / "history.csv")
    train.save(model, data, config, fitted, folder / "model")
    found = evaluate.predict(evaluate.load(folder / "model"), folder / "test.parquet", data)
    return evaluate.score(found, data, list(one.metrics))


def _write(path: Path, frame: Frame, data: Data) -> None:
    schema = rows.raw_schema(data)
    named = frame.assign(row_id=[f"{index}" for index in frame.index])
    tables.write(path, schema, pa.Table.from_pandas(named, schema, preserve_index=False).to_batches())


# ------------------------------------------------------------------ scikit-learn's


def linear(columns: dict[str, str], task: str, seed: int) -> Any:
    scaled = make_pipeline(SimpleImputer(), StandardScaler())
    kinds = [("number", scaled), ("category", OneHotEncoder(handle_unknown="ignore"))]
    parts = [(kind, step, [name for name in columns if columns[name] == kind]) for kind, step in kinds]
    model = LogisticRegression(max_iter=2000) if task == "classification" else LinearRegression()
    return make_pipeline(ColumnTransformer(parts), model)


def boosting(columns: dict[str, str], task: str, seed: int) -> Any:
    words = [name for name in columns if columns[name] == "category"]
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, max_categories=255)
    parts = ColumnTransformer([("category", codes, words)], remainder="passthrough")
    kind = HistGradientBoostingClassifier if task == "classification" else HistGradientBoostingRegressor
    return make_pipeline(parts, kind(categorical_features=list(range(len(words))), random_state=seed))


RIVALS = {"linear": linear, "boosting": boosting}


def rival(name: str, frame: Frame, test: Frame, one: Set, seed: int) -> dict[str, float]:
    """Scores of a rival that is fitted on all of `frame`: it sets nothing aside that it does not want to."""
    columns = features(frame, one.target)
    words = {column: "" for column, kind in columns.items() if kind == "category"}
    x, new = (part[list(columns)].fillna(words) for part in (frame, test))
    model = RIVALS[name](columns, one.task, seed).fit(x, frame[one.target])
    chances, classes = (model.predict_proba(new), list(model.classes_)) if one.task == "classification" else (None, [])
    found = Answers(np.arange(len(new)), test[one.target].to_numpy(), model.predict(new), chances, classes)
    return {metric: found.score(metric) for metric in one.metrics}


# ------------------------------------------------------------------ the table


def trials(one: Set, frame: Frame, seeds: int) -> dict[str, list[dict[str, float]]]:
    """Of ours and of each rival the scores and the seconds, a dict for each seed."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ("recipe", *RIVALS)}
    for seed in range(seeds):
        rest, test = divided(frame, one, seed, TEST)
        with tempfile.TemporaryDirectory() as folder:
            found["recipe"].append(timed(ours, rest, test, one, seed, Path(folder)))
        for name in RIVALS:
            found[name].append(timed(rival, name, rest, test, one, seed))
    return found


def timed(work: Callable[..., dict[str, float]], *arguments: Any) -> dict[str, float]:
    start = time.perf_counter()
    return work(*arguments) | {"seconds": time.perf_counter() - start}


def verdict(found: dict[str, list[dict[str, float]]], metric: str) -> str:
    """Who has the best mean; and whether in every seed, or the seeds do not agree."""
    sign = 1 if METRICS[metric].greater_is_better else -1
    scores = {name: sign * np.array([trial[metric] for trial in each]) for name, each in found.items()}
    best = max(scores, key=lambda name: scores[name].mean())
    always = all((scores[best] > other).all() for name, other in scores.items() if name != best)
    return f"{best}, {'in every seed' if always else 'but not in every seed'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"of {', '.join(SETS)}; all by default")
    parser.add_argument("--seeds", type=int, default=3)
    wanted = parser.parse_args()
    print(f"{date.today()}, {platform.platform()}, {wanted.seeds} seeds, means\n")
    print("| set | rows | metric | recipe | linear | boosting | best | seconds of each |\n" + "|---" * 8 + "|")
    for name in wanted.sets or SETS:
        one = SETS[name]
        try:
            frame = one.read(wanted.folder)
        except FileNotFoundError as error:
            print(f"| {name} | skipped: {error.filename} is not there |" + " |" * 6, flush=True)
            continue
        found = trials(one, frame, wanted.seeds)
        means = {who: pd.DataFrame(each).mean() for who, each in found.items()}
        seconds = ", ".join(f"{mean['seconds']:.1f}" for mean in means.values())
        for metric in one.metrics:
            values = " | ".join(f"{mean[metric]:.4g}" for mean in means.values())
            print(
                f"| {name} | {len(frame):,} | {metric} | {values} | {verdict(found, metric)} | {seconds} |", flush=True
            )


if __name__ == "__main__":
    main()
