"""The page of a run (flows/report/failure_page.py) where people look for it: on disk, in Prefect and MLflow, in the
message."""

from collections.abc import Iterator
from contextlib import contextmanager

from flows.report import failure_page, prefect_artifacts
from flows.report.failure_page import Page
from flows.run.tasks import Run
from pipelines.errors import StageError


def refused(run: Run, error: StageError) -> None:
    """A stage has refused the data: show why. The error then names the page; nothing here hides what has failed."""
    with _without_it(run):
        found = failure_page.write(run.project, run.declared, run.data, str(error))
        if found is None:
            return
        run.broken = found.broken
        path = f"data/{run.model}/failed/page.html"
        said, error.args = str(error), (f"{error} {path} shows it: since when, and what can be done.",)
        with _without_it(run):
            prefect_artifacts.page(run.model, found)
        stage = error.stage.partition("@")[0]
        run.call("tracking.refusal.log", run.project, run.model, stage, run.data, run.tags, said, found.files)


def passed(run: Run) -> None:
    """Every stage has passed: what only warned, or set rows aside, is shown as well, and published with the run."""
    with _without_it(run):
        run.broken = []
        found = failure_page.write(run.project, run.declared, run.data)
        if found is None:
            return
        run.broken = found.broken
        if found.warnings:
            run.tags["ratchet.warnings"] = "; ".join(found.warnings)
        run.page = found


def show(run: Run) -> None:
    """In Prefect, the page of a run that passed."""
    if isinstance(run.page, Page):
        prefect_artifacts.page(run.model, run.page)


@contextmanager
def _without_it(run: Run) -> Iterator[None]:
    """A page that cannot be made or shown costs nobody his run, and is said."""
    try:
        yield
    except Exception as error:
        run.shown.notice(f"the page about the data could not be shown: {type(error).__name__}: {error}")
