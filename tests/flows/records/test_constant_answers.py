"""What one answer to every test row reaches, beside the metrics of a run; and what clean left out, in its line."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from flows.cli.commands.run import run_text
from flows.records import constant_answers
from flows.report import findings
from pipelines.config.data import Data

RANDOM = np.random.default_rng(0)
COUNTS = {"train": 300, "test": 100}


def written(folder, values: dict[str, np.ndarray]):
    for split, targets in values.items():
        pd.DataFrame({"y": targets}).to_parquet(folder / f"{split}.parquet", index=False)
    return folder


def data(task: str, label: str = "text") -> Data:
    more = {"label": label} if task == "classification" else {}
    return Data(kind="table", task=task, target="y", columns={"x": "number"}, **more)


def test_of_numbers_it_is_the_better_of_mean_and_median_of_the_training_rows(tmp_path):
    values = {split: np.exp(RANDOM.normal(size=rows)) for split, rows in COUNTS.items()}
    names = ["mean_absolute_error", "root_mean_squared_error", "r2"]
    found = constant_answers.scores(written(tmp_path, values), data("regression"), names)
    train, test = values["train"], values["test"]
    assert found["mean_absolute_error"] == pytest.approx(np.abs(test - np.median(train)).mean())
    errors = [np.sqrt(np.square(test - answer).mean()) for answer in (np.mean(train), np.median(train))]
    assert found["root_mean_squared_error"] == pytest.approx(min(errors))
    assert found["r2"] <= 0


@pytest.mark.parametrize("label", ["text", "integer"])
def test_of_classes_it_is_the_commonest_one_and_the_share_of_each(tmp_path, label):
    classes = np.array(["ham", "eggs", "spam"] if label == "text" else [7, 3, 5])
    values = {split: RANDOM.choice(classes, rows, p=[0.6, 0.3, 0.1]) for split, rows in COUNTS.items()}
    names = ["accuracy", "balanced_accuracy", "log_loss", "f1_macro", "roc_auc"]
    found = constant_answers.scores(written(tmp_path, values), data("classification", label), [*names, "skill"])
    known, counts = np.unique(values["train"], return_counts=True)
    assert found["accuracy"] == (values["test"] == known[counts.argmax()]).mean()
    prior = np.tile(counts / 300, (100, 1))
    assert found["log_loss"] == pytest.approx(metrics.log_loss(values["test"], prior, labels=known))
    assert (found["balanced_accuracy"], found["roc_auc"]) == (pytest.approx(1 / 3), 0.5)
    assert set(found) == set(names)


def test_the_last_lines_of_a_run_name_it_beside_each_metric():
    run = {"model": "m", "decision": "accepted", "reason": "r", "version": 1, "champion": 1, "seconds": 1.0}
    run |= {"metrics": {"accuracy": 0.9, "skill": 0.1}, "constant": {"accuracy": 0.88}, "untracked": [], "next": "n"}
    assert "accuracy 0.9 (constant answer: 0.88), skill 0.1" in run_text(run | {"unreached": ""})


def test_the_line_of_clean_says_which_rows_it_left_out(tmp_path):
    report = {"rows": {"raw": 1000, "removed": {"duplicate": 300, "quarantined": 2}}}
    (tmp_path / "clean.json").write_text(json.dumps(report))
    said = "left out of 1,000 rows: 300 equal to another one (clean: duplicates), 2 set aside by rules"
    assert findings.removed(tmp_path, "clean") == said
    assert findings.removed(tmp_path, "check") == ""
    (tmp_path / "clean.json").write_text(json.dumps({"rows": {"raw": 1000, "removed": {}}}))
    assert findings.removed(tmp_path, "clean") == ""
