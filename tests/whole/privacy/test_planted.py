"""A thousand planted values of sensitive columns are found in the data themselves, and nowhere else that runs write."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support import finder
from tests.support.clone import answer, clone, edit, ratchet

ROWS = 1_000
DATA = ("raw", "train", "validation", "test")  # what a model learns from holds the values
YAML = """
format: 1
data:
  kind: table
  task: classification
  target: bought
  columns: {age: number, mail: carried, pay: number, born: date}
  sensitive: [mail, pay, born]
ingest: {source: data/incoming/people/, reader: 2, timezone: UTC}
validate:
  rules:
    - {rule: expect_column_values_to_be_between, column: pay, min_value: 0, max_value: 10, level: warn}
    - {rule: expect_column_values_to_match_regex, column: mail, regex: "^nobody", level: warn}
    - {rule: expect_column_values_to_be_between, column: age, min_value: 19, max_value: 120, level: quarantine}
clean: {split: {by: hash, seed: 1, key: [mail]}}
check: {overlap: 1.0}
train: {hidden: [8], epochs: 2, batch_size: 64, learning_rate: 0.01}
evaluate: {metrics: [accuracy]}
promote: {metric: accuracy, at_least: 0.5}
schedule: {}
"""


def people() -> pd.DataFrame:
    random = np.random.default_rng(5)
    age = random.integers(18, 90, ROWS)
    days = pd.Timestamp("1751-02-03") + pd.to_timedelta(random.permutation(29_000)[:ROWS], "D")
    return pd.DataFrame(
        {
            "age": age,
            "mail": [f"planted-{number:04}-{random.integers(1e9)}@example.org" for number in range(ROWS)],
            "pay": [f"{value:.4f}" for value in 21_000 + random.random(ROWS) * 70_000],
            "born": days.strftime("%Y-%m-%d"),
            "bought": np.where(age + random.normal(0, 5, ROWS) > 40, "yes", "no"),
        }
    )


def planted(table: pd.DataFrame) -> set[str]:
    """The whole values. (Numbers also as reports round them.)"""
    rounded = {f"{float(value):.2f}" for value in table["pay"]} | {f"{float(value):.3f}" for value in table["pay"]}
    return {*table["mail"], *table["pay"], *table["born"], *rounded}


def content(folder: Path) -> set[str]:
    """The hashes of the files that hold the data, as they are now."""
    data = folder / "data" / "people"
    paths = [*(data / f"{name}.parquet" for name in DATA), *(data / "source").glob("*"), *incoming(folder).glob("*")]
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if path.is_file()}


def incoming(folder: Path) -> Path:
    return folder / "data" / "incoming" / "people"


def fails(folder: Path, *words: str) -> str:
    done = ratchet(folder, *words)
    assert done.returncode, done.stdout
    return done.stdout + done.stderr


@pytest.mark.long
def test_no_sensitive_value_is_anywhere_but_in_the_data(tmp_path):
    folder, table, said = clone(tmp_path / "clone"), people(), []
    edit(folder / "dvc.yaml", "[digits, breast_cancer, diabetes]", "[digits, breast_cancer, diabetes, people]")
    yaml = folder / "models" / "people.yaml"
    yaml.write_text(YAML)
    yaml.with_suffix(".py").write_text('"""No code of its own."""\n')
    incoming(folder).mkdir(parents=True)
    table[:600].to_csv(incoming(folder) / "a.csv", index=False)
    said.append(json.dumps(answer(folder, "run", "people")))
    known = content(folder)
    table[600:].to_csv(incoming(folder) / "b.csv", index=False)
    said.append(json.dumps(answer(folder, "run", "people")))
    known |= content(folder)
    said.append(ratchet(folder, "data", "people", "--diff", "champion", "latest").stdout)
    said.append(ratchet(folder, "compare", "people", "1", "latest", "--output", "compare.md").stdout)
    table.to_csv(folder / "new.csv", index=False)
    said.append(ratchet(folder, "predict", "people", "new.csv", "answers.csv").stdout)
    (folder / "new.csv").unlink()
    edit(yaml, "max_value: 10, level: warn", "max_value: 10, level: stop")
    said.append(fails(folder, "run", "people"))
    known |= content(folder)
    for column, odd in (("pay", "+x"), ("born", "T99:99")):
        wrong = table[:3].assign(**{column: table[column][:3] + odd})
        wrong.to_csv(incoming(folder) / "c.csv", index=False)
        said.append(fails(folder, "run", "people"))
        known |= content(folder)
        (incoming(folder) / "c.csv").unlink()
    (incoming(folder) / "c.csv").write_text(table[:3].to_csv(index=False) + f"{table['mail'][9]},{table['pay'][9]}\n")
    said.append(fails(folder, "run", "people"))
    (incoming(folder) / "c.csv").unlink()
    (tmp_path / "said.txt").write_text("\n".join(said))
    found = finder.found(planted(table), tmp_path, [folder / "tests"])
    there = {path for path in found if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() in known}
    assert len(set().union(*(found[path] for path in there)) & {*table["mail"], *table["born"]}) == 2 * ROWS
    shown = {str(path.relative_to(tmp_path)): sorted(found[path])[:3] for path in found if path not in there}
    assert shown == {}
