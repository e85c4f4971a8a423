"""Verify: rebuild a registered version from what was recorded of it, and compare byte for byte.

What was recorded lies in MLflow: the commit of the tree, the model's entries of dvc.lock, the machine and its packages.
Nothing of the user's is written but the certificate: their files, cache and dvc.lock are only read.
"""

import json
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from flows.graph import pipeline, provenance
from flows.project.environment import Project
from flows.records import ledger
from flows.records.champion_state import stand
from flows.registry import definition, model_registry
from flows.registry.model_registry import ModelVersion
from flows.report.progress import Progress
from flows.tracking import differences, mlflow_runs
from flows.tracking.mlflow_runs import MlflowClient
from flows.verify import rebuild, serving, verdict
from pipelines.config import settings
from pipelines.errors import RequestError
from pipelines.model.predictor import model_hash

UNVERIFIABLE = "cannot be verified"  # its data lost rows of a person (flows/forget)
VERDICTS = ("identical", "equal within tolerance", "different", UNVERIFIABLE)  # from the best to the worst
TOLERANCE = 0.01  # of a probability; for a regression of the target's standard deviation


@dataclass(frozen=True)
class Recorded:
    """What MLflow knows of a version: the tags of its run, the entries of dvc.lock, environment.json."""

    version: ModelVersion
    tags: dict[str, str]
    entries: dict[str, Any]
    machine: dict[str, Any]


def verify(
    project: Project, model: str, number: int | None, tolerance: float, recreate: bool, shown: Progress
) -> dict[str, Any]:
    """Rebuild a version (None: the champion), compare, leave the certificate in MLflow, and return it.

    recreate: install the recorded packages first. Raises RequestError if there is no such version or nothing to
    rebuild it from, IntegrityError if the registered files are not those that were registered.
    """
    start, name = time.monotonic(), settings.check_name(model)
    with rebuild.workspace(project) as folder:
        with mlflow_runs.reachable(project):
            store = mlflow_runs.client(project)
            recorded = _recorded(store, name, number, folder)
            standing, version = stand(ledger.of(project).lines(name)), int(recorded.version.version)
            if (line := standing.forgotten.get(version)) is not None:
                found = _unverifiable(recorded, line.at, tolerance) | _took(start)
                _leave(store, recorded.version, found, folder / "certificate")
                return found
            known = standing.artifacts.get(version)
            registered = model_registry.fetch(store, recorded.version, folder, known) / "artifacts" / "model"
        _tell_moved(project, name, recorded.tags, shown)
        tree = folder / "tree"
        rebuild.clone(project, recorded.tags["ratchet.commit"], tree)
        python = rebuild.interpreter(tree, recreate, shown)
        last = [*differences.leaves(recorded.entries), *serving.stages(tree, recorded.version)]
        rebuilt = rebuild.run(project, tree, name, last, recorded.machine["hardware"], python, shown)
        found = _compared(project, recorded, rebuilt, tree / "data" / name, registered, tolerance, python)
        found |= _took(start)
        with mlflow_runs.reachable(project):
            _leave(store, recorded.version, found, folder / "certificate")
    return found


def _took(start: float) -> dict[str, Any]:
    """When a verification ended, and how long it took. start: of the monotonic clock."""
    return {"at": datetime.now(UTC).isoformat(timespec="seconds"), "seconds": time.monotonic() - start}


def _tell_moved(project: Project, model: str, tags: dict[str, str], shown: Progress) -> None:
    """Say that the ref which keeps the recorded commit was moved: what is rebuilt is the commit that was recorded."""
    ref, commit = tags.get("ratchet.ref", ""), tags["ratchet.commit"]
    if (now := provenance.trees(project, model).get(ref, commit)) != commit:
        shown.notice(
            f"{ref} was moved: it names {now[:12]}, the run recorded {commit[:12]}: git update-ref {ref} {commit}"
        )


def _recorded(store: MlflowClient, model: str, number: int | None, temporary: Path) -> Recorded:
    version = model_registry.champion(store, model) if number is None else model_registry.version(store, model, number)
    if version is None:
        settings.read(model)  # says so if there is no such model at all, and which one may be meant
        wanted = "no champion" if number is None else f"no version {number}"
        raise RequestError(f"{model} has {wanted} to verify.", f"`ratchet history {model}` shows what there is.")
    run = store.get_run(str(version.run_id))
    if "ratchet.commit" not in run.data.tags or "environment.json" not in definition.names(store, run):
        raise RequestError(
            f"Version {version.version} of {model} was published without its tree: outside of git, or by an older "
            "Ratchet.",
            "It cannot be verified. A version that is published inside a git repository can.",
        )
    lock, about = (definition.fetch(store, run, name, temporary) for name in ("dvc.lock", "environment.json"))
    entries = YAML(typ="safe").load(lock.read_text(encoding="utf-8"))["stages"]
    machine = json.loads(about.read_text(encoding="utf-8"))
    return Recorded(version, run.data.tags, entries, machine)


def _compared(
    project: Project,
    recorded: Recorded,
    rebuilt: rebuild.Rebuilt,
    data: Path,
    registered: Path,
    tolerance: float,
    python: Path,
) -> dict[str, Any]:
    """The certificate, without its time. data: data/<model>/ of the rebuild; registered: the model folder as it was."""
    outputs = differences.outputs(recorded.entries, rebuilt.entries)
    outputs += serving.outputs(recorded.version, data)
    model, packages = data / "model", rebuild.packages(python)
    whole = (model / "model.json").exists()
    present = provenance.machine(model, packages) if whole else recorded.machine | {"packages": packages}
    causes = differences.causes(recorded.entries, rebuilt.entries, recorded.machine, present)
    differing = [output for output in outputs if not output.equal]
    if differing and not recorded.machine["hardware"].get("deterministic", True):
        causes.setdefault("hardware", []).append("train.deterministic is false: no two trainings give the same bytes")
    apart = _apart(project, recorded, data) if differing and not rebuilt.failure else {}
    first: dict[str, str] | None = None
    if rebuilt.failure:
        first = {"stage": rebuilt.failed, "path": "nothing, because it failed"}
    elif differing:
        first = {"stage": differing[0].stage, "path": differing[0].path}
        if differing[0].path.endswith("/model"):
            first["path"] += f"/{next(iter(differences.files(registered, model)), '')}"
    return {
        "format": 1,
        "model": recorded.version.name,
        "version": int(recorded.version.version),
        "verdict": _verdict(outputs, rebuilt.failure, causes, apart, tolerance),
        "since": None,
        "first": first,
        "failure": rebuilt.failure,
        "causes": causes,
        "differences": apart,
        "tolerance": tolerance,
        "model_hash": recorded.version.tags["ratchet.model_hash"],
        "rebuilt_model_hash": model_hash(model) if model.is_dir() and not rebuilt.failure else "",
        "commit": recorded.tags["ratchet.commit"],
        "dirty": recorded.tags.get("ratchet.dirty") == "true",
        "outputs": [asdict(output) for output in outputs],
        "recorded": recorded.machine,
        "present": present,
    }


def _unverifiable(recorded: Recorded, since: str, tolerance: float) -> dict[str, Any]:
    """The certificate of a version whose data are no longer what it was made of. Nothing was made again."""
    return {
        "format": 1,
        "model": recorded.version.name,
        "version": int(recorded.version.version),
        "verdict": UNVERIFIABLE,
        "since": since,
        "first": None,
        "failure": "",
        "causes": {},
        "differences": {},
        "tolerance": tolerance,
        "model_hash": recorded.version.tags["ratchet.model_hash"],
        "rebuilt_model_hash": "",
        "commit": recorded.tags["ratchet.commit"],
        "dirty": recorded.tags.get("ratchet.dirty") == "true",
        "outputs": [],
        "recorded": recorded.machine,
        "present": recorded.machine,
    }


def _apart(project: Project, recorded: Recorded, data: Path) -> dict[str, float]:
    """How far the predictions lie apart, if the recorded ones are still in DVC's cache and about the same rows."""
    path = f"data/{recorded.version.name}/predictions.parquet"
    outs = [out for entry in recorded.entries.values() for out in entry.get("outs", []) if out["path"] == path]
    kept = pipeline.cached(project, outs[0]["md5"]) if outs else None
    if kept is None or not (data / "predictions.parquet").exists():
        return {}
    try:
        return differences.largest(kept, data / "predictions.parquet")
    except ValueError:
        return {}


def _verdict(
    outputs: list[differences.Output], failure: str, causes: dict[str, list[str]], apart: dict[str, float], most: float
) -> str:
    """Bytes may differ within the tolerance only for a reason: another kind of hardware, or other packages."""
    if not failure and all(output.equal for output in outputs):
        return VERDICTS[0]
    excused = {"hardware", "packages", "python"} & set(causes) and not {"code", "data", "settings"} & set(causes)
    near = bool(apart) and apart["largest"] <= most
    return VERDICTS[1] if excused and near and not failure and differences.only_numeric(outputs) else VERDICTS[2]


def _leave(store: MlflowClient, version: ModelVersion, found: dict[str, Any], folder: Path) -> None:
    """The certificate with the version, and its result as tags."""
    (folder / "verification").mkdir(parents=True)
    text = json.dumps(found, indent=2, allow_nan=False)
    (folder / "verification" / "certificate.json").write_text(text + "\n", encoding="utf-8")
    (folder / "verification" / "certificate.md").write_text(verdict.page(found), encoding="utf-8")
    store.log_model_artifacts(model_registry.logged_model(version), str(folder))
    for tag, value in (("ratchet.verified", found["verdict"]), ("ratchet.verified_at", found["at"])):
        store.set_model_version_tag(version.name, str(version.version), tag, value)
