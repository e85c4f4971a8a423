"""Pin file: data/<model>/pin.json, which says what the stages of a model read, by hash."""

import hashlib
import json
from typing import Any

from flows.data import last_good, unpinned
from flows.data.arrivals import hidden_copies
from flows.data.arrivals.scan import Arrival
from flows.graph import pins
from flows.project import whole_files
from flows.project.environment import Project
from flows.project.plain_words import many
from pipelines.config import settings
from pipelines.config.data import Data
from pipelines.config.settings import FORMAT
from pipelines.model_file import Declaration
from pipelines.readers import sources
from pipelines.table import profile, time_edges

Pin = dict[str, Any]


def pinned(model: str) -> Pin | None:
    """The pin, without what is in it of the version before: stages do not read data by that."""
    if not sources.pin_path(model).exists():
        return None
    return {key: value for key, value in sources.read_pin(model).items() if key not in ("reference", "edges")}


def is_of(old: Pin | None, declared: Declaration) -> bool:
    """Whether a pin is of the declared source, by the declared reader; the first reader has no number."""
    wanted = declared.ingest.source, declared.ingest.reader
    return old is not None and (old["source"], old.get("reader", 1)) == wanted


def version(pin: Pin) -> str:
    """The hash of a pin's content: of a built-in set's rows, or of the names and hashes of its files."""
    if pin["kind"] == "builtin":
        return str(pin["sha256"])
    return hashlib.sha256(json.dumps([[f["name"], f["sha256"]] for f in pin["files"]]).encode()).hexdigest()


def rows(pin: Pin) -> int:
    """How many rows a pin names."""
    return int(pin["rows"]) if pin["kind"] == "builtin" else sum(int(file.get("rows", 0)) for file in pin["files"])


def told(old: Pin | None, pin: Pin) -> str:
    """What changed from one pin to the next: rows, bytes, hash."""
    size = sum(file["bytes"] for file in pin["files"])
    if old is None or old["kind"] != "files":
        return f"{pin['source']} pinned: {many(rows(pin), 'row')}, {size:,} bytes, pin {version(pin)[:8]}"
    before = sum(file["bytes"] for file in old["files"])
    return (
        f"{pin['source']} pinned: {rows(pin) - rows(old):+,} rows, {size - before:+,} bytes, "
        f"pin {version(old)[:8]} -> {version(pin)[:8]}"
    )


def plain(declared: Declaration, pin: Pin) -> str:
    """Where columns are private and the pinned source holds them as they came: that, and why. Else ""."""
    why = hidden_copies.plain(declared, [file["name"] for file in pin.get("files", [])])
    return f"the pinned source is plain, private columns too: {why}" if why else ""


def of_files(declared: Declaration, found: list[Arrival]) -> Pin:
    head = {"format": FORMAT, "source": declared.ingest.source, "kind": "files", **_reader(declared)}
    hides = bool(declared.ingest.private) and not hidden_copies.plain(declared, [one.name for one in found])
    return head | ({"hidden": True} if hides else {}) | {"files": [arrival.entry() for arrival in found]}


def _reader(declared: Declaration) -> Pin:
    """The reader's number, which the pin keeps."""
    return {"reader": declared.ingest.reader} if declared.ingest.reader > 1 else {}


def of_builtin(declared: Declaration) -> Pin:
    name = declared.ingest.source.removeprefix("builtin:")
    table = sources.builtin(name)
    return {
        "format": FORMAT,
        "source": declared.ingest.source,
        "kind": "builtin",
        "name": name,
        "rows": table.num_rows,
        "sha256": sources.builtin_hash(table),
        **_reader(declared),
    }


def write(project: Project, model: str, pin: Pin) -> None:
    """Write a pin with the profile and the edges of the last good version. They stay while the same data are pinned."""
    path, old = sources.pin_path(model), pinned(model)
    edges = sources.read_pin(model).get("edges") if old is not None else unpinned.edges(project, model)
    if old is not None and version(old) == version(pin):
        before = profile.reference(path)
    else:
        before = profile.without(last_good.profile(project, model), settings.load(model, "data", Data).sensitive)
        edges = time_edges.later(last_good.edges(project, model), edges)  # a fresh clone knows only those of the pin
    text = json.dumps(pin | ({"edges": edges} if edges else {}), indent=2)
    if before is not None:
        inner = profile.text(before).replace("\n", "\n  ")
        text = text.removesuffix("\n}") + f',\n  "reference": {inner}\n}}'
    path.parent.mkdir(parents=True, exist_ok=True)
    whole_files.write(path, text + "\n")
    pins.note(project, model)
