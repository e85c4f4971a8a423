"""A model of people, and rows of it."""

from pathlib import Path
from typing import Any

import pytest

from flows.forget import source_rows, wanted
from flows.forget.source_rows import Held
from flows.forget.wanted import Wanted
from flows.project.environment import Project
from pipelines import model_file
from pipelines.model_file import Declaration

SECTIONS: dict[str, Any] = {
    "format": 1,
    "data": {
        "kind": "table",
        "task": "classification",
        "target": "bought",
        "columns": {"person": "carried", "number": "number", "age": "number", "city": "category"},
    },
    "ingest": {"source": "data/incoming/people/", "reader": 2},
    "validate": {"rules": []},
    "clean": {"split": {"by": "hash", "seed": 1, "key": ["person"]}},
    "check": {},
    "train": {"hidden": [4]},
    "evaluate": {"metrics": ["accuracy"]},
    "promote": {"metric": "accuracy", "at_least": 0.5},
    "schedule": {},
}


@pytest.fixture
def world(tmp_path, monkeypatch) -> Project:
    """A project without anything in it, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "incoming" / "people").mkdir(parents=True)
    (tmp_path / ".ratchet").mkdir()
    return Project(root=tmp_path, state=tmp_path / ".ratchet", tracking="", prefect="")


@pytest.fixture
def declared(world) -> Declaration:
    return declare()


def declare(**sections: dict[str, Any]) -> Declaration:
    """The model, with further keys in its sections."""
    whole = {name: {**content, **sections.get(name, {})} for name, content in SECTIONS.items() if name != "format"}
    return model_file.of("people", {"format": 1, **whole, **{k: v for k, v in sections.items() if k not in whole}})


def held_of(world: Project, declared: Declaration, *keys: str, columns: tuple[str, ...] = ()) -> tuple[Wanted, Held]:
    who = wanted.of(declared, keys, columns)
    return who, source_rows.look(world, declared, who, [])


HEADER = "person,number,age,city,bought"


def arrive(world: Project, name: str, text: str) -> Path:
    path = world.root / "data" / "incoming" / "people" / name
    path.write_bytes(text.encode())
    return path
