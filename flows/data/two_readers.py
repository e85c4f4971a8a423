"""The pinned rows as two readers read them, side by side: what a newer one changes, and how to match their rows."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines import ingest
from pipelines.ingest import Ingest
from pipelines.model_file import Declaration
from pipelines.readers import sources


@dataclass
class Changes:
    """rows: of the data; identities: rows that get another one; cells: that change, by column, with an example."""

    rows: int = 0
    identities: int = 0
    cells: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[Any]] = field(default_factory=dict)  # before and after; none of a sensitive column


def side_by_side(declared: Declaration, number: int) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """The rows by the declared reader, and the same rows by another one. Raises DataError as either of them does."""
    pin, ours = sources.read_pin(declared.model), declared.ingest
    both = [_typed(declared, pin, config) for config in (ours, ours.model_copy(update={"reader": number}))]
    yield from zip(*both, strict=True)


def _typed(declared: Declaration, pin: dict[str, Any], config: Ingest) -> Iterator[pa.RecordBatch]:
    for where, content in ingest.pinned(declared.model, declared.data, pin, config):
        yield from ingest.ingest(content, declared.data, config, where)


def changes(declared: Declaration, number: int) -> Changes:
    """What another reader would change in the pinned rows."""
    found = Changes()
    for ours, theirs in side_by_side(declared, number):
        found.rows += ours.num_rows
        found.identities += pc.sum(pc.not_equal(ours["row_id"], theirs["row_id"])).as_py() or 0
        for name in (name for name in ours.schema.names if name != "row_id"):
            _compare(found, name, ours[name], theirs[name], name in declared.data.sensitive)
    return found


def _compare(found: Changes, name: str, ours: pa.Array, theirs: pa.Array, sensitive: bool) -> None:
    differ = pc.or_(pc.fill_null(pc.not_equal(ours, theirs), False), pc.xor(ours.is_null(), theirs.is_null()))
    if count := pc.sum(differ).as_py():
        found.cells[name] += count
        if not sensitive and name not in found.examples:
            row = pc.index(differ, True).as_py()
            found.examples[name] = [ours[row].as_py(), theirs[row].as_py()]
