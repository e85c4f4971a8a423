"""A file is written whole: what fails leaves the old one, and nothing lies beside what was written."""

import pytest

from flows.project import whole_files


def test_a_file_is_made_and_replaced_and_nothing_stays_beside_it(tmp_path):
    path = tmp_path / "pin.json"
    for text in ("{}", "Zoë\n"):
        whole_files.write(path, text)
        assert path.read_text(encoding="utf-8") == text
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "pin.json"
    whole_files.write(path, "old")
    with pytest.raises(UnicodeEncodeError):
        whole_files.write(path, "\udce9")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
