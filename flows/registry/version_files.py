"""Checks the registered files without loading them: every version, byte code beside it, and the commits of the runs."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from mlflow import MlflowClient

from flows.graph import provenance
from flows.project import scratch
from flows.project.environment import Project
from flows.records.champion_state import stand
from flows.records.ledger import Ledger
from flows.registry import integrity, model_registry
from flows.registry.model_registry import ModelVersion
from pipelines.errors import IntegrityError


@dataclass
class Found:
    """versions: their number; changed, moved: the problems of the versions and of their commits, in words."""

    versions: int = 0
    changed: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    byte_code: list[Path] = field(default_factory=list)


def look(project: Project, store: MlflowClient, book: Ledger, models: list[str]) -> Found:
    """Check every version of these models."""
    found = Found()
    for model in models:
        recorded = stand(book.lines(model)).artifacts
        refs = provenance.trees(project, model)
        for version in store.search_model_versions(f"name = '{model}'"):
            if "ratchet.model_hash" not in version.tags:
                continue  # it was registered without Ratchet: no command of ours loads it
            found.versions += 1
            if (place := model_registry.local(store, version)) is not None:
                found.byte_code += integrity.byte_code(place)
            if told := _changed(store, version, place, recorded.get(int(version.version))):
                found.changed.append(told)
            tags = store.get_run(str(version.run_id)).data.tags
            name, commit = tags.get("ratchet.ref", ""), tags.get("ratchet.commit", "")
            if refs.get(name, commit) != commit:
                found.moved.append(
                    f"{name} is {refs[name][:12]}, but version {version.version} of {model} recorded {commit[:12]}: "
                    f"git update-ref {name} {commit}"
                )
    return found


def _changed(store: MlflowClient, version: ModelVersion, place: Path | None, recorded: str | None) -> str:
    try:
        model_registry.check_recorded(version, recorded)
        if place is not None:
            model_registry.check_files(version, place)
        else:
            with scratch.folder("doctor") as temporary:
                model_registry.fetch(store, version, temporary, recorded)
    except IntegrityError as error:
        return error.what
    return ""


def clear_byte_code(project: Project) -> None:
    """Remove the byte code that plain MLflow left beside registered models of this clone."""
    if not project.tracking and project.mlflow_artifacts.is_dir():
        for folder in integrity.byte_code(project.mlflow_artifacts):
            shutil.rmtree(folder, ignore_errors=True)
