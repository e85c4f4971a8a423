"""Lost rows: which rows of the pinned version a new delivery no longer has.

A file may be replaced under its own name: that is a new version of the data. Rows are compared by their identities, so
their order, the name of their file and its compression do not count. A model says which share of its rows a delivery
may lose: `ingest: may_lose:`. More than that is a mistake until a person says that it is none.
"""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from flows.data import diff
from flows.data.arrivals import scan
from flows.data.arrivals.scan import Arrival
from flows.project.environment import Project
from pipelines import ingest
from pipelines.errors import DataError, IntegrityError
from pipelines.model_file import Declaration
from pipelines.readers import images, sources
from pipelines.readers.formats import idx
from pipelines.safety import regular_files
from pipelines.table import row_groups

Pin = dict[str, Any]
MOST_NAMES = 5  # of files, in one message
SCHEMA = pa.schema([pa.field("row_id", pa.string())])


@dataclass(frozen=True)
class Before:
    """What of the pinned version may be lost: `files`, by name, "replaced" or "gone"; `rows`, the number in the whole
    version; `ids`, a table of the identities in these files, None where they cannot be read by the YAML of now."""

    files: dict[str, str]
    pin: Pin
    rows: int
    ids: Path | None


def suspects(project: Project, source: str, old: Pin, found: list[Arrival]) -> dict[str, str]:
    """The pinned files that are "replaced" or "gone". A file that grew at its end, or was withdrawn, is neither."""
    now, place = {arrival.name: arrival for arrival in found}, scan.place(project, source)
    wrong = {}
    for entry in old["files"]:
        name, there = entry["name"], now.get(entry["name"])
        if there and there.sha256 != entry["sha256"] and not begins(there.path, entry):
            wrong[name] = "replaced"
        elif not there and not scan.withdrawn(place / name):
            wrong[name] = "gone"
    return wrong


def unfinished(project: Project, source: str, suspected: dict[str, str]) -> bool:
    """Whether a pinned file lies there and was not picked up: it is being replaced, and not whole yet."""
    folder = scan.place(project, source)
    return any(how == "gone" and regular_files.is_one(folder / name) for name, how in suspected.items())


def before(declared: Declaration, old: Pin, files: dict[str, str], folder: Path) -> Before:
    """What may be lost; to be read while the old files still lie where they are pinned. folder: for the identities.

    Raises DataError if the pinned files are damaged.
    """
    total = sum(int(entry.get("rows", 0)) for entry in old["files"])
    try:
        ids = _identities(declared, old, files, folder / "before.parquet")
    except IntegrityError as error:
        name, how = next(iter(files.items()))
        raise DataError(f"In {declared.ingest.source} {_verb(name, how)}.", f"Put it back. {error.do}") from error
    return Before(files, old, total, ids)


def check(declared: Declaration, was: Before, pin: Pin, folder: Path) -> str:
    """What is lost, in words; to be read when the new files lie where they are pinned, before they are pinned.

    folder: for the identities. Raises DataError if it is more than the model may lose.
    """
    lost, sure = _lost(declared, was, pin, folder)
    most, share = declared.ingest.may_lose, lost / max(1, was.rows)
    if share > most:
        raise DataError(_said(was, lost, share, declared), _advice(was, share, declared))
    if not sure:
        return "its rows cannot be compared with those before"
    if not lost:
        return ""
    them = f"{lost:,} row{'s' if lost > 1 else ''} of the version before {'are' if lost > 1 else 'is'} gone"
    return f"{them} ({_percent(share)}): `ratchet data {declared.model} --diff champion latest` shows the difference"


def _lost(declared: Declaration, was: Before, pin: Pin, folder: Path) -> tuple[int, bool]:
    """How many rows are lost, and whether each was looked at. If they cannot be read, the numbers of rows must do."""
    known = {entry["name"]: entry["sha256"] for entry in was.pin["files"]}
    if all(images.is_image(Path(name)) for name in was.files):  # a picture is a row, and its folder the label
        kept = {(_label(entry["name"]), entry["sha256"]) for entry in pin["files"]}
        return sum((_label(name), known[name]) not in kept for name in was.files), True
    fresh = {entry["name"]: "" for entry in pin["files"] if known.get(entry["name"]) != entry["sha256"]}
    now = _identities(declared, pin, fresh, folder / "now.parquet")
    if was.ids is None or now is None:
        return max(0, was.rows - sum(int(entry.get("rows", 0)) for entry in pin["files"])), False
    return diff.rows(was.ids, now)["only_a"], True


def _identities(declared: Declaration, pin: Pin, names: dict[str, str], path: Path) -> Path | None:
    """A table of the identities of the rows in some files of a pin; None where they cannot be read by the YAML of now:
    if it is the new ones, `ingest` will say why."""
    together = any(idx.is_idx(Path(name)) for name in names)  # images and labels are rows only together
    try:
        with row_groups.Writer(path, SCHEMA) as out:
            for where, content in ingest.pinned(declared.model, declared.data, pin, declared.ingest):
                if where in names or (together and idx.is_idx(Path(where))):
                    for batch in ingest.ingest(content, declared.data, declared.ingest, where):
                        out.write(pa.RecordBatch.from_arrays([batch["row_id"]], schema=SCHEMA))
    except DataError:
        return None
    return path


def _said(was: Before, lost: int, share: float, declared: Declaration) -> str:
    files = [_verb(name, how) for name, how in was.files.items()]
    more = [f"and {len(files) - MOST_NAMES:,} more files" if len(files) > MOST_NAMES else ""]
    named = ", ".join(filter(None, [*files[:MOST_NAMES], *more]))
    return (
        f"{declared.ingest.source} has lost {lost:,} of {was.rows:,} pinned rows ({_percent(share)}): {named}. At most "
        f"{_percent(declared.ingest.may_lose)} may be lost at once. The pinned version stays."
    )


def _verb(name: str, how: str) -> str:
    return f"{name} was replaced" if how == "replaced" else f"{name} is gone"


def _advice(was: Before, share: float, declared: Declaration) -> str:
    name, folder = next(iter(was.files)), sources.source_folder(declared.model)
    wanted = (
        f"write `may_lose: {math.ceil(share * 100 - 1e-9) / 100:g}` under `ingest:` in models/{declared.model}.yaml"
    )
    if was.files[name] == "gone":
        wanted = f"put an empty file {name}.withdrawn in its place, or {wanted}"
    return f"If these rows should go, {wanted}. If not, put the file back: a copy is {folder / name}."


def begins(path: Path, entry: dict[str, Any]) -> bool:
    """Whether a file still begins with its pinned content."""
    digest, left = hashlib.sha256(), int(entry["bytes"])
    with regular_files.opened(path) as file:
        while left and (block := file.read(min(left, 1 << 20))):
            digest.update(block)
            left -= len(block)
    return not left and digest.hexdigest() == entry["sha256"]


def _label(name: str) -> str:
    return name.rpartition("/")[0]


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
