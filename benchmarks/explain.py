"""How fast and how exact one answer is explained, beside shap: python benchmarks/explain.py FOLDER --data FILE

In a clone of this repository in FOLDER models are made: breast_cancer, digits, and what `ratchet new` makes of FILE
(telco-churn.csv). Then answers to test rows are explained, by the ONNX file of the version in this process: by
`pipelines/explaining/shapley.py` and by `shap.PermutationExplainer` (with its default number of calls, and with
four times as many), on the same 100 rows of the background, which for shap are coded as numbers. Printed for each:
seconds a row, answers asked for a row, the largest error of the sum, the correlation with shap's larger one over all
rows and columns, the share of rows with the same largest column, and how two seeds agree (the mean rank correlation of
the columns of a row).

    --rows N    test rows of each model (default 30)
    --only NAME one part: breast_cancer, churn, digits, or sanity

`sanity` (Adebayo et al. 2018): a network of breast_cancer is trained twice, once with its labels shuffled, and the mean
size of the contributions is compared; and of digits the saliency before and after the weights of one layer are replaced
by random ones, as a rank correlation. What was measured is kept in FOLDER/explain.jsonl; delete it to measure anew.
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

SEED, BACKGROUND, ORDERS = 0, 100, 200
TABLES = ("breast_cancer", CHURN)
HEAD = (
    "| model | way | s/row | times shap | answers/row | largest error | agree | same top column | seeds |\n"
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


def measured(case: Case, way: Callable[[int], np.ndarray]) -> tuple[dict[str, Any], np.ndarray]:
    """Twice, with two seeds. way: a seed -> contributions of all outputs [rows, columns, outputs]."""
    case.asked, start = 0, time.perf_counter()
    found = [_chosen(case, way(SEED))]
    seconds, asked = time.perf_counter() - start, case.asked
    found.append(_chosen(case, way(SEED + 1)))
    seeds = [spearmanr(one, other).statistic for one, other in zip(*found, strict=True)]
    return {
        "seconds": seconds / case.rows,
        "asked": asked / case.rows,
        "seeds": float(np.mean(seeds)),
    }, found[0]


def _chosen(case: Case, values: np.ndarray) -> np.ndarray:
    return values[np.arange(case.rows), :, case.outputs]


def beside_shap(folder: Path, model: str, rows: int) -> list[dict[str, Any]]:
    """Our way, and shap's with few and with many calls."""
    import shap

    from pipelines.explaining import shapley

    case = Case(folder, rows)
    coded = Coded(case)
    masker = shap.maskers.Independent(coded.matrix(case.background), max_samples=BACKGROUND)
    answer, base = (case.answers(of) for of in (case.given, case.background))
    wanted = (answer - base.mean(axis=0))[np.arange(rows), case.outputs]

    def ours(seed: int) -> np.ndarray:
        return shapley.contributions(case.answers, case.given, case.background, case.columns, ORDERS, seed).values

    def theirs(calls: int | str) -> Callable[[int], np.ndarray]:
        def way(seed: int) -> np.ndarray:
            explainer = shap.PermutationExplainer(coded.answers, masker, seed=seed)
            return np.asarray(explainer(coded.matrix(case.given), max_evals=calls, silent=True).values)

        return way

    theirs(2 * len(case.columns) + 1)(SEED)  # numba compiles in the first call
    ways = {f"ratchet, {ORDERS} orders": ours, "shap": theirs(500), "shap, 2000 calls": theirs(2000)}
    found = {name: measured(case, way) for name, way in ways.items()}
    best = found["shap, 2000 calls"][1]
    shap_seconds = found["shap"][0]["seconds"]
    return [
        {
            "model": model,
            "way": name,
            **told,
            "times": shap_seconds / told["seconds"],
            "error": float(np.abs(values.sum(axis=1) - wanted).max()),
            "agree": float(np.corrcoef(values.ravel(), best.ravel())[0, 1]),
            "top": float(np.mean(np.abs(values).argmax(axis=1) == np.abs(best).argmax(axis=1))),
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
    """The same small network fitted to true and to shuffled labels: the mean size of the contributions to the answers
    to test rows, which it has not seen."""
    import keras

    from pipelines.explaining import shapley
    from pipelines.explaining.columns import Column

    tables = [pd.read_parquet(folder / f"{split}.parquet") for split in ("train", "test")]
    about = json.loads((folder / "model" / "model.json").read_text())
    mean, spread = tables[0][about["numbers"]].mean(), tables[0][about["numbers"]].std()
    train, test = ((one[about["numbers"]] - mean) / spread for one in tables)
    train, test = train.fillna(0).to_numpy(), test.fillna(0).to_numpy()[:30]
    labels = tables[0][about["target"]].astype("category").cat.codes.to_numpy()
    chosen = [Column(name, "numbers", place) for place, name in enumerate(about["numbers"])]
    sizes = {}
    for name, of in (("true", labels), ("shuffled", np.random.default_rng(SEED).permutation(labels))):
        keras.utils.set_random_seed(SEED)
        layers = [keras.layers.Dense(16, "relu"), keras.layers.Dropout(0.5), keras.layers.Dense(2, "softmax")]
        network = keras.Sequential([keras.Input((train.shape[1],)), *layers])
        network.compile("adam", "sparse_categorical_crossentropy")
        network.fit(train, of, epochs=30, batch_size=32, verbose=0, validation_split=0.2)

        def answers(arrays: dict[str, np.ndarray], network: Any = network) -> np.ndarray:
            return np.asarray(network(arrays["numbers"].astype(np.float32)))

        given, background = {"numbers": test}, {"numbers": train[:BACKGROUND]}
        found = shapley.contributions(answers, given, background, chosen, ORDERS, SEED)
        sizes[name] = float(np.abs(found.values).sum(axis=1).mean())
    return {"sanity": "labels shuffled", "sizes": sizes, "on": str(date.today())}


def _randomised(folder: Path) -> dict[str, Any]:
    """Rank correlation of the saliency of test pictures with that of the same network with a random layer."""
    from pipelines.explaining import gradients
    from pipelines.explaining.parts import Parts
    from pipelines.model.predictor import Predictor

    case, loaded = Case(folder, 30), Predictor(folder / "model")
    parts = Parts(loaded.model)
    baseline = {"image": gradients.mean_picture(case.background["image"])}
    before = gradients.of_pictures(parts, case.given, baseline, case.outputs).values
    found, draw = {}, np.random.default_rng(SEED)
    for layer in parts.network.layers:
        if not (kept := layer.get_weights()):
            continue
        layer.set_weights([draw.permutation(one.ravel()).reshape(one.shape) for one in kept])
        after = gradients.of_pictures(parts, case.given, baseline, case.outputs).values
        ranks = [spearmanr(one.ravel(), other.ravel()).statistic for one, other in zip(before, after, strict=True)]
        found[layer.name] = float(np.mean(ranks))
        layer.set_weights(kept)
    return {"sanity": "weights of a layer permuted", "ranks": found, "on": str(date.today())}


def table(results: list[dict[str, Any]]) -> str:
    lines = [HEAD]
    for one in results:
        if "way" in one:
            agree, top = (f"{one[name]:.3f}" if name in one else "" for name in ("agree", "top"))
            times = f"{one['times']:.1f}" if "times" in one else ""
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
