"""Data: the versions of a model's data, as its published runs record them; or two of them side by side.

The name of a data version is its `ratchet.data_hash`, or the beginning of it. Nothing is written.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from ruamel.yaml import YAML

from flows.data import diff
from flows.graph import lockfile, pipeline
from flows.project import scratch
from flows.project.environment import Project
from flows.registry import definition, model_registry
from flows.registry.model_registry import ModelVersion
from flows.tracking import mlflow_runs
from flows.tracking.mlflow_runs import MlflowClient, Run
from pipelines.config import settings
from pipelines.config.data import Data
from pipelines.errors import RequestError

LEAST = 4  # digits of a hash that name a data version
FORGOTTEN = "ratchet.forgotten"  # tag of a run: since when its data lack rows of a person
MOST_RUNS = 50_000  # MLflow's limit for one answer


@dataclass(frozen=True)
class Used:
    """A data version. runs: the published ones on it, oldest first; there is at least one."""

    data_hash: str
    runs: list[Run]

    @property
    def newest(self) -> Run:
        return self.runs[-1]

    def trained(self, version: ModelVersion) -> bool:
        """Whether a version was trained on this data, or a run on this data made the same model again."""
        models = {run.data.tags.get("ratchet.model_hash", "") for run in self.runs}
        return (
            version.tags.get("ratchet.data_hash") == self.data_hash or version.tags.get("ratchet.model_hash") in models
        )


def data(project: Project, model: str, words: tuple[str, str] | None) -> dict[str, Any]:
    """The object that `ratchet data --json` prints: every data version, or two of them compared.

    words: see `find`. Raises RequestError for an unknown model or data version, or one missing from DVC's cache.
    """
    settings.check_name(model)
    if words and (option := next((word for word in words if word.startswith("-")), None)):
        raise RequestError(f"--diff takes two data versions, but {option!r} is an option.", "Write --diff A B.")
    with mlflow_runs.reachable(project, "Try again when it is back."):
        store = mlflow_runs.client(project)
        known = used(store, model)
        if not known:
            settings.read(model)  # its error for an unknown model suggests a similar name
        chosen = [_named(store, model, known, word) for word in words] if words else known
        versions, champion = store.search_model_versions(f"name = '{model}'"), model_registry.champion(store, model)
        told = [_about(store, one, versions, champion) for one in chosen]
        digests = [_digest(store, model, one.newest) for one in chosen]
    paths = [pipeline.cached(project, digest) if digest else None for digest in digests]
    if words is None:
        listed = [about | {"cached": path is not None} for about, path in zip(told, paths, strict=True)]
        return {"format": 1, "model": model, "data": listed}
    a, b = (path or _gone(model, one.newest) for path, one in zip(paths, chosen, strict=True))
    compared = {"rows": diff.rows(a, b), "columns": _shown(model, diff.columns(a, b))}
    return {"format": 1, "model": model, "a": told[0], "b": told[1], **compared}


def _shown(model: str, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Remove the values of columns that are sensitive now; for a model without a YAML, remove nothing."""
    known = (settings.FOLDER / f"{model}.yaml").exists()
    hidden = settings.load(model, "data", Data).sensitive if known else []
    for entry in found:
        if entry["column"] in hidden:
            entry |= {side: _counted(entry[side]) for side in "ab"}
    return found


def _counted(statistics: dict[str, Any] | None) -> dict[str, Any] | None:
    """The statistics of a sensitive column that may be shown."""
    blank = {"mean", "standard_deviation", "smallest", "largest"}
    if statistics is None:
        return None
    return {k: None if k in blank else [] if k == "frequent" else value for k, value in statistics.items()}


def forgotten(run: Run) -> str:
    """When rows of a person were taken out of a run's data (flows/forget), or ""."""
    return str(run.data.tags.get(FORGOTTEN, ""))


def check(model: str, run: Run) -> None:
    """Raises RequestError if the data of a run lost rows of a person."""
    if at := forgotten(run):
        raise RequestError(
            f"The data {run.data.tags['ratchet.data_hash'][:8]} of {model} lost rows of a person on {at[:10]}, so they "
            "are not there any more.",
            f"`ratchet data {model}` lists the others; `ratchet run {model}` takes what the source has now.",
        )


def find(store: MlflowClient, model: str, word: str) -> Run:
    """The newest published run on a data version. word: the first digits of its hash (at least four), `champion` (the
    champion's data) or `latest` (the version that came last).

    Raises RequestError if no data version fits, or more than one.
    """
    return _named(store, model, used(store, model), word).newest


def pinned(project: Project, model: str, word: str) -> tuple[str, str]:
    """The pin of the newest run on a data version: the texts of pin.json, and of source.dvc or ""."""
    store = mlflow_runs.client(project)
    run = find(store, model, word)
    check(model, run)
    there = definition.names(store, run)
    with scratch.folder("data") as temporary:
        pin, source = (
            definition.fetch(store, run, name, temporary).read_text(encoding="utf-8") if name in there else ""
            for name in ("pin.json", "source.dvc")
        )
    return pin, source


def used(store: MlflowClient, model: str) -> list[Used]:
    """The data versions of a model, in the order in which they were first used."""
    experiment = store.get_experiment_by_name(model)
    if experiment is None:
        return []
    published = "tags.`ratchet.published` = 'true' and tags.`ratchet.data_hash` != ''"
    order = ["attributes.start_time ASC"]
    found: dict[str, list[Run]] = {}
    for run in store.search_runs([experiment.experiment_id], published, max_results=MOST_RUNS, order_by=order):
        found.setdefault(run.data.tags["ratchet.data_hash"], []).append(run)
    return [Used(data_hash, runs) for data_hash, runs in found.items()]


def _named(store: MlflowClient, model: str, known: list[Used], word: str) -> Used:
    listing = f"`ratchet data {model}` lists the data versions."
    if not known:
        raise RequestError(
            f"{model} has no data version, because no run of it was published yet.", f"Run `ratchet run {model}`."
        )
    if word == "latest":
        return known[-1]
    champion = model_registry.champion(store, model) if word == "champion" else None
    if word == "champion" and champion is None:
        raise RequestError(f"{model} has no champion, so `champion` names no data version.", listing)
    digits = champion.tags.get("ratchet.data_hash", "") if champion else word.lower()
    if not re.fullmatch(f"[0-9a-f]{{{LEAST},}}", digits):
        raise RequestError(
            f"{word!r} names no data version of {model}: write at least {LEAST} digits of its hash, `champion` or "
            "`latest`.",
            listing,
        )
    found = [one for one in known if one.data_hash.startswith(digits)]
    if not found:
        raise RequestError(f"No published run of {model} has used data whose hash begins with {digits}.", listing)
    if len(found) > 1:
        meant = ", ".join(one.data_hash[:12] for one in found)
        raise RequestError(f"{word!r} fits {len(found)} data versions: {meant}.", "Write more digits.")
    return found[0]


def _about(
    store: MlflowClient, one: Used, versions: list[ModelVersion], champion: ModelVersion | None
) -> dict[str, Any]:
    """versions: all of the model; the result lists the numbers of those trained on this data."""
    run, trained = one.newest, sorted(int(version.version) for version in versions if one.trained(version))
    first = datetime.fromtimestamp(one.runs[0].info.start_time / 1000, UTC)
    return {
        "data_hash": one.data_hash,
        "first_used": first.isoformat(timespec="seconds"),
        "rows": _rows(store, run),
        "source": run.data.tags.get("ratchet.source") or _recorded(store, run, "definition/pin.json").get("source"),
        "versions": trained,
        "champion": champion is not None and int(champion.version) in trained,
        "run_id": run.info.run_id,
        "forgotten": forgotten(run) or None,
    }


def _rows(store: MlflowClient, run: Run) -> int | None:
    """The rows of raw.parquet; None if neither tag nor report is there."""
    if "ratchet.data_rows" in run.data.tags:
        return int(run.data.tags["ratchet.data_rows"])
    return _recorded(store, run, "reports/clean.json").get("rows", {}).get("raw")


def _digest(store: MlflowClient, model: str, run: Run) -> str | None:
    """DVC's hash of a run's raw.parquet."""
    if "ratchet.data_digest" in run.data.tags:
        return run.data.tags["ratchet.data_digest"]
    entries = _recorded(store, run, "definition/dvc.lock").get("stages", {})
    return lockfile.digests(entries).get(f"data/{model}/raw.parquet")


def _recorded(store: MlflowClient, run: Run, path: str) -> dict[str, Any]:
    """The content of an artifact of a run, JSON or YAML; {} if it is not there."""
    run_id = run.info.run_id
    if path not in {entry.path for entry in store.list_artifacts(run_id, path.partition("/")[0])}:
        return {}
    with scratch.folder("data") as temporary:
        if path.startswith(f"{definition.FOLDER}/"):
            found = definition.fetch(store, run, path.partition("/")[2], temporary)
        else:
            found = Path(store.download_artifacts(run_id, path, str(temporary)))
        text = found.read_text(encoding="utf-8")
    return dict(json.loads(text) if path.endswith(".json") else YAML(typ="safe").load(text))


def _gone(model: str, run: Run) -> NoReturn:
    """Raises RequestError, because raw.parquet is not in DVC's cache. A git tag leads DVC to the run's records."""
    check(model, run)
    data_hash, commit = run.data.tags["ratchet.data_hash"], run.data.tags.get("ratchet.commit", "")[:12]
    name = f"data-{data_hash[:8]}"
    fetch = f"git tag {name} {commit} && dvc fetch --all-tags data/{model}/raw.parquet && git tag -d {name}"
    raise RequestError(
        f"The data {data_hash[:8]} of {model} are not in DVC's cache here.",
        f"If a DVC remote has them: `{fetch}`" if commit else "Restore the cache from a backup.",
    )
