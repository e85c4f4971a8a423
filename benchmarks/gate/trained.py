"""Real models: small networks on digits, and the bundled models with many seeds."""

import contextlib
import io
import itertools
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import numpy as np

from flows.promotion.statistics.gain import gain
from gate.cells import Cells, Random, header, line, percent, title
from gate.models import labels
from gate.rules import passes, plain
from pipelines.model.metrics import Answers

ROOT = Path(__file__).parents[2]
SEEDS = range(100, 112)


def real(cells: Cells) -> None:
    splits, margin = max(20, cells.trials // 5), 0.025
    found = cells.of("digits", lambda random: dict(_networks(margin, random)), splits)
    title(f"Real networks on digits, {splits} random splits, 360 test rows, margin {margin}")
    header("candidate", "true gain, mean", "plain comparison", "gate")
    for kind in dict.fromkeys(name.partition(": ")[0] for name in found):
        line(
            kind,
            f"{mean(found[f'{kind}: gain']):+.3f}",
            *(percent(found[f"{kind}: {rule}"]) for rule in ("plain", "gate")),
        )


def _networks(margin: float, random: Random) -> Iterator[tuple[str, float]]:
    """A champion and four candidates: their true gain, on rows that are kept for it, and the verdicts."""
    from sklearn.datasets import load_digits
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    pixels, digits = load_digits(return_X_y=True)
    order = random.permutation(len(digits))
    train, test, kept = order[:700], order[700:1060], order[1060:]
    noisy = digits.copy()
    noisy[train] = np.where(random.random(len(train)) < 0.2, random.integers(0, 10, len(train)), digits[train])

    def right(rows: np.ndarray, targets: np.ndarray, state: int) -> list[np.ndarray]:
        network = MLPClassifier((128,), random_state=state, max_iter=40, tol=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # 40 epochs are meant
            network.fit(pixels[rows] / 16, targets[rows])
        return [network.predict(pixels[asked] / 16) == digits[asked] for asked in (test, kept)]

    champion = right(train, digits, 0)
    kinds = {
        "another seed": (train, digits, 1),
        "20 % of the labels wrong": (train, noisy, 0),
        "half of the rows": (train[:350], digits, 0),
        "a tenth of the rows": (train[:70], digits, 0),
    }
    for kind, options in kinds.items():
        made = right(*options)
        judged = gain("accuracy", labels(made[0]), labels(champion[0]))
        yield f"{kind}: gain", float(made[1].mean() - champion[1].mean())
        yield f"{kind}: plain", plain(judged)
        yield f"{kind}: gate", passes(judged, margin)


def bundled(cells: Cells) -> None:
    title(f"The bundled models with {len(SEEDS)} seeds: each against each other one, all of them equal")
    header("model", "metric", "margin", "plain comparison", "gate")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["git", "clone", "--quiet", str(ROOT), folder], check=True)
        for model in ("digits", "breast_cancer", "diabetes"):
            with contextlib.chdir(folder):
                metric, margin, judged = _seeds(model)
            line(model, metric, margin, *(percent(list(rates)) for rates in zip(*judged, strict=True)))


def _seeds(model: str) -> tuple[str, float, list[tuple[float, float]]]:
    """A bundled model of several seeds: its metric and margin, and the verdicts on each pair, by plain and gate."""
    from pipelines import check, clean, evaluate, ingest, model_file, train, validate
    from pipelines.config import settings

    path = Path("models") / f"{model}.yaml"
    declared, text = model_file.check(model), path.read_text(encoding="utf-8")
    for stage in (ingest, validate, clean, check):
        stage.run(model)
    made = []
    for seed in SEEDS:
        path.write_text(text.replace(f"seed: {declared.train.seed}", f"seed: {seed}"), encoding="utf-8")
        assert settings.read(model)["train"]["seed"] == seed
        with contextlib.redirect_stdout(io.StringIO()):  # it names the device each time
            train.run(model)
        test = Path("data") / model / "test.parquet"
        predicted = evaluate.predict(evaluate.load(test.with_name("model"), "cpu")[0], test, declared.data)
        made.append(Answers.read(predicted, declared.data.label))
    rules = declared.promote
    gains = [gain(rules.metric, one, other, worst=rules.worst) for one, other in itertools.permutations(made, 2)]
    return rules.metric, rules.margin, [(plain(found), passes(found, rules.margin)) for found in gains]
