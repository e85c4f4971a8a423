"""A project whose model `shop` has a champion, version 7."""

from dataclasses import asdict, replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import create_engine, insert

from flows.monitoring.live.promise import Champion, Promise
from flows.monitoring.looks import promised
from flows.monitoring.looks.look import Look
from flows.project import private_files
from flows.project.environment import Project
from flows.records import ledger
from flows.records.ledger import LINES, Line
from pipelines.sections.promote import Promote
from tests.support.served import labelled

SINCE = datetime(2026, 11, 1, tzinfo=UTC)
RULES = {"metric": "accuracy", "at_least": 0.5, "margin": 0.01}


@pytest.fixture
def project(tmp_path):
    found = Project(tmp_path, tmp_path / "state", "", "", f"sqlite:///{tmp_path}/ledger.db")
    (found.state / "locks").mkdir(parents=True)
    ledger.of(found).lines("shop")  # makes the table
    at = {"at": SINCE.isoformat(), "actor": "anna"}
    line = Line("shop", 1, "accepted", 7, None, 7, 7, "first", '{"model_hash": "m"}', **at).sealed()
    with create_engine(found.ledger).begin() as connection:
        connection.execute(insert(LINES).values(**asdict(line)))
    return found


@pytest.fixture
def declared():
    found = labelled.declared(promote=RULES)
    return replace(found, sections=found.sections | {"promote": Promote.model_validate(RULES)})


@pytest.fixture
def promise(project, declared):
    """What the gate promised, as it is kept once it was read from MLflow."""

    def keep(version=7, value=0.95):
        at = Look(project, declared, SINCE, ledger.of(project).lines("shop"))
        kept = Champion(version, SINCE, Promise(value, value - 0.02, value + 0.02, 1000, 0.01))
        path = project.state / "watch" / "shop" / "promise.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        private_files.write(path, {"format": 1, "key": promised._key(at), "champion": kept.content()})

    return keep
