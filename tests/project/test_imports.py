"""Imports: they point one way, and what is heavy is imported where it is used."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.world import ROOT

MODULES = sorted((ROOT / "pipelines").rglob("*.py"))
HEAVY = {"tensorflow", "keras", "great_expectations", "matplotlib", "sklearn", "scipy", "PIL", "pynvml"}
SLOW = HEAVY | {"mlflow", "prefect", "dvc", "codecarbon", "pandas", "numpy", "pyarrow", "pydantic", "jinja2"}


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """The packages that a file imports, and whether inside a function."""
    tree = ast.parse(path.read_text())
    inside = {
        node for function in ast.walk(tree) if isinstance(function, ast.FunctionDef) for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
        yield from ((name.split(".")[0], node in inside) for name in names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_stage_imports_a_heavy_library_inside_functions(path):
    assert [package for package, inside in imports(path) if package in HEAVY and not inside] == []


def test_state_is_passed_and_never_in_the_air():
    """No module holds a variable that a function changes, and no context variable is made."""
    found = []
    for path in sorted([*MODULES, *(ROOT / "flows").rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text())):
            names = node.names if isinstance(node, ast.Global) else []
            names += ["ContextVar"] * (isinstance(node, ast.Name) and node.id == "ContextVar")
            found += [(path.name, name) for name in names]
    assert set(found) == {("metering.py", "_now")}


def test_every_heavy_library_is_imported_somewhere():
    assert {package for path in MODULES for package, _ in imports(path)} >= HEAVY


@pytest.mark.parametrize(
    ("code", "slow"),
    [
        pytest.param("import flows.cli.app", SLOW, id="the command line"),
        pytest.param(
            "import pipelines.model_file as file; file.check('digits')",
            HEAVY | {"mlflow", "prefect", "dvc", "flows"},
            id="a model's YAML",
        ),
    ],
)
def test_what_answers_at_once_loads_nothing_heavy(code, slow):
    """`ratchet --help`, `status` and `plan`."""
    code += "; import sys, json; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)).isdisjoint(slow)


def test_the_declared_contracts_hold():
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout
