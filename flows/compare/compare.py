"""Compare: two registered versions side by side: what they predict, what they were made of, what they cost.

Predictions come from what was kept with the versions (flows/compare/shared_rows.py), parameters and data from their
MLflow runs, size and time from the registered artifacts. Everything is only read.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from flows.compare import render, shared_rows
from flows.compare.shared_rows import Side
from flows.project import scratch
from flows.project.environment import Project
from flows.project.locks import Notice
from flows.promotion import evidence, trial
from flows.records import ledger
from flows.records.champion_state import stand
from flows.records.ledger import Line
from flows.registry import definition, model_registry
from flows.registry.model_registry import ModelVersion
from flows.tracking import differences, evidence_files, mlflow_runs, training_cost
from flows.tracking.mlflow_runs import MlflowClient, Run
from pipelines import model_file
from pipelines.errors import RatchetError, RequestError
from pipelines.model_file import Declaration

WORDS = ("champion", "latest")
NUMBER = re.compile("[0-9]{1,18}")  # of a version
KINDS = ("code", "data", "hardware", "threads", "packages", "python")  # of differences.causes; settings are parameters


@dataclass(frozen=True)
class Told:
    """What MLflow knows of a version. definition: dvc.lock's entries and environment.json, None where not recorded."""

    version: ModelVersion
    parameters: dict[str, str]
    tags: dict[str, str]  # of the run
    splits: dict[str, dict[str, Any]]  # name -> rows, hash
    definition: tuple[dict[str, Any], dict[str, Any]] | None
    spent: dict[str, float | None]  # seconds and watt-hours of its training


def compare(
    project: Project, model: str, words: tuple[str, str], output: str, here: Path, at: Notice = lambda text: None
) -> dict[str, Any]:
    """The object that `ratchet compare --json` prints. words: version numbers, `champion` or `latest`.

    output: a Markdown page to write as well, or ""; here: the folder that a relative one starts from; at: is told what
    it is at. Raises
    RequestError for a version or place that is not there and for versions without common rows, IntegrityError for a
    version that is not what was registered.
    """
    declared = model_file.check(model)
    target = place(project, output, here) if output else None
    with scratch.folder("compare") as folder:
        at("fetches both versions, and compares them with the registry")
        with mlflow_runs.reachable(project):
            lines = ledger.of(project).lines(model)
            store, recorded = mlflow_runs.client(project), stand(lines).artifacts
            versions = [resolve(store, model, word) for word in words]
            folders = [
                model_registry.fetch(store, version, folder, recorded.get(int(version.version))) for version in versions
            ]
            sides = [_side(store, version, folder) for version in versions]
            told = [_told(store, version, folder / f"run-{version.version}") for version in versions]
            champion = model_registry.champion(store, model)
        at("compares their answers to the same rows, and measures their times")
        found: dict[str, Any] = {
            "format": 1,
            "model": model,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            **{key: _about(version, champion) for key, version in zip("ab", versions, strict=True)},
            "same_model": len({version.tags["ratchet.model_hash"] for version in versions}) == 1,
            "metric": declared.promote.metric,
            **shared_rows.measure(declared, *sides),
            "parameters": _differing(told[0].parameters, told[1].parameters),
            **_made_of(told[0], told[1]),
            "membership": {key: given_away(lines, version) for key, version in zip("ab", versions, strict=True)},
            "cost": _cost(declared, folders, folder) | _spent(told),
            "page": str(target) if target else None,
        }
    if target is not None:
        _write(target, render.page(found))
    return found


def resolve(store: MlflowClient, model: str, word: str) -> ModelVersion:
    """The version that a number, `champion` or `latest` names. Raises RequestError if there is none."""
    if word == "champion":
        version = model_registry.champion(store, model)
    elif word == "latest":
        version = max(
            store.search_model_versions(f"name = '{model}'"), key=lambda entry: int(entry.version), default=None
        )
    elif NUMBER.fullmatch(word):
        version = model_registry.version(store, model, int(word))
    else:
        raise RequestError(f"{word!r} names no version of {model}: write a number, `champion` or `latest`.")
    if version is None:
        wanted = f"version {word}" if NUMBER.fullmatch(word) else "champion" if word == "champion" else "version"
        raise RequestError(f"{model} has no {wanted} to compare.", f"`ratchet history {model}` shows what there is.")
    return version


def place(project: Project, output: str, here: Path) -> Path:
    """Where the page goes. Raises RequestError for anything but a .md file in a folder that exists."""
    path = (here / output).resolve()
    if path.suffix != ".md":
        raise RequestError(f"--output {output!r} is not a Markdown page: its name has to end in .md.")
    if not Path(output).is_absolute() and not path.is_relative_to(project.root):
        raise RequestError(
            f"--output {output!r} leads out of the project, to {path}.", "Write the whole path if that is meant."
        )
    if path.is_dir():
        raise RequestError(f"--output {output!r} is a folder, and is not overwritten.", "Name a file in it.")
    if not path.parent.is_dir():
        raise RequestError(
            f"--output {output!r} cannot be written: there is no folder {path.parent}.",
            "Make it first, or name another.",
        )
    return path


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise RequestError(
            f"The page {path} cannot be written: {error.strerror}.", "Name another with --output."
        ) from error


def _side(store: MlflowClient, version: ModelVersion, folder: Path) -> Side:
    recorded = shared_rows.metrics_of(version.tags.get("ratchet.metrics"))
    known = evidence_files.read(store, version, folder)
    return Side(f"version {version.version}", known, version.tags.get("ratchet.test_hash", ""), recorded)


def _told(store: MlflowClient, version: ModelVersion, folder: Path) -> Told:
    run = store.get_run(str(version.run_id))
    datasets = [entry.dataset for entry in run.inputs.dataset_inputs] if run.inputs else []
    profiles = {dataset.name: json.loads(dataset.profile or "{}") for dataset in datasets}
    splits = {name: {"rows": found.get("num_rows"), "hash": found.get("hash")} for name, found in profiles.items()}
    defined = _definition(store, run, folder)
    return Told(version, dict(run.data.params), dict(run.data.tags), splits, defined, training_cost.of(store, run))


def _definition(store: MlflowClient, run: Run, folder: Path) -> tuple[dict[str, Any], dict[str, Any]] | None:
    folder.mkdir(exist_ok=True)
    if not {"dvc.lock", "environment.json"} <= definition.names(store, run):
        return None
    lock, machine = (definition.fetch(store, run, name, folder) for name in ("dvc.lock", "environment.json"))
    entries = YAML(typ="safe").load(lock.read_text(encoding="utf-8"))["stages"]
    return entries, json.loads(machine.read_text(encoding="utf-8"))


def _about(version: ModelVersion, champion: ModelVersion | None) -> dict[str, Any]:
    registered = datetime.fromtimestamp(version.creation_timestamp / 1000, UTC)
    return {
        "version": int(version.version),
        "champion": champion is not None and int(champion.version) == int(version.version),
        "model_hash": version.tags["ratchet.model_hash"],
        "run_id": version.run_id,
        "registered_at": registered.isoformat(timespec="seconds"),
        "decision": version.tags.get("ratchet.decision"),
    }


def given_away(lines: Sequence[Line], version: ModelVersion) -> dict[str, float] | None:
    """How much a version gives away of its training rows, as the gate has measured it last; None if it has not."""
    mine = (line.facts.get("membership") for line in reversed(lines) if line.version == int(version.version))
    return next(filter(None, mine), None)


def _made_of(one: Told, other: Told) -> dict[str, Any]:
    """Data, commits, and what of code, machine and packages is not the same; each pair is [a, b]."""
    hashes = {
        name: [told.version.tags.get(f"ratchet.{name}") for told in (one, other)] for name in ("data_hash", "test_hash")
    }
    splits = {
        name: {key: [told.splits.get(name, {}).get(key) for told in (one, other)] for key in ("rows", "hash")}
        for name in one.splits | other.splits
    }
    commits = {
        "commit": [told.tags.get("mlflow.source.git.commit") for told in (one, other)],
        "tree": [told.tags.get("ratchet.commit") for told in (one, other)],
    }
    made: dict[str, list[str]] | None = None
    if one.definition and other.definition:
        causes = differences.causes(one.definition[0], other.definition[0], one.definition[1], other.definition[1])
        made = {kind: causes[kind] for kind in KINDS if kind in causes}
    return {"data": hashes | {"splits": splits}, "commits": commits, "made": made}


def _differing(one: dict[str, str], other: dict[str, str]) -> dict[str, list[str | None]]:
    names = sorted({*one, *other})
    return {name: [one.get(name), other.get(name)] for name in names if one.get(name) != other.get(name)}


def _cost(declared: Declaration, folders: list[Path], folder: Path) -> dict[str, Any]:
    """megabytes, and milliseconds of a prediction, each of a, b and b over a; or the reason why it was not timed."""
    models = {key: place / "artifacts" / "model" for key, place in zip("ab", folders, strict=True)}
    cost: dict[str, Any] = {"megabytes": _ratio({key: evidence.megabytes(path) for key, path in models.items()})}
    golden = folders[1] / evidence_files.FOLDER / "golden.parquet"
    try:
        timed = {key: str(path) for key, path in models.items()}
        tried = trial.run(trial.Request(declared.model, time=timed, rows=str(golden)), folder)
    except RatchetError as error:  # such as columns that one of the two does not have: all else is still told
        return cost | {"failure": str(error)}
    for kind in ("single", "batch"):
        cost[f"{kind}_ms"] = _ratio({key: 1000 * tried["seconds"][key][kind] for key in models})
    return cost | {"batch_rows": tried["timed_rows"], "failure": ""}


def _spent(told: list[Told]) -> dict[str, Any]:
    """Of a and b, each null where it was not measured, and b over a."""

    def pair(a: float | None, b: float | None) -> dict[str, float | None]:
        return {"a": a, "b": b, "ratio": b / a if a and b is not None else None}

    return {name: pair(told[0].spent[name], told[1].spent[name]) for name in told[0].spent}


def _ratio(values: dict[str, float]) -> dict[str, float]:
    return values | {"ratio": values["b"] / values["a"]}
