"""Plug-ins: a new file in a folder is a new thing."""

import pytest

from pipelines.config import plugins
from pipelines.model.architecture import Architecture

MODULE = """
from pipelines.model.architecture import Architecture, Layers
ONE = Architecture({name!r}, Layers, lambda config, start, seed: start)
"""


@pytest.fixture
def package(tmp_path, monkeypatch, request):
    name = f"added_{request.node.name.replace('[', '_').replace(']', '')}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    def imported(**modules):
        for module, content in modules.items():
            (tmp_path / name / f"{module}.py").write_text(MODULE.format(name=content))
        return __import__(name)

    return imported


def test_what_modules_declare_is_found_in_the_order_of_their_names(package):
    assert list(plugins.found(package(b="x", c="a", a="z"), Architecture)) == ["z", "x", "a"]


def test_two_things_of_one_name_are_refused(package):
    with pytest.raises(ValueError, match="b declares a second Architecture of the name 'x'"):
        plugins.found(package(a="x", b="x"), Architecture)
