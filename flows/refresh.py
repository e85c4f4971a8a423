"""Refresh: look at the source, and pin what is there now.

The only writer of data/<model>/pin.json and data/<model>/source/. Stages read what is pinned; `dvc repro` never
comes here.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from flows.environment import Project
from flows.graph import Graph
from pipelines import sources
from pipelines.declaration import Declaration
from pipelines.errors import DataError, IntegrityError
from pipelines.settings import FORMAT

READABLE = (".csv", ".parquet")


def refresh(project: Project, graph: Graph, declared: Declaration) -> tuple[str, str]:
    """Bring the pin up to date; returns "Ran" or "Unchanged", and what happened, in words.

    Raises DataError if the source is missing.
    """
    model, source = declared.model, declared.ingest.source
    pin, files = _look(declared)
    if pin is None:
        return "Unchanged", f"{source} is pinned" if source.startswith("builtin:") else f"{source}: nothing new"
    if not files:
        _write_pin(model, pin)
        return "Ran", f"{source} pinned"
    _copy(files, pin["files"], sources.source_folder(model))
    graph.add(project.root / sources.source_folder(model))
    _write_pin(model, pin)
    return "Ran", f"{source} pinned: {len(files)} files, {sum(path.stat().st_size for path in files):,} bytes"


def news(declared: Declaration) -> str:
    """What `refresh` would pin, in words; nothing if all is pinned. Raises DataError if the source is missing."""
    pin, files = _look(declared)
    if pin is None:
        return ""
    before, now = ({f["name"]: f["sha256"] for f in (p or {}).get("files", [])} for p in (_pinned(declared.model), pin))
    words = [f"{name} {'changed' if name in before else 'is new'}" for name in now if now[name] != before.get(name)]
    words += [f"{name} is gone" for name in before if name not in now]
    rest = "the pinned copy is not whole" if files else "not pinned yet"
    return f"{declared.ingest.source}: {', '.join(words) or rest}"


def _look(declared: Declaration) -> tuple[dict[str, Any] | None, list[Path]]:
    """The pin of what the source holds, or None if it is in place already; and the files that it names."""
    model, source = declared.model, declared.ingest.source
    old = _pinned(model)
    if source.startswith("builtin:"):
        return (None if old and old["source"] == source else _builtin_pin(source)), []
    files = _files(source)
    entries = [{"name": path.name, "bytes": path.stat().st_size, "sha256": sources.file_hash(path)} for path in files]
    pin = {"format": FORMAT, "source": source, "kind": "files", "files": entries}
    return (None if old == pin and _in_place(model, pin) else pin), files


def _pinned(model: str) -> dict[str, Any] | None:
    return sources.read_pin(model) if sources.pin_path(model).exists() else None


def _builtin_pin(source: str) -> dict[str, Any]:
    name = source.removeprefix("builtin:")
    table = sources.builtin(name)
    digest = sources.builtin_hash(table)
    return {
        "format": FORMAT,
        "source": source,
        "kind": "builtin",
        "name": name,
        "rows": table.num_rows,
        "sha256": digest,
    }


def _files(source: str) -> list[Path]:
    path = Path(source)
    found = sorted(p for p in path.glob("*") if p.suffix.lower() in READABLE) if path.is_dir() else [path]
    if not found or not found[0].is_file():
        wanted = f"holds no file ending in {' or '.join(READABLE)}" if path.is_dir() else "does not exist"
        raise DataError(f"The source {source} {wanted}.", "Put the data there, or correct `ingest: source:`.")
    return found


def _in_place(model: str, pin: dict[str, Any]) -> bool:
    try:
        sources.check_files(model, pin)
    except IntegrityError:
        return False
    return True


def _copy(files: list[Path], entries: list[dict[str, Any]], folder: Path) -> None:
    """Copy into a fresh folder, check what arrived, and swap it in. Raises DataError if a file changed meanwhile."""
    partial = folder.with_name(".source.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for path, entry in zip(files, entries, strict=True):
        shutil.copyfile(path, partial / path.name)
        if sources.file_hash(partial / path.name) != entry["sha256"]:
            raise DataError(f"{path} changed while it was being read.", "Run again when it has been written.")
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)


def _write_pin(model: str, pin: dict[str, Any]) -> None:
    path = sources.pin_path(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(pin, indent=2) + "\n", encoding="utf-8")
    os.replace(partial, path)
