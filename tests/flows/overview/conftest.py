"""Projects for the overview: a real ledger, the real database of MLflow's store, ticks and watches as they are kept."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from flows.project.environment import Project
from flows.records import attempts, ledger
from flows.records.attempts import Tick
from flows.records.ledger import Line
from flows.web.watch import kept
from tests.support import golden

NOW = datetime.now(UTC)
WATCHED = {
    "at": NOW.isoformat(), "day": "2026-11-29", "champion": 1, "answers": {"days": [{"day": "2026-11-29", "rows": 9}]},
    "labels": {"share": 0.5}, "events": [], "problems": [],
    "quality": {"said": "0.95 on 900 rows", "value": 0.95, "low": 0.93, "high": 0.97, "worse": False,
                "promise": {"low": 0.94}},
    "drift": {"columns": [{"name": "weight", "alarm": False}, {"name": "age", "alarm": False}]},
}  # fmt: skip


class Planted:
    """A project in which models stand as a test wants them."""

    def __init__(self, world):
        self.world = world
        (world.root / "models" / "pets.yaml").unlink()
        self.project = Project(world.root, world.root / ".ratchet", "", "")
        for folder in (self.project.state / "locks", world.root / "mlflow"):
            folder.mkdir(parents=True)
        (world.root / "dvc.yaml").touch()
        golden.store(self.project)

    def declare(self, model, **changes):
        self.world.declare(model, **{"schedule": {}, **changes})

    def line(self, model, action, version, champion=None, **facts):
        """The next line of the ledger, and the alias follows as it does in a run."""
        book = ledger.of(self.project)
        before = (book.lines(model) or [None])[-1]
        now = version if action in ("accepted", "promoted") else champion
        reason = facts.pop("reason", f"version {version} is {action}")
        entry = Line(model, 0, action, version, champion, now, now, reason, json.dumps({"looks": [], **facts}))
        written = book.append(before, replace(entry, actor="gate"))
        self.sql("INSERT OR IGNORE INTO registered_models (name) VALUES (?)", model)
        follow = "INSERT OR REPLACE INTO registered_model_tags (key, value, name) VALUES ('ratchet.ledger', ?, ?)"
        self.sql(follow, f"{written.sequence} {written.hash}", model)
        if now:
            self.alias(model, now)
        return written

    def alias(self, model, version):
        text = "INSERT OR REPLACE INTO registered_model_aliases (alias, version, name) VALUES ('champion', ?, ?)"
        self.sql(text, version, model)

    def tag(self, model, version, **tags):
        self.sql("INSERT OR IGNORE INTO registered_models (name) VALUES (?)", model)
        self.sql("INSERT OR IGNORE INTO model_versions (name, version) VALUES (?, ?)", model, version)
        for key, value in tags.items():
            text = "INSERT OR REPLACE INTO model_version_tags (key, value, name, version) VALUES (?, ?, ?, ?)"
            self.sql(text, f"ratchet.{key}", value, model, version)

    def sql(self, text, *values):
        with closing(sqlite3.connect(self.project.mlflow_database)) as database, database:
            database.execute(text, values)

    def sound(self, model, **changes):
        """A model of which nothing is wrong: it is champion, watched, labelled and was made again."""
        self.declare(model, **changes)
        self.line(model, "accepted", 1, metric="accuracy", measured={"value": 0.96, "low": 0.94, "high": 0.97})
        self.tag(model, 1, metrics='{"accuracy": 0.96}', verified="identical", verified_at=NOW.isoformat())
        self.watched(model)

    def watched(self, model, **changes):
        kept.write(self.project.state, {**WATCHED, "model": model, **changes})

    def tick(self, model, outcome, reason=""):
        attempts.write(self.project, Tick(model, outcome, reason, "schedule", "run", "/tree"))

    def troubled(self):
        """The troubles that a model can have, one each, in a project where another is sound."""
        for name in ("refused", "undecided", "moved", "drifted", "worse", "unmade", "sound"):
            self.sound(name)
        self.sound("dead", schedule={"cron": "0 3 * * *"})
        content = {"format": 1, "pid": 1, "branch": "main", "models": {"dead": "0 3 * * * UTC"}}
        (self.project.state / "schedule.json").write_text(json.dumps(content))  # its process was killed
        self.tick("refused", "refused", "weight: 31 of 200 rows are below 0")
        self.line("undecided", "undecided", 2, champion=1, rows_missing=455, reason="too few rows to tell")
        self.sql("UPDATE registered_model_aliases SET version = 7 WHERE name = 'moved'")
        drift = {"columns": [{"name": "weight", "alarm": True}, {"name": "age", "alarm": False}]}
        self.watched("drifted", drift=drift)
        quality = {"said": "accuracy is 0.81, and 0.94 was promised", "value": 0.81, "low": 0.78, "high": 0.84}
        self.watched("worse", quality={**quality, "worse": True, "promise": {"low": 0.94}})
        self.tag("unmade", 1, verified="different", verified_at=(NOW - timedelta(days=2)).isoformat())


@pytest.fixture
def planted(world):
    return Planted(world)
