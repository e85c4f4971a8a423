"""A project whose model `shop` has a champion, version 7."""

from dataclasses import replace
from functools import partial

import pytest

from flows.project.environment import Project
from pipelines.sections.promote import Promote
from tests.support.served import championed, labelled

RULES = {"metric": "accuracy", "at_least": 0.5, "margin": 0.01}


@pytest.fixture
def project(tmp_path):
    found = Project(tmp_path, tmp_path / "state", "", "", f"sqlite:///{tmp_path}/ledger.db")
    (found.state / "locks").mkdir(parents=True)
    championed.crowned(found)
    return found


@pytest.fixture
def declared():
    found = labelled.declared(promote=RULES)
    return replace(found, sections=found.sections | {"promote": Promote.model_validate(RULES)})


@pytest.fixture
def promise(project, declared):
    """What the gate promised, as it is kept once it was read from MLflow."""
    return partial(championed.promise, project, declared)
