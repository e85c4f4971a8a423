"""What the registry says of all models, read from the tables of MLflow's own store in one look.

MLflow's client would need a request for each version. Only what is read here depends on the names of these tables,
which MLflow has kept since its first registry. A store elsewhere (RATCHET_TRACKING_URI) is not read.
"""

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field

from flows.project.environment import Project

TAGS = {"ratchet.metrics": "metrics", "ratchet.verified": "verdict", "ratchet.verified_at": "verified_at"}
QUERIES = (
    "SELECT name, value FROM registered_model_tags WHERE key = 'ratchet.ledger'",
    "SELECT name, version FROM registered_model_aliases WHERE alias = 'champion'",
    "SELECT name, version, key, value FROM model_version_tags WHERE key IN (?, ?, ?)",
)  # in this order: what has followed a line is asked before the alias (flows/promotion/champion_alias.py)


@dataclass(frozen=True)
class Registered:
    """Of one model. followed: the tag that names the line that the alias followed; alias: the version of `champion`;
    metrics: of each version on its test rows; verified: of each version that was, verdict and instant."""

    followed: str = ""
    alias: int | None = None
    metrics: dict[int, dict[str, float]] = field(default_factory=dict)
    verified: dict[int, tuple[str, str]] = field(default_factory=dict)


def read(project: Project) -> dict[str, Registered] | None:
    """By name; None where it cannot be looked at: the store is elsewhere, not there yet, or in use."""
    if project.tracking or not project.mlflow_database.exists():
        return None
    place = f"{project.mlflow_database.as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(place, uri=True, timeout=1)) as database:
            followed = dict(database.execute(QUERIES[0]).fetchall())
            aliases = dict(database.execute(QUERIES[1]).fetchall())
            tags = database.execute(QUERIES[2], tuple(TAGS)).fetchall()
    except sqlite3.Error:
        return None
    told: dict[str, dict[str, dict[int, str]]] = {}
    for name, version, key, value in tags:
        told.setdefault(name, {}).setdefault(TAGS[key], {})[int(version)] = value
    return {name: _of(name, followed, aliases, told.get(name, {})) for name in {*followed, *aliases, *told}}


def _of(name: str, followed: dict[str, str], aliases: dict[str, int], tags: dict[str, dict[int, str]]) -> Registered:
    alias, at = aliases.get(name), tags.get("verified_at", {})
    return Registered(
        followed.get(name, ""),
        None if alias is None else int(alias),
        {version: _metrics(text) for version, text in tags.get("metrics", {}).items()},
        {version: (verdict, at.get(version, "")) for version, verdict in tags.get("verdict", {}).items()},
    )


def _metrics(text: str) -> dict[str, float]:
    try:
        return {name: float(value) for name, value in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError):  # somebody changed the tag
        return {}
