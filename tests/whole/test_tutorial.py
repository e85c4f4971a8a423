"""The README's ten lines about one's own data, typed as they stand there, and the tutorial's own code."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.project.test_documents import README, fences, section
from tests.support.clone import ROOT, answer, clone, environment, git, ratchet

LINES = fences(section(README, "Your own data"), "sh")[0].strip().splitlines()
TUTORIAL = (ROOT / "docs" / "tutorials" / "first-model.md").read_text(encoding="utf-8")


def customers(rows: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    age, months = random.integers(18, 90, rows), random.integers(1, 120, rows)
    plan = random.choice(["basic", "plus", ""], rows)
    leaves = random.normal(0, 15, rows) + months + 20 * (plan == "plus") < 50
    return pd.DataFrame(
        {"customer": [f"C{seed}-{i:06d}" for i in range(rows)], "age": age, "months": months, "plan": plan}
    ).assign(churned=np.where(leaves, "yes", "no"))


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A clone with the files that the tutorial names, and a virtual environment in which `ratchet` is found."""
    folder = clone(tmp_path_factory.mktemp("tutorial"))
    customers(800, 1).to_csv(folder / "customers.csv", index=False)
    customers(300, 2).to_csv(folder / "more.csv", index=False)
    yield folder
    ratchet(folder, "down")


@pytest.mark.long
def test_the_ten_lines_work_as_they_stand(project):
    assert len(LINES) == 10
    identity = {f"GIT_{who}_{what}": "test@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    variables = environment(**identity) | {"PYTHONPATH": str(project)}
    said = {}
    for line in LINES:
        done = subprocess.run(["bash", "-c", line], cwd=project, env=variables, capture_output=True, text=True)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        said[line.split("#")[0].strip()] = done.stdout
    assert "customer: number" not in said["cat models/churn.yaml"]
    assert "an identifier" in said["cat models/churn.yaml"]
    assert "churn: accepted" in said["ratchet run churn"] or "churn: undecided" in said["ratchet run churn"]
    assert said["ratchet history churn"].count("gate") >= 2
    assert answer(project, "data", "churn")["data"][-1]["rows"] == 1100
    assert "127.0.0.1" in said["ratchet up"]


@pytest.mark.long
def test_the_models_own_code_works_as_it_stands(project):
    answer(project, "new", "churn", "--data", "customers.csv", "--target", "churned", "--force")
    (project / "models" / "churn.py").write_text(fences(TUTORIAL, "python")[0])
    path = project / "models" / "churn.yaml"
    path.write_text(
        path.read_text()
        .replace("train: {", "train: {own: {width: 32}, ")
        .replace("train:\n", "train:\n  own: {width: 32}\n")
    )
    git(project, "commit", "-qam", "code of its own")
    found = answer(project, "run", "churn")
    assert found["decision"] in ("accepted", "undecided", "rejected")
    assert '"silu"' in (project / "data/churn/model/architecture.json").read_text()
    assert os.path.getsize(project / "data/churn/clean.json")
