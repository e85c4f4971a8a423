"""Finished projects: clones in which models have been run, made once per source tree, to be copied by tests.

They lie in the temporary folder of the system under a hash of all that they are made from: a change of one line makes
them anew. RATCHET_TEST_ANEW=1 makes them anew once per call of pytest, as a measure of time or of coverage wants.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pandas as pd
import pytest

from flows.project import databases
from flows.project.environment import Project
from tests.support.clone import ROOT, answer, clone, edit, files, git
from tests.support.world import STAGES, World, pets, tiles

MODELS = ["digits", "breast_cancer", "diabetes"]
NOT_USED = ("docs/", "benchmarks/", "tests/", "Makefile")  # by a run, but for tests/support/

DECLARED = """
format: 1
data: {kind: table, task: classification, target: bought, columns: {age: number, city: category}}
ingest: {source: data/incoming/shop/sales.csv}
validate: {rules: [{rule: expect_column_values_to_be_between, column: age, min_value: 0, max_value: 120}]}
clean: {split: {by: hash, seed: 1}}
check: {overlap: 1.0}
train: {hidden: [8], epochs: 3, batch_size: 16, learning_rate: 0.01}
evaluate: {metrics: [accuracy]}
promote: {metric: accuracy, at_least: 0.5}
schedule: {}
"""


def sales(rows: int = 300) -> pd.DataFrame:
    """Whoever is over forty buys, mostly; a few ages and cities are missing."""
    random = np.random.default_rng(0)
    age = random.integers(18, 90, rows).astype(float)
    bought = np.where(age + random.normal(0, 5, rows) > 40, "yes", "no")
    city = random.choice(["Oslo", "Bergen", ""], rows)
    age[::50] = np.nan
    return pd.DataFrame({"age": age, "city": city, "bought": bought})


def declare_shop(folder: Path) -> None:
    """The model `shop`, and its file of rows, in a clone."""
    edit(folder / "dvc.yaml", "[digits, breast_cancer, diabetes]", "[digits, breast_cancer, diabetes, shop]")
    (folder / "models" / "shop.yaml").write_text(DECLARED)
    (folder / "models" / "shop.py").write_text('"""No code of its own."""\n')
    incoming(folder).parent.mkdir(parents=True)
    sales().to_csv(incoming(folder), index=False)


def incoming(folder: Path) -> Path:
    return folder / "data" / "incoming" / "shop" / "sales.csv"


def _three(folder: Path) -> dict[str, Any]:
    """The first run of each model that comes with the repository. Nothing of git's is changed."""
    store(_project(clone(folder)), "prefect")
    answer(folder, "up", "--no-schedule", "--no-serve")
    found = {model: answer(folder, "run", model) for model in MODELS}
    answer(folder, "down")
    return found


def _shop(folder: Path) -> dict[str, Any]:
    """The first run of `shop`, a table of one's own, which git does not know yet."""
    declare_shop(clone(folder))
    store(_project(folder), "prefect")
    return {"shop": answer(folder, "run", "shop")}


def _stages(folder: Path) -> dict[str, Any]:
    """All stages of three small models, in this process, which has set up TensorFlow for them."""
    world = World(folder)
    world.declare()
    world.declare_weights()
    world.declare_tiles()
    with chdir(folder):
        world.pin(pets())
        world.pin(pets(), model="weights")
        world.pin(tiles(), "rows.parquet", model="tiles")
        for model in ("pets", "weights", "tiles"):
            world.run(*STAGES, model=model)
    return {}


def _mlflow(folder: Path) -> dict[str, Any]:
    """MLflow's database before anything is in it."""
    (folder / ".ratchet" / "locks").mkdir(parents=True)
    databases.ensure_mlflow(_project(folder))
    return {}


def _prefect(folder: Path) -> dict[str, Any]:
    """Prefect's database before anything is in it."""
    project = _project(folder)
    (project.state / "locks").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(project.prefect_home))
        databases.make_prefect(project, _migrated)
    return {}


def _migrated(url: str) -> None:
    command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"]
    subprocess.run(command, env=os.environ | {databases.DATABASE: url}, capture_output=True, check=True)


RECIPES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "three": _three,
    "shop": _shop,
    "stages": _stages,
    "mlflow": _mlflow,
    "prefect": _prefect,
}


def three(target: Path) -> dict[str, Any]:
    """Copy the project of MODELS to `target`; returns what the first run of each has answered."""
    return _copied("three", target)


def shop(target: Path) -> dict[str, Any]:
    """Copy the project of `shop` to `target`; returns what its first run has answered."""
    return dict(_copied("shop", target)["shop"])


def stages(target: Path) -> None:
    """Copy a folder in which all stages have run for `pets`, `weights` and `tiles`. TensorFlow has to be set up."""
    with _made("stages") as made:
        shutil.copytree(made / "project", target, dirs_exist_ok=True)


def store(project: Project, *others: str) -> None:
    """Give a project the database of MLflow's server, and those of others: to migrate them takes fifteen seconds."""
    for name in ("mlflow", *others):
        database(name, databases.of_server(project, name))
    _move(project)


def database(name: str, target: Path) -> None:
    """Copy the empty database of the server `mlflow` or `prefect`."""
    with _made(name) as made:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(databases.of_server(_project(made / "project"), name), target)


def _project(folder: Path) -> Project:
    return Project(folder, folder / ".ratchet", "", "")


def _move(project: Project) -> None:
    """As `ratchet doctor --fix` does it after a folder was copied."""
    from flows.inspect import doctor

    doctor._move_locations(project)


def _copied(name: str, target: Path) -> dict[str, Any]:
    with _made(name) as made:
        shutil.copytree(made / "project", target, symlinks=True, dirs_exist_ok=True)
        answers = json.loads((made / "answers.json").read_text())
    (target / ".ratchet" / "ports.json").unlink(missing_ok=True)  # two copies may be up at a time
    _move(_project(target))
    git(target, "status", "--porcelain")  # the index knows files by their inodes
    return dict(answers)


@contextmanager
def _made(name: str) -> Iterator[Path]:
    """The folder of a finished project, while it is held: one worker makes it, and others wait. The answers are written
    last."""
    tree = hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]
    # not named as a scratch folder: a run removes those whose process is gone
    place = Path(tempfile.gettempdir()) / f"tests-of-ratchet-{os.getuid()}-{tree}"
    place.mkdir(mode=0o700, exist_ok=True)
    assert place.stat().st_uid == os.getuid(), f"{place} belongs to somebody else"
    folder = place / f"{name}-{_key(name)}"
    with filelock.FileLock(place / f"{name}.lock"):
        if not (folder / "answers.json").exists():
            for old in place.glob(f"{name}-*"):  # of an earlier state of the tree
                shutil.rmtree(old)
            (folder / "project").mkdir(parents=True)
            found = RECIPES[name](folder / "project")
            (folder / "answers.json").write_text(json.dumps(found))
        yield folder


@cache
def _key(name: str) -> str:
    """A hash of what a project depends on: the files that git would take, the environment, the processor."""
    names = [path for path in files() if not path.endswith(".md")]
    used = [path for path in names if path.startswith("tests/support/") or not path.startswith(NOT_USED)]
    if name in ("mlflow", "prefect"):  # a database is of the packages
        used = ["requirements.lock", "flows/project/databases.py", "tests/support/golden.py"]
    known = {name: hashlib.sha256((ROOT / name).read_bytes()).hexdigest() for name in sorted(used)}
    anew = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid())) if os.environ.get("RATCHET_TEST_ANEW") else ""
    about = [known, str(ROOT), sys.version, sys.prefix, _processor(), anew]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]


def _processor() -> str:
    """What the kernel says of the first core, and how many there are. TensorFlow is not asked: to import it here would
    be too early for the tests that set it up."""
    first = Path("/proc/cpuinfo").read_text().partition("\n\n")[0].splitlines()
    return "\n".join([line for line in first if "MHz" not in line] + [str(os.cpu_count())])
