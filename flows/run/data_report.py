"""Shows the page about a run's data (flows/report/failure_page.py) on disk, in Prefect, in MLflow, and in the error."""

from collections.abc import Iterator
from contextlib import contextmanager

from flows.report import failure_page, prefect_artifacts
from flows.report.failure_page import Page
from flows.run import remote_calls
from flows.run.context import RunContext, RunRecord
from pipelines.errors import StageError


def refused(run: RunContext, record: RunRecord, tags: dict[str, str], error: StageError) -> None:
    """Show why a stage refused the data. The error then names the page; a failure here never hides the error."""
    with _without_it(run):
        found = failure_page.write(run.project, run.declared, record.data, str(error))
        if found is None:
            return
        record.broken, record.headline = found.broken, found.title
        path = f"data/{run.model}/failed/page.html"
        said, error.args = str(error), (f"{error} {path} shows since when, and what you can do.",)
        with _without_it(run):
            prefect_artifacts.page(run.model, found)
        arguments = (run.project, run.model, error.stage.partition("@")[0], record.data, tags, said, found.files)
        run.mlflow.call(remote_calls.log_refusal, *arguments)


def passed(run: RunContext, record: RunRecord, tags: dict[str, str]) -> Page | None:
    """Show and publish the warnings and the rows set aside of a run whose stages all passed.

    tags: of the run in MLflow; warnings are added. Returns the page, or None if there is nothing to show.
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
    """Turn a failure of the page into a notice: it must not fail the run."""
    try:
        yield
    except Exception as error:
        run.shown.notice(f"the page about the data could not be shown: {type(error).__name__}: {error}")
