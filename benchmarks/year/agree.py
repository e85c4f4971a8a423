"""What must agree at the end: log, labels, rows of the source, ledger, registry, and what is live."""

import json
from collections import Counter
from datetime import date
from typing import Any

import pandas as pd
from mlflow.tracking import MlflowClient

from flows.labels import counts
from flows.promotion import champion_alias
from flows.records import ledger
from flows.records.champion_state import stand
from flows.serving.log.reading import AnsweredRows
from flows.tracking import mlflow_runs
from pipelines import model_file
from year.city import MODEL, City


def answered(city: City) -> pd.DataFrame:
    """Every row of the log: id, at, version, prediction and the hour."""
    with AnsweredRows(city.state / "answers", MODEL, date(2000, 1, 1), date(2100, 1, 1)) as found:
        assert found.torn == 0, f"{found.torn} torn lines"
        tables = [batch.to_pandas() for batch in found.batches()]
    table = pd.concat(tables, ignore_index=True)
    table["when"] = [row["when"] for row in table["row"]]
    return table.drop(columns="row")


def problems(city: City, told: list[dict[str, Any]], labelled: set[str]) -> list[str]:
    """What does not agree. told: the answers that a caller got, with `id`, `when` and `version`. labelled: the hours
    whose label was taken."""
    log, store = answered(city), mlflow_runs.client(city.project)
    return [
        *_of_log(log, told),
        *_of_source(city, labelled),
        *_of_labels(city, labelled),
        *_of_ledger(city, store, log),
    ]


def _of_log(log: pd.DataFrame, told: list[dict[str, Any]]) -> list[str]:
    times = Counter(log["id"])
    lost = [one["id"] for one in told if not times[one["id"]]]
    twice = [name for name, count in times.items() if count > 1]
    versions = dict(zip(log["id"], log["version"], strict=True))
    other = [one["id"] for one in told if versions.get(one["id"], one["version"]) != one["version"]]
    found = {"answers are not in the log": lost, "answers are twice in the log": twice, "have another version": other}
    return [f"{len(names)} {what}" for what, names in found.items() if names]


def _of_source(city: City, labelled: set[str]) -> list[str]:
    """Each event counts once, and none is made up."""
    rows = pd.concat([pd.read_parquet(path) for path in sorted((city.root / "data" / MODEL).glob("t*n.parquet"))])
    splits = [pd.read_parquet(city.root / "data" / MODEL / f"{name}.parquet") for name in ("validation", "test")]
    when = pd.concat([rows, *splits])["when"].astype(str)
    first = set(city.hours["when"]) - labelled
    twice = int(when.duplicated().sum())
    strange = len({one[:13] for one in when} - {one[:13] for one in first | labelled})
    told = [f"{twice} events are twice in the splits"] if twice else []
    return told + ([f"{strange} events are in the splits and nowhere else"] if strange else [])


def _of_labels(city: City, labelled: set[str]) -> list[str]:
    found = counts.counts(city.state, model_file.check(MODEL), city.now())
    return [] if found.labels == len(labelled) else [f"{found.labels} labels are kept of {len(labelled)}"]


def _of_ledger(city: City, store: MlflowClient, log: pd.DataFrame) -> list[str]:
    lines, problem = champion_alias.compare(store, ledger.of(city.project), MODEL)
    standing, found = stand(lines), [problem] if problem else []
    live = json.loads((city.state / "serving" / MODEL / "live.json").read_text())
    if live["version"] != standing.champion:
        found.append(f"version {live['version']} is live, and {standing.champion} is champion")
    registered = {int(one.version) for one in store.search_model_versions(f"name = '{MODEL}'")}
    if gone := {line.version for line in lines if line.version} - registered:
        found.append(f"versions {sorted(gone)} of the ledger are not registered")
    champions = {line.to_version for line in lines if line.to_version}
    if others := set(log["version"]) - champions:
        found.append(f"versions {sorted(others)} have answered, and were never champion")
    return found
