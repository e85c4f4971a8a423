"""What a command has done before its flow begins: DVC's files are read, and the source has been looked at."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from flows.data import refresh
from flows.data.arrivals import unended
from flows.graph.pipeline import Graph
from flows.labels import learned
from flows.project import preflight
from flows.run import due
from flows.run.context import RunContext


@dataclass(frozen=True)
class Early:
    """graph: open, and what it has read is not read again. saved: what was pinned before; refreshed: of `refresh`."""

    graph: Graph
    saved: dict[Path, str]
    refreshed: tuple[str, str]


@contextmanager
def begun(run: RunContext) -> Iterator[Early]:
    """Open the graph and refresh the pin. Raises what they raise: then the flow does the same again, and shows it."""
    with Graph(run.project, run.model) as graph:
        preflight.cache(graph.cache)
        saved = refresh.records(graph)
        unended.wait(run.project, run.declared.ingest, run.shown.notice)
        refused = "" if run.request.force else due.refused(run.project, graph, run.declared)
        refreshed = learned.refreshed(run.project, graph, run.declared, refused, datetime.now(UTC))
        yield Early(graph, saved, refreshed)
