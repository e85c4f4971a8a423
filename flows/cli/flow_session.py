"""A flow's session: a Prefect server to talk to, and progress for people."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from flows.cli import terminate
from flows.project import environment
from flows.project.environment import Project
from flows.report import progress
from flows.servers import lifecycle, prefect_login


@contextmanager
def server(project: Project, shown: progress.Progress) -> Iterator[None]:
    """Around a flow: a Prefect server to talk to, progress for people, an end for SIGTERM as for Ctrl-C."""
    with lifecycle.for_a_run(project) as url, environment.variable("PREFECT_API_URL", url), terminate.listening():
        from prefect.events.worker import EventsWorker  # Prefect: 1.5 s
        from prefect.logging.handlers import APILogWorker
        from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

        login = prefect_login.settings(project)  # here and in no variable: stages and hooks inherit those
        logging.raiseExceptions = False  # that Prefect's log could not be sent is no news: what has failed is told
        try:
            # a heartbeat's thread ends up to a second late
            with temporary_settings(login | {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
                yield
        finally:
            shown.close()
            for worker in (APILogWorker, EventsWorker):  # while the server still listens
                worker.drain_all(timeout=10)


def watched(quiet: bool) -> progress.Progress:
    from rich.console import Console

    return progress.Progress() if quiet and not sys.stderr.isatty() else progress.Shown(Console(stderr=True))


def is_shared(project: Project) -> bool:
    return bool(project.prefect) or "prefect" in lifecycle.recorded(project)
