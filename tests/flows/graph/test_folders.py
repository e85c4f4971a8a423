"""The hash of a folder that a stage depends on: of every file in it, at any depth, and of nothing else."""

import pytest

from flows.graph import pipeline


@pytest.fixture
def package(tmp_path):
    inner = tmp_path / "package" / "inner"
    inner.mkdir(parents=True)
    (inner.parent / "a.py").write_text("1")
    (inner / "b.py").write_text("2")
    return inner.parent


@pytest.mark.parametrize("name", ["a.py", "inner/b.py", "inner/added.py"])
def test_an_edited_or_added_file_is_another_hash(package, name):
    before = pipeline._hash(package)
    (package / name).write_text("3")
    assert pipeline._hash(package) != before


def test_a_renamed_file_is_another_hash(package):
    before = pipeline._hash(package)
    (package / "a.py").rename(package / "c.py")
    assert pipeline._hash(package) != before


def test_byte_code_is_not_part_of_it(package):
    before = pipeline._hash(package)
    (package / "inner" / "__pycache__").mkdir()
    (package / "inner" / "__pycache__" / "b.pyc").write_text("4")
    assert pipeline._hash(package) == before
