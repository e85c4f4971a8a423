"""A flow's session: a Prefect server to talk to, and progress for people."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from flows.project import environment
from flows.project.environment import Project
from flows.report import progress
from flows.servers import lifecycle, prefect_login
from flows.servers.lifecycle import ForARun


@contextmanager
def server(project: Project, shown: progress.Progress, api: ForARun) -> Iterator[None]:
    """Around a flow: a Prefect server to talk to, and progress for people."""
    with environment.variable("PREFECT_API_URL", api.url()):
        from prefect.events.worker import EventsWorker
        from prefect.logging.handlers import APILogWorker
        from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

        login = prefect_login.settings(project)  # here and in no variable: stages and hooks inherit those
        own = {PREFECT_API_URL: os.environ["PREFECT_API_URL"], PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
        logging.raiseExceptions = False  # that Prefect's log could not be sent is no news: what has failed is told
        try:
            # a heartbeat's thread ends up to a second late
            with temporary_settings(login | own):
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
