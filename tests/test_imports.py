"""Imports: they point one way, and what is heavy is imported where it is used."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world import ROOT

MODULES = sorted((ROOT / "pipelines").glob("*.py"))
HEAVY = {  # the modules that may import a library, and only inside functions
    "tensorflow": {"accumulation", "device", "feed", "fused", "loop", "observers", "predictor", "replicas", "traced"},
    "keras": {
        "accumulation",
        "checkpoints",
        "device",
        "features",
        "fused",
        "networks",
        "objective",
        "observers",
        "own",
        "pace",
        "predictor",
        "quantiles",
        "temporal",
        "train",
    },
    "great_expectations": {"expectations"},
    "matplotlib": {"evaluate"},
    "sklearn": {"check", "evaluate", "metrics", "sources"},
    "scipy": {"check", "profile"},
    "PIL": {"images"},
    "pynvml": {"gpus"},
}
NEVER = {"mlflow", "prefect", "dvc", "flows", "tests"}


FLOWS = {  # the modules of flows/ that may import a library
    "mlflow": {
        "discard",
        "doctor",
        "figures",
        "inventory",
        "load",
        "registry",
        "sampler",
        "served",
        "spent",
        "stores",
        "tracking",
        "trial",
    },
    "prefect": {
        "abandoned",
        "artifacts",
        "asked",
        "commands",
        "hooks",
        "nightly",
        "own_runs",
        "prefect_login",
        "prefect_server",
        "retrain",
        "schedule",
        "steps",
    },
    "dvc": {"content", "graph"},
    "codecarbon": {"energy"},
    "tensorflow": {"served"},
    "keras": set(),
    "great_expectations": set(),
}


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


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_heavy_library_is_imported_inside_functions_of_its_modules(path):
    for package, inside in imports(path):
        assert package not in NEVER
        if package in HEAVY:
            assert inside, f"{path.name} imports {package} at its top"
            assert path.stem in HEAVY[package]


def test_each_library_has_its_modules_in_flows():
    paths = sorted((ROOT / "flows").glob("*.py"))
    found = {package: {path.stem for path in paths if package in dict(imports(path))} for package in FLOWS}
    assert found == FLOWS


def test_the_command_line_answers_without_loading_anything_heavy():
    code = "import sys, json, flows.cli; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    heavy = {*HEAVY, *FLOWS, "pandas", "numpy", "pyarrow", "pydantic"}
    assert set(json.loads(done.stdout)).isdisjoint(heavy)


def test_each_module_named_here_does_import_its_library():
    found = {package: {path.stem for path in MODULES if package in dict(imports(path))} for package in HEAVY}
    assert found == HEAVY


def test_reading_a_declaration_loads_no_heavy_library():
    """`ratchet --help`, `status` and `plan` read declarations."""
    code = "import sys, json, pipelines.declaration as d; d.check('digits'); print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)).isdisjoint({*HEAVY, *NEVER})


def test_the_declared_contracts_hold():
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout
