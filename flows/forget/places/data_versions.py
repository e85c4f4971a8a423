"""Every version of a model's data: in DVC's cache, and in the working trees.

A file of the cache cannot lose rows, because its name is its hash. So it is deleted, and the version of the data that
needs it is gone. A file that another model's records name, and none of this one's, belongs to that model. Explanations
go as a whole: their pictures may show what is only found in the files beside them.
"""

import json
import re
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from flows.data import unpinned
from flows.deployment import explanation_files
from flows.forget.removal import Removal, shown
from flows.forget.source_rows import trees
from flows.forget.traces import Traces
from flows.graph import pipeline
from flows.project import git
from flows.project.environment import Project
from flows.records import earlier_runs
from pipelines.model_file import Declaration
from pipelines.table import rows

REMOTE = re.compile(r'^\[.?remote "(.+?)"', re.MULTILINE)  # in DVC's settings
NAMING = ("dvc.lock", "source.dvc", "serving.lock")  # files that name data, in a run's folder `definition`


def versions(project: Project, declared: Declaration) -> list[Path]:
    """The files with rows as ingested that are kept: raw.parquet of every version, and its splits."""
    names = set(rows.raw_schema(declared.data).names)
    own = [root / "data" / declared.model / "raw.parquet" for root in trees(project)]
    return [path for path in [*own, *_objects(cache(project))] if path.is_file() and names <= set(_columns(path))]


def look(
    project: Project, declared: Declaration, traces: Traces, last: Collection[Path]
) -> tuple[list[Removal], set[str]]:
    """What goes, and the hashes of the deleted files of the cache. last: files by which rows are found; they go last.
    The pin and the pinned copies are left to `unpin`."""
    model, folder, foreign = declared.model, cache(project), _others(project, declared.model)
    objects = [path for path in _objects(folder) if _digest(path) not in foreign and traces.in_file(path)]
    objects += _beside(folder, {_digest(path) for path in objects}, foreign)
    working = [path for root in trees(project) for path in _files(root / "data" / model) if traces.in_file(path)]
    explained = {path.parent for path in working if path.parent.name == explanation_files.FOLDER}
    working += sorted({path for place in explained for path in place.iterdir()} - set(working))

    def removal(path: Path) -> Removal:
        is_object = path.is_relative_to(folder)
        place = "versions of the data" if is_object else "working files"
        return Removal(place, shown(project, path), _count(path, traces), lambda: _remove(folder, path))

    found = sorted([*working, *objects], key=lambda path: path in last)
    return [removal(path) for path in found], {_digest(path) for path in objects}


def pins(project: Project, model: str) -> list[Path]:
    """The pins of a model, in all working trees."""
    return [path for root in trees(project) if (path := root / "data" / model / "pin.json").is_file()]


def unpin(project: Project, model: str) -> None:
    """The pin goes, with its copies, its profile, and DVC's record: the next run pins what the source has then."""
    for root in trees(project):
        folder = root / "data" / model
        unpinned.keep(project, model, folder / "pin.json")
        shutil.rmtree(folder / "source", ignore_errors=True)
        for name in ("pin.json", "source.dvc"):
            (folder / name).unlink(missing_ok=True)


def cache(project: Project) -> Path:
    return pipeline.cache_folder(project)


def is_elsewhere(project: Project) -> bool:
    """Whether the cache lies outside of the project, where others may use it too."""
    return not cache(project).resolve().is_relative_to(project.home.resolve())


def remotes(project: Project) -> list[str]:
    """The names of DVC's remotes."""
    texts = (_text(project.home / ".dvc" / name) for name in ("config", "config.local"))
    return sorted({name for text in texts for name in REMOTE.findall(text)})


def _digest(path: Path) -> str:
    return path.parent.name + path.name


def _remove(folder: Path, path: Path) -> None:
    """A file of the cache goes after the records of the stages that made it: DVC would look for it by them."""
    if path.is_relative_to(folder):
        for run in list(earlier_runs.of(folder, {_digest(path)})):
            earlier_runs.remove(run)
    path.unlink(missing_ok=True)


def _objects(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "files" / "md5").glob("??/*") if path.is_file())


def _files(folder: Path) -> list[Path]:
    """The files of a model's folder but the model, whose hash names a version, the pin and the pinned copies."""
    left_out = (folder / "model", folder / "source", folder / "pin.json")
    paths = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in paths if not any(path.is_relative_to(one) for one in left_out))


def _others(project: Project, model: str) -> set[str]:
    """The hashes that other models' records name, and none of this one's."""
    ours, theirs = set[str](), set[str]()
    for owner, text in _named(project):
        (ours if owner == model else theirs).update(earlier_runs.hashes(text))
    folder = cache(project)
    return _with_members(folder, theirs) - _with_members(folder, ours)


def _named(project: Project) -> Iterator[tuple[str, str]]:
    """Texts that name data, with the model that they are of."""
    for root in trees(project):
        yield from _of_stages(_text(root / "dvc.lock"))
        for path in (root / "data").glob("*/source.dvc"):
            yield path.parent.name, _text(path)
    for path in project.state.glob("dvc-lock-*.json"):
        yield path.stem.removeprefix("dvc-lock-"), _text(path)
    for name in NAMING:
        for path in project.mlflow_artifacts.glob(f"*/*/artifacts/definition/{name}"):
            yield path.parents[3].name, _text(path)
    for ref in git.ask(project.home, "for-each-ref", "--format=%(refname)", "refs/ratchet/").splitlines():
        owner = ref.split("/")[2]
        yield owner, git.ask(project.home, "cat-file", "blob", f"{ref}:data/{owner}/source.dvc")


def _of_stages(text: str) -> Iterator[tuple[str, str]]:
    """The entries of dvc.lock by model: `train@churn`."""
    owner = ""
    for line in text.splitlines():
        if line.startswith("  ") and not line.startswith("   ") and "@" in line:
            owner = line.strip().rstrip(":").strip("'\"").rpartition("@")[2]
        yield owner, line


def _with_members(folder: Path, digests: set[str]) -> set[str]:
    """The hashes, and those of the files in the folders among them."""
    found = set(digests)
    for digest in digests:
        path = folder / "files" / "md5" / digest[:2] / digest[2:]
        if digest.endswith(".dir") and path.is_file():
            found |= {entry["md5"] for entry in json.loads(_text(path))}
    return found


def _beside(folder: Path, found: set[str], foreign: set[str]) -> list[Path]:
    """The other files of explanations of which one is found. found: hashes of files of the cache."""
    more = set[str]()
    for path in (folder / "files" / "md5").glob("??/*.dir"):
        entries = json.loads(_text(path))
        mine = {entry["md5"] for entry in entries}
        if mine & found and explanation_files.ABOUT in {entry["relpath"] for entry in entries}:
            more |= mine
    paths = (folder / "files" / "md5" / digest[:2] / digest[2:] for digest in sorted(more - found - foreign))
    return [path for path in paths if path.is_file()]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _columns(path: Path) -> list[str]:
    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowException, OSError):
        return []


def _count(path: Path, traces: Traces) -> int:
    """How many rows of a file go, if it has row ids; else 0."""
    if "row_id" not in _columns(path):
        return 0
    ids = pq.read_table(path, columns=["row_id"])["row_id"].to_pylist()
    return sum(one in traces.values for one in ids)
