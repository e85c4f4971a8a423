"""How good are the models that `ratchet new` declares? python benchmarks/quality.py FOLDER [SET ...] [--seeds 3]

FOLDER holds telco-churn.csv, adult-train.csv, pollution.csv, bikeshare.csv, daily-min-temperatures.csv and
airline-passengers.csv; a set whose file is not there is named and skipped.
What is written is taken as it is: columns, missing marks, settings. Every seed is another split (20 % test, stratified
for classes; a series is split by time) and another training, through the stages' own functions. Beside it, fitted on
the same rows, of which ours sets some aside for early stopping: scikit-learn's linear model (numbers standardised,
categories one-hot) and its HistGradientBoosting, both as they come; for a series the forecast without a model that the
YAML names (`data: baseline:`), and boosting of the change from it, on the same windows and the calendar. Prints a
Markdown table of means over the seeds, and who wins. Minutes on two cores; keep the machine
idle.
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
from sklearn import datasets
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

sys.path.insert(0, str(Path(__file__).parent.parent))

from flows.new import new, recipe, rehearsal, wanted, yaml_comments
from pipelines import clean, evaluate, train
from pipelines.clean import Clean
from pipelines.config.data import Data
from pipelines.hardware import device
from pipelines.ingest import Ingest
from pipelines.model import statistics, temporal
from pipelines.model.metrics import METRICS, Answers
from pipelines.readers import sources
from pipelines.table import row_groups, rows
from pipelines.training.data_loader import Split
from pipelines.validate import QUARANTINE

TEST = 0.2  # of the rows
Frame = pd.DataFrame


@dataclass(frozen=True)
class Set:
    """One set: what is predicted, how it is scored, and where it lies or how it is made. names: of its columns."""

    target: str
    metrics: tuple[str, ...]  # the first one says who wins
    file: str | Callable[[], Frame]
    names: tuple[str, ...] = ()

    @property
    def task(self) -> str:
        return METRICS[self.metrics[0]].task

    def place(self, folder: Path, temporary: Path) -> Path:
        """The file, written first if it is made. Raises FileNotFoundError if it is not there."""
        if callable(self.file):
            self.file().to_csv(temporary / "set.csv", index=False)
            return temporary / "set.csv"
        (folder / self.file).stat()
        return folder / self.file


@dataclass(frozen=True)
class Declared:
    """What `ratchet new` would write, and all rows of the file by it, with their row_id."""

    data: Data
    train: dict[str, Any]
    clean: Clean
    rows: pa.Table


def declared(one: Set, path: Path) -> Declared:
    draft = new.drafted(wanted.Wanted("quality", path, one.target, list(one.names), []), "-")
    sections = yaml_comments.plain(draft.sections())
    data, ingest = Data.model_validate(sections["data"]), Ingest.model_validate(sections["ingest"])
    content = sources.read(path, ingest.delimiter, ingest.encoding, ingest.names, layout=ingest)
    typed = rehearsal.typed(pa.Table.from_batches(content), data, ingest, path.name)
    return Declared(data, sections["train"], Clean.model_validate(sections["clean"]), typed)


ADULT = (
    *("age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation", "relationship"),
    *("race", "sex", "capital_gain", "capital_loss", "hours_per_week", "native_country", "income"),
)


def builtin(name: str) -> Callable[[], Frame]:
    return lambda: sources.builtin(name).to_pandas()


def friedman() -> Frame:
    """Ten numbers, five of which matter, in a smooth curve with noise of variance 1."""
    x, y = datasets.make_friedman1(4000, noise=1.0, random_state=0)
    return pd.DataFrame(x, columns=[f"x{index}" for index in range(x.shape[1])]).assign(y=y)


def skewed() -> Frame:
    """Prices: the exponential of a curve of skewed numbers and a category of 40 words, with noise of a fifth."""
    random, size = np.random.default_rng(0), 8000
    area, age, place = random.lognormal(4, 0.6, size), random.exponential(20, size), random.zipf(1.5, size) % 40
    worth = random.normal(0, 0.4, 40)[place]
    price = np.exp(0.8 * np.log(area) - 0.3 * np.sqrt(age) / 3 + worth + random.normal(0, 0.2, size))
    return pd.DataFrame({"area": area, "age": age, "place": [f"p{code}" for code in place], "price": price})


def imbalanced() -> Frame:
    """Twenty numbers, one row in fifty of the rare class."""
    x, y = datasets.make_classification(20_000, 20, n_informative=6, weights=[0.98], flip_y=0.005, random_state=0)
    frame = pd.DataFrame(x, columns=[f"x{index}" for index in range(x.shape[1])])
    return frame.assign(y=np.where(y == 1, "rare", "common"))


CLASSES, NUMBERS = ("roc_auc", "balanced_accuracy", "log_loss"), ("root_mean_squared_error", "mean_absolute_error")
SETS = {
    "telco": Set("Churn", CLASSES, "telco-churn.csv"),
    "adult": Set("income", CLASSES, "adult-train.csv", ADULT),
    "pollution": Set("pm2.5", ("mean_absolute_error",), "pollution.csv"),
    "bikeshare": Set("count", ("mean_absolute_error",), "bikeshare.csv"),
    "temperatures": Set("Temp", ("mean_absolute_error",), "daily-min-temperatures.csv"),
    "airline": Set("Passengers", ("mean_absolute_error",), "airline-passengers.csv"),
    "breast_cancer": Set("diagnosis", CLASSES, builtin("breast_cancer")),
    "imbalanced": Set("y", CLASSES, imbalanced),
    "diabetes": Set("progression", NUMBERS, builtin("diabetes")),
    "friedman": Set("y", NUMBERS, friedman),
    "skewed": Set("price", NUMBERS, skewed),
}


def divided(frame: Frame, one: Set, seed: int, share: float) -> tuple[Frame, Frame]:
    classes = frame[one.target] if one.task == "classification" else None
    return tuple(train_test_split(frame, test_size=share, random_state=seed, stratify=classes))


def ours(frame: Frame, test: Frame, one: Set, seed: int, found: Declared, folder: Path) -> dict[str, float]:
    """Scores of what was declared: the training split and early stopping out of `frame`."""
    fit, validation = divided(frame, one, seed, recipe.VALIDATION)
    for name, part in {"train": fit, "validation": validation, "test": test}.items():
        schema = rows.raw_schema(found.data)
        row_groups.write(folder / f"{name}.parquet", schema, pa.Table.from_pandas(part, schema).to_batches())
    return trained(found, one, seed, folder)


def trained(found: Declared, one: Set, seed: int, folder: Path) -> dict[str, float]:
    """Train on the splits in a folder, as the stage does, and score."""
    config = train.Train.model_validate(found.train | {"seed": seed})
    device.prepare(config, config.seed)
    logging.getLogger("tensorflow").setLevel("ERROR")  # it wonders about so many models in one process
    splits = (Split(folder / "train.parquet", found.data), Split(folder / "validation.parquet", found.data))
    fitted = statistics.measure(found.data, splits[0].pieces, config)
    model = train.train(config, fitted, splits, folder / "history.csv")
    train.save(model, found.data, config, fitted, folder / "model")
    answers = evaluate.predict(evaluate.load(folder / "model", "cpu")[0], folder / "test.parquet", found.data)
    return evaluate.score(answers, found.data, list(one.metrics))


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


def rival(name: str, frame: Frame, test: Frame, one: Set, seed: int, data: Data) -> dict[str, float]:
    """Scores of a rival that is fitted on all of `frame`: it sets nothing aside that it does not want to."""
    columns = {name: str(role) for name, role in data.columns.items() if role in ("number", "category")}
    words = {column: "" for column, kind in columns.items() if kind == "category"}
    x, new = (part[list(columns)].fillna(words) for part in (frame, test))
    model = RIVALS[name](columns, one.task, seed).fit(x, frame[one.target])
    chances, classes = (model.predict_proba(new), list(model.classes_)) if one.task == "classification" else (None, [])
    found = Answers(np.arange(len(new)), test[one.target].to_numpy(), model.predict(new), chances, classes)
    return {metric: found.score(metric) for metric in one.metrics}


# ------------------------------------------------------------------ the table


def trials(one: Set, found: Declared, seeds: int, folder: Path) -> dict[str, list[dict[str, float]]]:
    """Of ours and of each rival the scores and the seconds, a dict for each seed."""
    if found.data.kind == "sequence":
        return forecasts(one, found, seeds, folder)
    frame = found.rows.to_pandas()
    scores: dict[str, list[dict[str, float]]] = {name: [] for name in ("ratchet new", *RIVALS)}
    for seed in range(seeds):
        rest, test = divided(frame, one, seed, TEST)
        scores["ratchet new"].append(timed(ours, rest, test, one, seed, found, folder))
        for name in RIVALS:
            scores[name].append(timed(rival, name, rest, test, one, seed, found.data))
    return scores


def forecasts(one: Set, found: Declared, seeds: int, folder: Path) -> dict[str, list[dict[str, float]]]:
    """The same for a series: its split is by time, so that only the training differs from seed to seed."""
    with row_groups.Writer(folder / "raw.parquet", found.rows.schema) as raw:
        for batch in found.rows.to_batches():
            raw.write(batch)
    with row_groups.Writer(folder / "quarantine.parquet", QUARANTINE):
        pass
    clean.clean(folder, found.data, found.clean)
    parts = [_windows(folder / f"{name}.parquet", found.data) for name in ("train", "validation", "test")]
    x, y, naive = (np.concatenate([part[index] for part in parts[:2]]) for index in range(3))
    new_x, new_y, new_naive = parts[2]
    scores: dict[str, list[dict[str, float]]] = {name: [] for name in ("ratchet new", "no model", "boosting")}
    for seed in range(seeds):
        scores["ratchet new"].append(timed(trained, found, one, seed, folder))
        scores["no model"].append(timed(lambda: {one.metrics[0]: _error(new_y, new_naive)}))
        model = HistGradientBoostingRegressor(loss="absolute_error", random_state=seed)
        scores["boosting"].append(
            timed(
                lambda model=model: {one.metrics[0]: _error(new_y, new_naive + model.fit(x, y - naive).predict(new_x))}
            )
        )
    return scores


def _windows(path: Path, data: Data) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The numbers of each window side by side with those of its calendar, the target, and its forecast without a model;
    rows without one are left out."""
    arrays, target = zip(*Split(path, data).pieces(), strict=True)
    seen = [
        np.concatenate([part[name] for part in arrays]) for name in ("past_numbers", "numbers") if name in arrays[0]
    ]
    at = pd.to_datetime(np.concatenate([part["dates"] for part in arrays])[:, 0], unit="s")
    x = np.column_stack([*(part.reshape(len(at), -1) for part in seen), at.hour, at.day_of_week, at.month])
    naive = temporal.baseline_of_rows(pd.read_parquet(path), data)
    known = ~np.isnan(naive)
    return x[known], np.concatenate(target)[known], naive[known]


def _error(actual: np.ndarray, predicted: np.ndarray) -> float:
    return float(np.abs(actual - predicted).mean())


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
    print("| set | rows | metric | scores | best | seconds of each |\n" + "|---" * 6 + "|")
    for name in wanted.sets or SETS:
        with tempfile.TemporaryDirectory() as temporary:
            try:
                found = declared(SETS[name], SETS[name].place(wanted.folder, Path(temporary)))
            except FileNotFoundError as error:
                print(f"| {name} | skipped: {error.filename} is not there |" + " |" * 4, flush=True)
                continue
            report(name, found, trials(SETS[name], found, wanted.seeds, Path(temporary)))


def report(name: str, found: Declared, scores: dict[str, list[dict[str, float]]]) -> None:
    means = {who: pd.DataFrame(each).mean() for who, each in scores.items()}
    seconds = ", ".join(f"{mean['seconds']:.1f}" for mean in means.values())
    for metric in SETS[name].metrics:
        values = ", ".join(f"{who} {mean[metric]:.4g}" for who, mean in means.items())
        told = verdict(scores, metric)
        print(f"| {name} | {found.rows.num_rows:,} | {metric} | {values} | {told} | {seconds} |", flush=True)


if __name__ == "__main__":
    main()
