"""Refresh: look at the source, and pin what is there now.

The only one that writes data/<model>/pin.json (by pin_file.py) and data/<model>/source/. Stages read the pinned files;
`dvc repro` never calls this module. Files inside the project are copied and added to DVC. A path or URL outside is
followed with DVC's import, except the four files of MNIST below an address (mnist_http.py). After any failure the
pinned version stays.
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flows.data import dvc_import, mnist_http, pin_file, unpinned
from flows.data.arrivals import arrival_order, hidden_copies, lost_rows, own_hash_key, scan
from flows.data.arrivals.scan import Arrival
from flows.data.pin_file import Pin
from flows.graph import pins
from flows.graph.pipeline import Graph
from flows.project import scratch
from flows.project.environment import Project
from pipelines.errors import DataError, IntegrityError, RatchetError, RequestError
from pipelines.model_file import Declaration
from pipelines.readers import images, sources
from pipelines.safety import regular_files

MOST_NAMES = 20  # of files, in one message


def refresh(project: Project, graph: Graph, declared: Declaration, refused: str = "") -> tuple[str, str]:
    """Bring the pin up to date; returns "Ran" or "Unchanged", and what happened, in words.

    refused: a version that a run refused and would refuse again; it is not pinned.
    Raises DataError if the source is missing, incomplete or has lost too many rows, UnreachableError if it is away,
    IntegrityError if the pin was edited, or pinned files have changed and cannot be restored.
    """
    pins.check(project, declared.model)
    own_hash_key.check(project, declared.model, declared.ingest)
    damaged = _mend(project, graph, declared)
    try:
        done, told = _refresh(project, graph, declared, refused)
        pin = pin_file.pinned(declared.model)
        return done, "; ".join(filter(None, [told, pin_file.plain(declared, pin) if pin and done == "Ran" else ""]))
    except DataError as error:
        if not damaged:
            raise
        raise IntegrityError(
            f"{damaged} DVC's cache does not have it either. {error.what}",
            f"Put that file into {declared.ingest.source} again. Or, if a DVC remote has it, run `dvc fetch "
            f"data/{declared.model}/source.dvc`. Or restore .dvc/cache from a backup.",
        ) from error


def _mend(project: Project, graph: Graph, declared: Declaration) -> str:
    """Restore missing or changed pinned files from DVC's cache, and say so.

    Returns the problem, in words, if the cache does not have them.
    """
    old, (pin, source) = pin_file.pinned(declared.model), records(graph).values()
    if old is None or old["kind"] != "files" or not source or _in_place(project, declared, old):
        return ""
    try:
        sources.check_files(declared.model, old)
    except IntegrityError as error:
        wrong = error.what
    else:
        return ""
    try:
        dvc_import.put_back(graph, pin, source)
        sources.check_files(declared.model, old)
    except RatchetError:
        return wrong
    graph.notices.append(f"{wrong} It was restored from DVC's cache")
    return ""


def _refresh(project: Project, graph: Graph, declared: Declaration, refused: str) -> tuple[str, str]:
    model, source, old = declared.model, declared.ingest.source, pin_file.pinned(declared.model)
    if sources.followed(source):
        return _follow(project, graph, declared, old, refused)
    if source.startswith("builtin:"):
        if pin_file.is_of(old, declared):
            return "Unchanged", f"{source} is pinned"
        pin_file.write(project, model, pin_file.of_builtin(declared))
        return "Ran", f"{source} pinned"
    found, waiting = scan.look(project, declared)
    pin = pin_file.of_files(declared, arrival_order.of(declared, old, found, unpinned.files(project, declared.model)))
    if old == pin and _in_place(project, declared, pin):
        return "Unchanged", "; ".join([f"{source}: nothing new", *waiting])
    if pin_file.version(pin) == refused:
        return "Unchanged", "; ".join([_stays(source, refused), *waiting])
    lost = lost_rows.suspects(project, source, old, found) if old and _stays_there(old, source) else {}
    if lost_rows.unfinished(project, source, lost):
        return "Unchanged", "; ".join([f"{source}: the pinned version stays", *waiting])
    if not found:
        raise DataError(f"The source {source} holds no complete file: {'; '.join(waiting)}.", "Run again later.")
    with scratch.folder("lost") as temporary:
        before = lost_rows.before(declared, old, lost, temporary) if old and lost else None
        with unless_it_fails(graph):
            _copy(found, sources.source_folder(model), [*scan.within(project, source), hidden_copies.place(project)])
            gone = lost_rows.check(declared, before, pin, temporary) if before else ""
            dvc_import.add(graph, project.root / sources.source_folder(model))
            pin_file.write(project, model, pin)
    return "Ran", "; ".join(filter(None, [pin_file.told(old, pin), gone, *waiting]))


def _stays_there(old: Pin, source: str) -> bool:
    """Whether the pinned rows should still be there, as in a folder of arrivals."""
    return bool(old["source"] == source and old["kind"] == "files" and scan.only_grows(source))


def news(project: Project, graph: Graph, declared: Declaration) -> str:
    """What `refresh` would pin, in words; nothing if all is pinned. Raises DataError if the source is missing."""
    source, old = declared.ingest.source, pin_file.pinned(declared.model)
    if source.startswith("builtin:"):
        return "" if pin_file.is_of(old, declared) else f"{source}: not pinned yet"
    if sources.followed(source):
        _check_followed(source)
        known = old is not None and pin_file.is_of(old, declared) and not _moved(graph, source, old)
        return "" if known else f"{source}: another version"
    found, waiting = scan.look(project, declared)
    pin = pin_file.of_files(declared, arrival_order.of(declared, old, found, unpinned.files(project, declared.model)))
    if old == pin and _in_place(project, declared, pin):
        return ""
    before, now = ({f["name"]: f["sha256"] for f in (p or {}).get("files", [])} for p in (old, pin))
    words = [f"{name} {'changed' if name in before else 'is new'}" for name in now if now[name] != before.get(name)]
    words += [f"{name} is gone" for name in before if name not in now]
    words += [f"read by reader {declared.ingest.reader}"] if old and not pin_file.is_of(old, declared) else []
    words = [*words[:MOST_NAMES], *([f"{len(words) - MOST_NAMES:,} more"] if len(words) > MOST_NAMES else []), *waiting]
    return f"{source}: {', '.join(words) or 'the pinned copy is incomplete'}"


def bring_back(graph: Graph, declared: Declaration, pin: str, source: str) -> tuple[str, str]:
    """Pin an earlier version of the data again: the texts of its pin.json and source.dvc ("" if it had none)."""
    wanted = check_source(declared, pin)
    with unless_it_fails(graph):
        dvc_import.put_back(graph, pin, source)
    return "Ran", f"{declared.ingest.source}: pin {pin_file.version(wanted)[:8]} brought back"


def check_source(declared: Declaration, pin: str) -> Pin:
    """The pin in a text of pin.json. Raises RequestError if it is of another source than the model's."""
    wanted: Pin = json.loads(pin)
    if wanted["source"] != declared.ingest.source:
        raise RequestError(
            f"That version was read from {wanted['source']}, but models/{declared.model}.yaml reads "
            f"{declared.ingest.source}.",
            "Restore the YAML of that version first, or choose another version.",
        )
    return wanted


@contextmanager
def unless_it_fails(graph: Graph) -> Iterator[None]:
    """If the block fails, pin the version again that was pinned before it."""
    saved = records(graph)
    try:
        yield
    except BaseException:
        restore(graph, saved)
        raise


def records(graph: Graph) -> dict[Path, str]:
    """The texts of pin.json and source.dvc, which name the pinned version; "" for none."""
    return {path: path.read_text(encoding="utf-8") if path.exists() else "" for path in _paths(graph)}


def restore(graph: Graph, saved: dict[Path, str]) -> None:
    """Pin again what was pinned when `records` read it."""
    pin, source = (saved[path] for path in _paths(graph))
    if pin:
        dvc_import.put_back(graph, pin, source)
    else:
        for path in _paths(graph):
            path.unlink(missing_ok=True)


def _paths(graph: Graph) -> list[Path]:
    folder = graph.project.data(graph.model)
    return [folder / "pin.json", folder / "source.dvc"]


class _Refused(Exception):
    """The fetched version is one that a run refused."""


def _follow(project: Project, graph: Graph, declared: Declaration, old: Pin | None, refused: str) -> tuple[str, str]:
    """Import a path or URL outside the project, if it has changed since the last import."""
    model, source = declared.model, declared.ingest.source
    _check_followed(source)
    here = old is not None and pin_file.is_of(old, declared) and _in_place(project, declared, old)
    if old is not None and here and not _moved(graph, source, old):
        return "Unchanged", f"{source}: nothing new"
    if mnist_http.is_folder(source):
        return _fetch(project, graph, declared, old, refused)
    folder = project.root / sources.source_folder(model)
    name = Path(urlsplit(source).path).name
    with suppress(_Refused), unless_it_fails(graph):
        if old is None or old["source"] != source:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        dvc_import.follow(graph, source, folder if source.endswith("/") else folder / name)
        pin = pin_file.of_files(declared, scan.read(project, declared, folder, _files(folder, source)))
        if pin_file.version(pin) == refused:
            raise _Refused
        if pin != old:
            pin_file.write(project, model, pin)
        return ("Unchanged", f"{source}: the same content") if pin == old else ("Ran", pin_file.told(old, pin))
    return "Unchanged", _stays(source, refused)


def _check_followed(source: str) -> None:
    """Raises DataError for files that DVC would wait for, and for links that leave the declared place."""
    if "://" not in source and os.path.exists(source):
        regular_files.check_tree(Path(source))


def _moved(graph: Graph, source: str, old: Pin) -> bool:
    """Whether a path or URL may differ from the pin. Nothing is fetched."""
    return (
        mnist_http.moved(source, old.get("versions", {}))
        if mnist_http.is_folder(source)
        else dvc_import.moved(graph, source)
    )


def _fetch(project: Project, graph: Graph, declared: Declaration, old: Pin | None, refused: str) -> tuple[str, str]:
    """Download the files below an address, which DVC's import cannot follow, and pin them like those of a folder."""
    source = declared.ingest.source
    with scratch.folder("web") as fetched:
        versions = mnist_http.fetch(source, fetched)
        found = scan.read(project, declared, fetched, _files(fetched, source))
        pin = pin_file.of_files(declared, found) | {"versions": versions}
        if pin_file.version(pin) == refused:
            return "Unchanged", _stays(source, refused)
        with unless_it_fails(graph):
            _copy(found, sources.source_folder(declared.model))
            dvc_import.add(graph, project.root / sources.source_folder(declared.model))
            pin_file.write(project, declared.model, pin)
    same = old is not None and old["source"] == source and pin_file.version(old) == pin_file.version(pin)
    return ("Unchanged", f"{source}: the same content") if same else ("Ran", pin_file.told(old, pin))


def _stays(source: str, refused: str) -> str:
    return f"{source}: pin {refused[:8]} was refused, so the pin before it stays"


def _files(folder: Path, source: str) -> list[Path]:
    there, pictures = sorted(path for path in folder.glob("*") if path.name != ".gitignore"), images.listed(folder)
    nested = [path.name for path in there if path.is_dir()]
    if nested and not pictures:
        raise DataError(
            f"The source {source} holds a folder, {nested[0]}.",
            "Follow a folder that holds only files, or only class folders with images.",
        )
    found = [path for path in there if not path.is_dir()] + pictures
    if not found:
        raise DataError(f"The source {source} holds no file.", "Put the data there, or correct `ingest: source:`.")
    return found


def _in_place(project: Project, declared: Declaration, pin: Pin) -> bool:
    """Whether the pinned files lie where stages read them. `ingest` looks again, at every byte."""
    folder = project.root / sources.source_folder(declared.model)
    try:
        there = [one.entry() for one in scan.read(project, declared, folder, _files(folder, ""))]
        return sorted(there, key=_by_name) == sorted(pin["files"], key=_by_name)
    except DataError:
        return False


def _by_name(entry: dict[str, Any]) -> str:
    return str(entry["name"])


def _copy(found: list[Arrival], folder: Path, within: Sequence[Path] = ()) -> None:
    """Copy into a fresh folder, check the copies, and swap it in. Raises DataError if a file changed meanwhile.

    within: where links may lead.
    """
    partial = folder.with_name(".source.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for arrival in found:
        (partial / arrival.name).parent.mkdir(parents=True, exist_ok=True)
        copied = regular_files.copy(arrival.path, partial / arrival.name, within)
        if copied != arrival.sha256 or (partial / arrival.name).stat().st_size != arrival.bytes:
            raise DataError(f"{arrival.path} changed while it was being read.", "Run again when nothing writes it.")
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)
