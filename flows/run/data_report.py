"""The page of a run (flows/report/failure_page.py) where people look for it: on disk, in Prefect and MLflow, in the
message."""

from collections.abc import Iterator
from contextlib import contextmanager

from flows.report import failure_page, prefect_artifacts
from flows.report.failure_page import Page
from flows.run import remote_calls
from flows.run.context import RunContext, RunRecord
from pipelines.errors import StageError


def refused(run: RunContext, record: RunRecord, tags: dict[str, str], error: StageError) -> None:
    """A stage has refused the data: show why. The error then names the page; nothing here hides what has failed."""
    with _without_it(run):
        found = failure_page.write(run.project, run.declared, record.data, str(error))
        if found is None:
            return
        record.broken = found.broken
        path = f"data/{run.model}/failed/page.html"
        said, error.args = str(error), (f"{error} {path} shows it: since when, and what can be done.",)
        with _without_it(run):
            prefect_artifacts.page(run.model, found)
        arguments = (run.project, run.model, error.stage.partition("@")[0], record.data, tags, said, found.files)
        run.mlflow.call(remote_calls.log_refusal, *arguments)


def passed(run: RunContext, record: RunRecord, tags: dict[str, str]) -> Page | None:
    """Every stage has passed: what only warned, or set rows aside, is shown as well, and published with the run.

    tags: of the run in MLflow; warnings are added. Returns the page, if something is to be said.
    """
    with _without_it(run):
        record.broken = []
        found = failure_page.write(run.project, run.declared, record.data)
        if found is None:
            return None
        record.broken = found.broken
        if found.warnings:
            tags["ratchet.warnings"] = "; ".join(found.warnings)
        return found
    return None


@contextmanager
def _without_it(run: RunContext) -> Iterator[None]:
    """A page that cannot be made or shown costs nobody his run, and is said."""
    try:
        yield
    except Exception as error:
        run.shown.notice(f"the page about the data could not be shown: {type(error).__name__}: {error}")
