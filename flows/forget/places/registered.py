"""What MLflow keeps of a model on this machine: the versions with their evidence, and the files of the runs.

The evidence of a version loses the rows and stays: the gate and a rollback need the rest. So the hash of its files is
another one afterwards. The ledger says it first, then the files are replaced, then the registry gets it: a version that
a kill left between is put right by the next `ratchet forget`.
"""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flows.deployment import explanation_files
from flows.forget import summaries
from flows.forget.removal import Removal, shown
from flows.forget.source_rows import Held
from flows.forget.traces import Traces
from flows.project.environment import Project
from flows.registry import definition, integrity, model_registry
from flows.registry.model_registry import ModelVersion
from flows.tracking import mlflow_runs
from flows.tracking.mlflow_runs import MlflowClient
from pipelines.model.predictor import file_hash
from pipelines.table import row_groups

EXAMPLES = ("input_example.json", "serving_input_example.json")
REFERENCE = "reference"  # of a pin: the profile of the data before


@dataclass(frozen=True)
class Lost:
    """A version that loses rows. learned: of these, how many it was trained or tuned on. files: the new ones, below
    `made`, by their path below `folder`. hash: of all files then. left: files that keep something of a person."""

    version: ModelVersion
    rows: int
    learned: int
    folder: Path
    made: Path
    files: tuple[str, ...]
    hash: str
    left: tuple[str, ...]

    @property
    def number(self) -> int:
        return int(self.version.version)

    def replace(self) -> None:
        """Put the new files in place; done again, it changes nothing."""
        for name in self.files:
            partial = (self.folder / name).with_suffix(".partial")
            shutil.copyfile(self.made / name, partial)
            os.replace(partial, self.folder / name)


def versions(
    store: MlflowClient, model: str, held: Held, traces: Traces, into: Path
) -> tuple[list[Lost], list[ModelVersion]]:
    """The versions that lose rows, their new files made under `into`; and those whose files are not on this machine."""
    found, away = [], []
    into.mkdir(parents=True, exist_ok=True)
    for version in store.search_model_versions(f"name = '{model}'"):
        if "ratchet.model_hash" not in version.tags:
            continue
        folder = model_registry.local(store, version)
        if folder is None:
            away.append(version)
        elif (lost := _lost(version, folder, held, traces, into / str(version.version))) is not None:
            found.append(lost)
    return sorted(found, key=lambda one: one.number), away


def _lost(version: ModelVersion, folder: Path, held: Held, traces: Traces, made: Path) -> Lost | None:
    integrity.copy(folder, made)
    rows, learned, changed = _evidence(made / "evidence", held.row_ids)
    names = [name for name in integrity.hashes(made) if name not in changed and traces.in_file(made / name)]
    for name in list(names):
        if _rewritten(made / name, traces):
            changed.append(name)
            names.remove(name)
    if not changed and not names:
        shutil.rmtree(made)
        return None
    digest = integrity.whole(integrity.hashes(made))
    return Lost(version, rows, learned, folder, made, tuple(changed), digest, tuple(names))


def _evidence(folder: Path, row_ids: set[str]) -> tuple[int, int, list[str]]:
    """Take the rows out of the kept tables: how many of them the version had, had learned, and which files changed."""
    changed, rows, learned = [], 0, 0
    for path in sorted(folder.glob("*.parquet")):
        if "row_id" not in pq.read_schema(path).names:
            continue
        table = pq.read_table(path)
        mask = np.array([one in row_ids for one in table["row_id"].to_pylist()], bool)
        if not mask.any():
            continue
        if path.name == "rows.parquet":
            rows = int(mask.sum())
            learned = sum(split != "test" for split in table["split"].filter(pa.array(mask)).to_pylist())
        rest = table.filter(pa.array(~mask))
        row_groups.write(path, pq.read_schema(path), rest.to_batches())
        changed.append(f"{folder.name}/{path.name}")
    return rows, learned, changed


def _rewritten(path: Path, traces: Traces) -> bool:
    """Whether a file of a version could be written without what tells of a person."""
    if path.name in EXAMPLES or path.name == "columns.json":
        content = _scrubbed(json.loads(path.read_text(encoding="utf-8")), traces)
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    elif summaries.is_one(path):
        summaries.scrub(path, path, traces)
    else:
        return False
    return not traces.in_file(path)


def _scrubbed(content: Any, traces: Traces) -> Any:
    """JSON without the values that tell of a person: such a row goes, and such a word of a list; others become null."""
    if isinstance(content, dict):
        return {key: _scrubbed(value, traces) for key, value in content.items()}
    if isinstance(content, list):
        of_words = all(isinstance(value, str) for value in content)
        return [_scrubbed(value, traces) for value in content if not _goes(value, of_words, traces)]
    return None if traces.in_value(content) else content


def _goes(value: Any, of_words: bool, traces: Traces) -> bool:
    """Whether an entry of a list goes as a whole: a word among words, or a row with such a value."""
    if isinstance(value, list):
        return any(traces.in_value(cell) for cell in value)
    return of_words and traces.in_value(value)


# ------------------------------------------------------------------ runs


def runs(project: Project, store: MlflowClient, model: str, traces: Traces) -> list[Removal]:
    """Reports, pages and figures of runs go where they hold something, explanations as a whole, because their pictures
    may show it; a pin loses the profile of the data before."""
    found = []
    for run_id, folder in _folders(store, model):
        explained, rest = in_run(folder, traces)
        if explained:
            do = partial(shutil.rmtree, folder / explanation_files.FOLDER, ignore_errors=True)
            found.append(Removal("reports of runs", shown(project, folder / explanation_files.FOLDER), 0, do))
        for path in rest:
            do = partial(_without, store, run_id, path, traces)
            found.append(Removal("reports of runs", shown(project, path), 0, do))
    return found


def in_run(folder: Path, traces: Traces) -> tuple[bool, list[Path]]:
    """Whether something stands in the explanations of a run, and the other files in which something stands."""
    hits = sorted(path for path in folder.rglob("*") if path.is_file() and traces.in_file(path))
    rest = [path for path in hits if not path.is_relative_to(folder / explanation_files.FOLDER)]
    return len(rest) < len(hits), rest


def _folders(store: MlflowClient, model: str) -> Iterator[tuple[str, Path]]:
    """The runs with their files, if these are on this machine."""
    for run in mlflow_runs.every(store, model):
        if (folder := model_registry.folder_of(str(run.info.artifact_uri))) is not None:
            yield str(run.info.run_id), folder


def _without(store: MlflowClient, run_id: str, path: Path, traces: Traces) -> None:
    """A pin loses the profile, unless the names of its files tell of a person too."""
    if not (path.parent.name == definition.FOLDER and path.name == "pin.json" and path.is_file()):
        path.unlink(missing_ok=True)
        return
    content = json.loads(path.read_text(encoding="utf-8"))
    content.pop(REFERENCE, None)
    made = path.with_suffix(".partial")
    made.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if traces.in_file(made):
        made.unlink()
        path.unlink()
        return
    known = json.loads(store.get_run(run_id).data.tags.get(definition.TAG, "{}"))
    store.set_tag(run_id, definition.TAG, json.dumps(known | {path.name: file_hash(made)}))
    os.replace(made, path)


def tags_of(store: MlflowClient, version: ModelVersion, digest: str) -> dict[str, str]:
    """The tags of the files of a version, if they are those that the ledger has the hash of."""
    if (folder := model_registry.local(store, version)) is None:
        return {}
    hashes = integrity.hashes(folder)
    found = {"ratchet.artifact_hash": digest, "ratchet.artifact_files": integrity.short(hashes)}
    return found if integrity.whole(hashes) == digest else {}
