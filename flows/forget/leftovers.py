"""What Ratchet cannot remove, in words: it lies elsewhere, or it belongs to a person."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from flows.forget.places import data_versions
from flows.forget.removal import shown
from flows.forget.source_rows import Held
from flows.forget.traces import Traces
from flows.project import git
from flows.project.environment import Project
from flows.records import ledger
from pipelines.config import settings
from pipelines.model_file import Declaration
from pipelines.readers import sources
from pipelines.table import row_sample

if TYPE_CHECKING:
    from flows.forget.forget import Plan

SKIPPED = {".git", ".venv", ".dvc", "__pycache__", "node_modules"}


def look(project: Project, declared: Declaration, held: Held, traces: Traces, plan: "Plan") -> list[str]:
    found = list(_elsewhere(project, declared, held))
    changed = {one.what for one in plan.removals}
    for one in plan.lost:
        found += [
            f"version {one.number}: {name} holds a value of theirs. `ratchet prune` deletes the version once a newer "
            "one is champion"
            for name in one.left
        ]
    names = [shown(project, path) for path in _own_files(project, declared.model) if traces.in_file(path)]
    found += [f"{name}: a file of yours; `--file {name}` takes the rows out" for name in names if name not in changed]
    return found + _ledger(project, declared.model, held, traces)


def _elsewhere(project: Project, declared: Declaration, held: Held) -> Iterator[str]:
    model, source = declared.model, declared.ingest.source
    if held.files and sources.followed(source):
        yield f"{source} is not in this project: take the rows out there, or the next run brings them back"
    if data_versions.is_elsewhere(project):
        yield f"DVC's cache is shared, in {data_versions.cache(project)}: it was searched all the same, for this model"
    if project.tracking:
        yield "MLflow's server is elsewhere: the versions and the files of runs there were not searched"
    for name in data_versions.remotes(project):
        yield f"the DVC remote {name} keeps its copies: `dvc gc --cloud` there, or delete them by hand"
    for name in git.ask(project.home, "remote").splitlines():
        yield f"git: what was pushed to {name}, refs/ratchet among it, stays there"
    for other in settings.models():
        if other != model and settings.read(other).get("ingest", {}).get("source") == source:
            yield f"the model {other} reads the same source: `ratchet forget {other}` too"


def _own_files(project: Project, model: str) -> Iterator[Path]:
    """The files of the project that no other place is for."""
    known = [project.state, project.mlflow_artifacts.parent, project.home / "data" / model]
    known += [project.home / "data" / "incoming"]
    for folder, folders, names in os.walk(project.home):
        folders[:] = [name for name in folders if name not in SKIPPED and Path(folder, name) not in known]
        yield from (path for name in names if (path := Path(folder, name)).is_file() and not path.is_symlink())


def _ledger(project: Project, model: str, held: Held, traces: Traces) -> list[str]:
    """The lines of the ledger are never changed, and name a sample of the test rows."""
    beginnings = {row_id[: row_sample.LETTERS] for row_id in held.row_ids}
    lines = ledger.of(project).lines(model)
    samples = [set((line.facts.get("test_rows") or {}).get("ids", [])) & beginnings for line in lines]
    count = len(set().union(*samples)) if samples else 0
    told = [f"the first {row_sample.LETTERS} letters of {count} row ids"] if count else []
    told += [
        f"a value in line {line.sequence}"
        for line in lines
        if traces.in_text(f"{line.reason} {line.evidence}".encode(errors="surrogatepass"))
    ]
    return [f"the ledger: {what}; its lines are never changed" for what in told]
