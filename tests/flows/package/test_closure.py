"""The closure: what a program imports, wherever it does, and nothing else."""

from pathlib import Path

import pytest

from flows.package import closure

SOURCES = {
    "app/__init__.py": "",
    "app/start.py": "import json\nimport numpy as np\nfrom . import near\nfrom app.deep import inner\n",
    "app/near.py": "def later():\n    from other.tools import saw\n    import PIL.Image\n    return saw\n",
    "app/deep/__init__.py": "",
    "app/deep/inner.py": "from ..near import later\nCOMMAND = ['-m', 'app.child']\nNO = 'app.nowhere, app.spare'\n",
    "app/child.py": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pandas\n    from app.spare import thing\n"
    ),
    "app/spare.py": "thing = 1\n",
    "other/__init__.py": "",
    "other/tools.py": "import app.heavy\nsaw = 1\n",
    "app/heavy.py": "import tensorflow\n",
}


@pytest.fixture
def root(tmp_path) -> Path:
    for name, text in SOURCES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_module_is_found_wherever_it_is_imported_or_named(root):
    found = closure.of(root, "app.start")
    assert {str(path) for path in found.files} == SOURCES.keys() - {"app/spare.py"}
    assert found.libraries == {"numpy", "PIL", "tensorflow"}


def test_what_is_left_out_is_not_followed(root):
    found = closure.of(root, "app.start", leave=["app.heavy"])
    assert Path("app/heavy.py") not in found.files
    assert "tensorflow" not in found.libraries


def test_a_module_that_is_not_there_is_an_error(root):
    with pytest.raises(FileNotFoundError, match=r"no module app\.absent"):
        closure.of(root, "app.absent")
