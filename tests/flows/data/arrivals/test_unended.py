"""A text without a line end at its end: who looks says what it waits for, and a command waits a little."""

import os
import time

import pytest

from flows.data.arrivals import unended
from flows.project.environment import Project
from pipelines.ingest import Ingest

SOURCE = "data/incoming/pets"


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / SOURCE).mkdir(parents=True)
    return Project(tmp_path, tmp_path / ".ratchet", "", "")


def arrive(project, name: str, text: str, seconds_ago: float) -> None:
    path = project.root / SOURCE / name
    path.write_text(text)
    os.utime(path, (time.time() - seconds_ago,) * 2)


def test_only_texts_that_have_not_rested_wait(project):
    arrive(project, "new.csv", "a,b\n1,2", 3)
    arrive(project, "rested.csv", "a,b\n1,2", 30)
    arrive(project, "whole.csv", "a,b\n1,2\n", 0)
    arrive(project, "table.parquet", "x", 0)
    (words,) = unended.told(project, Ingest(source=SOURCE))
    assert words.startswith("new.csv is not picked up yet: its last line has no end")
    assert unended.told(project, Ingest(source=SOURCE, quiet=2.0)) == []
    assert len(unended.told(project, Ingest(source=SOURCE, quiet=100.0))) == 2


@pytest.mark.parametrize(
    "source", ["builtin:digits", "https://x.example/a.csv", "data/other.csv", "data/incoming/none"]
)
def test_other_sources_have_nothing_to_wait_for(project, source):
    assert unended.waiting(project, Ingest(source=source)) == {}


def test_a_command_waits_for_a_short_rest_and_says_so_and_not_for_a_long_one(project):
    arrive(project, "new.csv", "a,b\n1,2", 2)
    said: list[str] = []
    unended.wait(project, Ingest(source=SOURCE, quiet=3600.0), said.append)
    assert said == []
    unended.wait(project, Ingest(source=SOURCE, quiet=2.4), said.append)
    assert len(said) == 1
    assert "new.csv" in said[0]
    assert unended.waiting(project, Ingest(source=SOURCE, quiet=2.4)) == {}
