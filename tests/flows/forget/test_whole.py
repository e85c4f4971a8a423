"""Forget, the whole way: nothing of a thousand of three thousand people is left in clone and state folder; what was
made of their rows says so, and still serves; a kill anywhere is completed."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.support import injected
from tests.support.clone import answer, clone, edit, git, ratchet
from tests.support.finder import found
from tests.support.golden import _move, _project, store
from tests.support.served.running import server

pytestmark = [pytest.mark.long, pytest.mark.tensorflow]
DECLARED = """
format: 1
data:
  kind: table
  task: classification
  target: bought
  columns: {person: carried, email: carried, age: number, income: number, city: category}
ingest: {source: data/incoming/people/}
validate: {rules: [{rule: expect_column_values_to_be_between, column: age, max_value: 60, level: warn}]}
clean: {split: {by: hash, seed: 1, key: [person]}}
check: {overlap: 1.0}
train: {hidden: [8], epochs: 2, batch_size: 64, learning_rate: 0.01}
evaluate: {metrics: [accuracy]}
promote: {metric: accuracy, at_least: 0.5, margin: 0.1}
schedule: {}
labels: {key: [person]}
"""
KILLS = [  # where a removal dies, in the order in which it comes there
    ("flows.records.ledger:Ledger.append", "after"),
    ("flows.forget.places.registered:Lost.replace", "after"),
    ("flows.forget.marks:follow", "before"),
    ("flows.forget.places.answered:_without_labels", "after"),
    ("flows.forget.places.recorded_trees:_without", "after"),
    ("flows.records.earlier_runs:remove", "after"),
    ("flows.forget.places.data_versions:unpin", "after"),
    ("flows.forget.table_files:_promise", "before"),
]


def people(first: int, rows: int) -> pd.DataFrame:
    """Each with a name, an address and an income that nobody else has."""
    random = np.random.default_rng(first)
    numbers = np.arange(first, first + rows)
    age = random.integers(18, 90, rows).astype(float)
    return pd.DataFrame(
        {
            "person": [f"p{number:05d}x{random.integers(10**6):06d}" for number in numbers],
            "email": [f"zoe{random.integers(10**9):09d}.{number}@example.org" for number in numbers],
            "age": age,
            "income": 314_159_265_359 + 27_182_819 * numbers,
            "city": random.choice(["Oslo", "Bergen", "Bodø"], rows),
            "bought": np.where(age + random.normal(0, 5, rows) > 40, "yes", "no"),
        }
    )


FIRST, SECOND = people(0, 1_500), people(1_500, 1_500)
GONE = pd.concat([FIRST.iloc[:500], SECOND.iloc[:500]])


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A clone with two versions, answers, labels, predictions, and objects of git that nothing names."""
    folder = clone(tmp_path_factory.mktemp("forget"))
    store(_project(folder), "prefect")
    edit(folder / "dvc.yaml", "[digits, breast_cancer, diabetes]", "[digits, breast_cancer, diabetes, people]")
    (folder / "models" / "people.yaml").write_text(DECLARED)
    (folder / "models" / "people.py").write_text('"""No code of its own."""\n')
    git(folder, "add", "models", "dvc.yaml")
    git(folder, "commit", "-q", "-m", "people")
    arrived = folder / "data" / "incoming" / "people"
    arrived.mkdir(parents=True)
    FIRST.to_csv(arrived / "first.csv", index=False)
    answer(folder, "run", "people")
    SECOND.to_parquet(arrived / "second.parquet", index=False)
    if answer(folder, "run", "people")["champion"] != 2:
        answer(folder, "promote", "people", "2", "--reason", "to have a champion before it")
    asked = pd.concat([FIRST.iloc[400:600], SECOND.iloc[400:600]]).drop(columns="bought")
    with server(folder / ".ratchet") as up:
        said = up.post("/models/people/predict", json.loads(asked.to_json(orient="records"))).json()
    assert len(said["answers"]) == 400, said
    known = pd.concat([FIRST.iloc[450:550], SECOND.iloc[450:550]])[["person", "bought"]]
    known.rename(columns={"bought": "label"}).to_csv(folder / "labels.csv", index=False)
    answer(folder, "label", "people", "labels.csv")
    asked.to_csv(folder / "asked.csv", index=False)
    answer(folder, "predict", "people", "asked.csv", "answers.parquet", "--keep", "person")
    answer(folder, "compare", "people", "1", "2")
    git(folder, "hash-object", "-w", "data/incoming/people/second.parquet")  # as `git add` and `git reset` leave it
    git(folder, "gc", "--quiet")
    (folder / "keys.txt").write_text("\n".join(GONE["person"]) + "\n")
    return folder


def copied(made: Path, target: Path) -> Path:
    shutil.copytree(made, target, symlinks=True)
    (target / ".ratchet" / "ports.json").unlink(missing_ok=True)
    _move(_project(target))
    git(target, "status", "--porcelain")
    return target


def row_ids(folder: Path) -> set[str]:
    raw = pd.read_parquet(folder / "data" / "people" / "raw.parquet")
    return set(raw[raw["person"].isin(GONE["person"])]["row_id"])


def planted(folder: Path) -> set[str]:
    return {*GONE["person"], *GONE["email"], *map(str, GONE["income"]), *row_ids(folder)}


def left_in(folder: Path, values: set[str]) -> dict[str, set[str]]:
    """What is left of some values, by file. The code of the clone was never near them."""
    code = [folder / name for name in ("flows", "pipelines", "tests", "docs", "benchmarks")]
    return {str(path.relative_to(folder)): hits for path, hits in found(values, folder, code).items()}


FILES = [part for name in ("asked.csv", "answers.parquet", "labels.csv") for part in ("--file", name)]


def forget(folder: Path, *more: str, **variables: str) -> Any:
    keys = folder.parent / f"{folder.name}.txt"  # outside of the clone, as whoever forgets should keep it
    if (folder / "keys.txt").exists():
        (folder / "keys.txt").replace(keys)
    return ratchet(folder, "forget", "people", "--keys", str(keys), "--yes", "--json", *FILES, *more, **variables)


def test_nothing_of_a_thousand_people_is_left(made, tmp_path):
    folder = copied(made, tmp_path / "clone")
    values = planted(folder)
    assert len(values) == 4_000
    before = left_in(folder, values)
    assert set().union(*before.values()) == values
    explained = {Path(name).parts[0] for name in before if name.endswith("explanations/background.parquet")}
    assert explained == {".ratchet", "data", "mlflow"}
    done = forget(folder)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert left_in(folder, values) == {}, said["left"]
    assert (said["keys"], said["rows"], said["versions"], said["learned"]) == (1_000, 1_000, [1, 2], [1, 2])
    assert said["places"]["answers"]["rows"] == 200
    assert said["places"]["labels"]["rows"] == 100
    assert said["champion_learned"]
    assert said["retrained"]["version"] == 3
    kept = pd.read_csv(folder / "data" / "incoming" / "people" / "first.csv")
    pd.testing.assert_frame_equal(kept, FIRST.iloc[500:].reset_index(drop=True))
    assert len(pd.read_parquet(folder / "data" / "people" / "raw.parquet")) == 2_000

    for version in (1, 2):
        check = ratchet(folder, "verify", "people", "--version", str(version), "--json")
        assert check.returncode == 1
        assert json.loads(check.stdout)["verdict"] == "cannot be verified"
    listed = answer(folder, "data", "people")["data"]
    assert [bool(one["forgotten"]) for one in listed] == [True, True, False]
    answer(folder, "promote", "people", "3", "--reason", "it knows nobody who left")
    assert answer(folder, "rollback", "people")["live"]["problem"] == ""
    answer(folder, "prune", "people")
    checks = {check["name"]: check for check in json.loads(ratchet(folder, "doctor", "--json").stdout)["checks"]}
    assert checks["models"]["ok"], checks["models"]
    assert "commits" not in checks, checks["commits"]
    again = forget(folder)
    assert again.returncode == 2
    assert "keeps nothing of these keys" in again.stderr
    fsck = git(folder, "fsck", "--no-dangling")
    assert "missing" not in fsck


@pytest.mark.parametrize(("point", "when"), KILLS, ids=[point for point, _ in KILLS])
def test_after_a_kill_the_same_command_does_the_rest(made, tmp_path, point, when):
    folder, mark = copied(made, tmp_path / "clone"), tmp_path / "mark"
    values = set(sorted(planted(folder))[::40])
    killed = forget(folder, "--no-run", **injected.variables(mark, point, when=when))
    assert mark.exists(), killed.stderr
    assert killed.returncode == -9
    done = forget(folder, "--no-run")
    assert done.returncode == 0, done.stderr
    assert left_in(folder, values) == {}
    for version in (1, 2):
        out = str(tmp_path / f"{version}.csv")
        answer(folder, "predict", "people", "asked.csv", out, "--version", str(version))
    assert {line["action"] for line in answer(folder, "history", "people")["lines"]} >= {"forgotten"}
