"""How fast and how exact one answer is explained, beside shap: python benchmarks/explain.py FOLDER --data FILE

In a clone of this repository in FOLDER models are made: breast_cancer, digits, and what `ratchet new` makes of FILE
(telco-churn.csv). Then answers to test rows are explained, by the ONNX file of the version in this process: by
`pipelines/explaining/shapley.py` and by `shap.PermutationExplainer` with its default number of calls and with up to
eight times as many, on the same 100 rows of the background, which for shap are coded as numbers. Printed for each:
seconds a row, also as a multiple of ratchet's, answers asked for a row, the largest error of the sum, the correlation
over all rows and columns with the mean of two seeds of shap's largest one, the share of rows with the same largest
column, and how two seeds agree (the mean rank correlation of the columns of a row). A star is beside the first of
shap's ways whose seeds agree as well as ratchet's: the two are equally exact, so that multiple is the one to read.

    --rows N    test rows of each model (default 30)
    --only NAME one part: breast_cancer, churn, digits, or sanity

`sanity` (Adebayo et al. 2018): a network of breast_cancer is trained twice, once with all labels shuffled. Then no
column has an importance: the interval of all columns together reaches 0. And of digits the saliency before and after
the weights of one layer are mixed, as a rank correlation. What was measured is kept in FOLDER/explain.jsonl; delete it
to measure anew.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from scipy.stats import spearmanr
from serving.project import CHURN, Clone

from pipelines.explaining import ORDERS

SEED, BACKGROUND, SHUFFLES = 0, 100, 10
CALLS = (500, 1000, 2000, 4000)  # of shap for a row; 500 is its default
TABLES = ("breast_cancer", CHURN)
HEAD = (
    "| model | way | s/row | times ratchet | answers/row | largest error | agree | same top column | seeds |\n"
    "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)


class Case:
    """The rows of a model, and its ONNX file as a function that counts what it is asked."""

    def __init__(self, folder: Path, rows: int):
        from flows.predict.answering.arrays import to_arrays
        from flows.serving.engine.onnx import OnnxEngine
        from pipelines.explaining import columns, shapley

        self.about = json.loads((folder / "model" / "model.json").read_text())
        self._engine = OnnxEngine((folder / "serving" / "model.onnx").read_bytes())
        self.given = to_arrays(pq.read_table(folder / "test.parquet").slice(0, rows), self.about)
        kept = to_arrays(pq.read_table(folder / "explanations" / "background.parquet"), self.about)
        there = columns.count(kept)
        self.background = columns.rows(kept, shapley.spread(there, min(there, BACKGROUND)))
        self.columns = columns.columns(self.about)
        self.asked = 0
        self.outputs = self.answers(self.given).argmax(axis=1)

    def answers(self, arrays: dict[str, np.ndarray]) -> np.ndarray:
        self.asked += len(next(iter(arrays.values())))
        return self._engine.answers(arrays)

    @property
    def rows(self) -> int:
        return len(self.outputs)


class Coded:
    """Rows as a matrix of numbers, which shap wants: each word by its place among the words that are there."""

    def __init__(self, case: Case):
        self._case, self._words = case, {}
        for column in case.columns:
            if column.array == "categories":
                every = [of["categories"][:, column.place] for of in (case.given, case.background)]
                self._words[column] = np.unique(np.concatenate(every).astype(str)).astype(object)

    def matrix(self, arrays: dict[str, np.ndarray]) -> np.ndarray:
        found = [arrays[column.array][:, column.place] for column in self._case.columns]
        words = [self._words.get(column) for column in self._case.columns]
        of = [value if word is None else np.searchsorted(word, value) for value, word in zip(found, words, strict=True)]
        return np.column_stack(of).astype(float)

    def answers(self, matrix: np.ndarray) -> np.ndarray:
        arrays: dict[str, np.ndarray] = {}
        for name in self._case.given:
            mine = [place for place, column in enumerate(self._case.columns) if column.array == name]
            parts = [self._value(place, matrix[:, place]) for place in mine]
            arrays[name] = np.stack(parts, axis=1)
        return self._case.answers(arrays)

    def _value(self, place: int, values: np.ndarray) -> np.ndarray:
        words = self._words.get(self._case.columns[place])
        return values if words is None else words[values.astype(int)]


def measured(case: Case, way: Callable[[int], np.ndarray]) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Twice, with two seeds: figures, and for each seed the contributions to what is answered, [rows, columns].

    way: a seed -> contributions of all outputs [rows, columns, outputs].
    """
    case.asked, start = 0, time.perf_counter()
    found = [_chosen(case, way(SEED))]
    seconds, asked = time.perf_counter() - start, case.asked
    found.append(_chosen(case, way(SEED + 1)))
    seeds = [spearmanr(one, other).statistic for one, other in zip(*found, strict=True)]
    return {
        "seconds": seconds / case.rows,
        "asked": asked / case.rows,
        "seeds": float(np.mean(seeds)),
    }, found


def _chosen(case: Case, values: np.ndarray) -> np.ndarray:
    return values[np.arange(case.rows), :, case.outputs]


def beside_shap(folder: Path, model: str, rows: int) -> list[dict[str, Any]]:
    """Our way, and shap's with few and with many calls. as_exact: the first of shap's whose seeds agree as ours do."""
    import shap

    from pipelines.explaining import shapley

    case = Case(folder, rows)
    coded = Coded(case)
    masker = shap.maskers.Independent(coded.matrix(case.background), max_samples=BACKGROUND)
    answer, base = (case.answers(of) for of in (case.given, case.background))
    wanted = (answer - base.mean(axis=0))[np.arange(rows), case.outputs]

    errors = [0.0]  # of our way, whose base is the mean over the rows that it begins from

    def ours(seed: int) -> np.ndarray:
        found = shapley.contributions(case.answers, case.given, case.background, case.columns, ORDERS, seed)
        errors.append(float(found.error.max()))
        return found.values

    def theirs(calls: int | str) -> Callable[[int], np.ndarray]:
        def way(seed: int) -> np.ndarray:
            explainer = shap.PermutationExplainer(coded.answers, masker, seed=seed)
            return np.asarray(explainer(coded.matrix(case.given), max_evals=calls, silent=True).values)

        return way

    theirs(2 * len(case.columns) + 1)(SEED)  # numba compiles in the first call
    mine, other = f"ratchet, {ORDERS} orders", [f"shap, {calls:,} calls" for calls in CALLS]
    ways = {mine: ours} | {name: theirs(calls) for name, calls in zip(other, CALLS, strict=True)}
    found = {name: measured(case, way) for name, way in ways.items()}
    best = np.mean(found[other[-1]][1], axis=0)
    seeds, seconds = found[mine][0]["seeds"], found[mine][0]["seconds"]
    as_exact = [name for name in other if found[name][0]["seeds"] >= seeds]
    return [
        {
            "model": model,
            "way": name,
            **told,
            "times": told["seconds"] / seconds,
            "as_exact": name == (as_exact or [""])[0],
            "error": max(errors) if name == mine else float(np.abs(values[0].sum(axis=1) - wanted).max()),
            "agree": float(np.corrcoef(values[0].ravel(), best.ravel())[0, 1]),
            "top": float(np.mean(np.abs(values[0]).argmax(axis=1) == np.abs(best).argmax(axis=1))),
            "on": str(date.today()),
        }
        for name, (told, values) in found.items()
    ]


def of_pictures(folder: Path, rows: int) -> list[dict[str, Any]]:
    """The patches of digits, by Shapley values; shap has no fast way for them without a gradient."""
    from pipelines.explaining import shapley
    from pipelines.explaining.pictures import patches

    case = Case(folder, rows)
    grid = patches.grid(case.about["shape"])
    cut, background = grid.cut(case.given), grid.cut(case.background)
    answers = grid.answers(case.answers)
    error = 0.0

    def way(seed: int) -> np.ndarray:
        nonlocal error
        found = shapley.contributions(answers, cut, background, grid.columns, ORDERS, seed)
        error = max(error, float(found.error.max()))
        return found.values

    told, _ = measured(case, way)
    name = f"ratchet, {ORDERS} orders of {len(grid.columns)} patches"
    return [{"model": "digits", "way": name, **told, "error": error, "on": str(date.today())}]


def sanity(clone: Path) -> list[dict[str, Any]]:
    """Labels shuffled in training, and weights replaced by random ones."""
    return [_shuffled(clone / "data" / "breast_cancer"), _randomised(clone / "data" / "digits")]


def _shuffled(folder: Path) -> dict[str, Any]:
    """The same small network fitted to true and to shuffled labels: the importances of its columns on test rows, which
    it has not seen, each alone and all together."""
    import keras

    from pipelines.explaining.columns import Column
    from pipelines.explaining.overall import permutation
    from pipelines.explaining.overall.judge import Judge
    from pipelines.model.metrics import METRICS

    tables = [pd.read_parquet(folder / f"{split}.parquet") for split in ("train", "test")]
    about = json.loads((folder / "model" / "model.json").read_text())
    mean, spread = tables[0][about["numbers"]].mean(), tables[0][about["numbers"]].std()
    train, test = (((one[about["numbers"]] - mean) / spread).fillna(0).to_numpy(np.float32) for one in tables)
    labels = [np.searchsorted(about["classes"], one[about["target"]]) for one in tables]
    chosen = [Column(name, "numbers", place) for place, name in enumerate(about["numbers"])]
    random, found = np.random.default_rng(SEED), dict[str, Any]()
    for name in ("true", "shuffled"):
        fitted, actual = labels if name == "true" else [random.permutation(one) for one in labels]
        keras.utils.set_random_seed(SEED)
        layers = [keras.layers.Dense(16, "relu"), keras.layers.Dropout(0.5), keras.layers.Dense(2, "softmax")]
        network = keras.Sequential([keras.Input((train.shape[1],)), *layers])
        network.compile("adam", "sparse_categorical_crossentropy")
        network.fit(train, fitted, epochs=30, batch_size=32, verbose=0)

        def answers(arrays: dict[str, np.ndarray], network: Any = network) -> np.ndarray:
            return np.asarray(network(arrays["numbers"]))

        given, judge = {"numbers": test}, Judge(METRICS["accuracy"], actual, [0, 1])
        orders = permutation.shuffles(given, SHUFFLES, SEED)
        worse = [
            permutation.importance(answers, given, some, judge, orders) for some in [chosen, *([c] for c in chosen)]
        ]
        covers = sum(one.low <= 0 <= one.high for one in worse[1:])
        found[name] = vars(worse[0]) | {"columns": len(chosen), "intervals that reach 0": covers}
    return {"sanity": "labels shuffled: worse accuracy with all columns shuffled", **found, "on": str(date.today())}


def _randomised(folder: Path) -> dict[str, Any]:
    """Rank correlation of the saliency of test pictures with that of the same network with a random layer."""
    from pipelines.explaining import gradients
    from pipelines.explaining.pictures import sanity as saliency
    from pipelines.model.predictor import Predictor

    case, model = Case(folder, 30), Predictor(folder / "model").model
    baseline = {"image": gradients.mean_picture(case.background["image"])}
    found = saliency.with_random_layers(model, case.given, baseline, case.outputs, SEED)
    return {"sanity": "weights of a layer permuted", "ranks": found, "on": str(date.today())}


def table(results: list[dict[str, Any]]) -> str:
    lines = [HEAD]
    for one in results:
        if "way" in one:
            agree, top = (f"{one[name]:.3f}" if name in one else "" for name in ("agree", "top"))
            times = f"{one['times']:.1f}{' *' * one['as_exact']}" if "times" in one else ""
            lines.append(
                f"| {one['model']} | {one['way']} | {one['seconds']:.4f} | {times} | {one['asked']:,.0f} | "
                f"{one['error']:.1e} | {agree} | {top} | {one['seeds']:.3f} |"
            )
    lines += ["", *(json.dumps(one) for one in results if "sanity" in one)]
    return "\n".join(lines)


def main(given: argparse.Namespace) -> None:
    print(f"{date.today()}, {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"seed {SEED} and {SEED + 1}, {given.rows} rows, {BACKGROUND} background rows\n")
    given.folder.mkdir(parents=True, exist_ok=True)
    clone, kept = Clone(given.folder.resolve() / "clone"), given.folder / "explain.jsonl"
    results = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    done = {one.get("model", "sanity") for one in results}
    for part in [given.only] if given.only else [*TABLES, "digits", "sanity"]:
        if part in done:
            continue
        for model in ["breast_cancer", "digits"] if part == "sanity" else [part]:
            clone.make(model, given.data)
        print(f"measures {part}", file=sys.stderr, flush=True)
        folder = clone.root / "data" / part
        if part == "sanity":
            found = sanity(clone.root)
        else:
            found = of_pictures(folder, given.rows) if part == "digits" else beside_shap(folder, part, given.rows)
        results += found
        with kept.open("a") as file:
            file.writelines(json.dumps(one) + "\n" for one in found)
    print(table(results))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="How fast and how exact one answer is explained, beside shap.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=lambda path: Path(path).resolve())
    parser.add_argument("--rows", type=int, default=30)
    parser.add_argument("--only", choices=[*TABLES, "digits", "sanity"])
    return parser.parse_args()


if __name__ == "__main__":
    main(arguments())
