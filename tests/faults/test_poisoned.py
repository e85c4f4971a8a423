"""Poisoned: objects of DVC's cache are changed between two whole runs; none is trained on, tested with or published."""

import hashlib
from pathlib import Path

import pandas as pd
import pytest

from tests.support.clone import answer, clone, edit, ratchet

MODEL = "breast_cancer"
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = clone(tmp_path_factory.mktemp("poisoned"))
    assert answer(folder, "run", MODEL)["version"] == 1
    return folder


def kept(project: Path, name: str) -> Path:
    """The object of DVC's cache for an output as it lies there."""
    digest = hashlib.md5((project / "data" / MODEL / name).read_bytes()).hexdigest()
    return project / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]


def turned(path: Path) -> None:
    """All labels the other way round."""
    table = pd.read_parquet(path)
    (target,) = [name for name in table if table[name].nunique() == 2]
    first, second = sorted(table[target].unique())
    table[target] = table[target].map({first: second, second: first})
    table.to_parquet(path, index=False)


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "change"), [("train.parquet", turned), ("test.parquet", turned), ("raw.parquet", flipped)]
)
def test_a_changed_object_is_dropped_named_and_made_again(project, name, change):
    path, right = project / "data" / MODEL / name, (project / "data" / MODEL / name).read_bytes()
    target = kept(project, name)
    target.chmod(0o644)
    change(target)
    assert target.read_bytes() != right
    target.chmod(0o444)
    path.unlink()
    lock = (project / "dvc.lock").read_text()
    done = ratchet(project, "run", MODEL)
    assert done.returncode == 0, done.stderr
    assert f"DVC's cache held wrong content for data/{MODEL}/{name}" in " ".join((done.stdout + done.stderr).split())
    assert path.read_bytes() == target.read_bytes() == right
    assert (project / "dvc.lock").read_text() == lock


def test_a_new_training_is_of_what_was_recorded(project):
    """The labels are turned, the settings changed: as in the attack, in which a model of 5 % was published."""
    path = project / "data" / MODEL / "train.parquet"
    right, target = path.read_bytes(), kept(project, "train.parquet")
    target.chmod(0o644)
    turned(target)
    target.chmod(0o444)
    path.unlink()
    edit(project / "models" / f"{MODEL}.yaml", "epochs: 25", "epochs: 24")
    found = answer(project, "run", MODEL)
    assert found["metrics"]["accuracy"] > 0.9
    assert path.read_bytes() == right
    assert found["version"] == 2
    assert hashlib.md5(right).hexdigest() in (project / "dvc.lock").read_text()
