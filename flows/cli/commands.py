"""What the commands do, each around the flows: locks, servers, and the words at the end."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from flows.cli import terminate
from flows.graph import model_list
from flows.predict.file_paths import Wanted
from flows.processes import background_pool, fork_pool
from flows.project import locks, scratch
from flows.project.environment import Project
from flows.report import progress
from flows.run import context, trigger
from flows.run.context import RunContext
from flows.run.trigger import RunRequest
from flows.schedule import control
from flows.servers import lifecycle, prefect_login
from pipelines import model_file
from pipelines.config import settings
from pipelines.errors import RequestError, StageError


def run(
    project: Project, model: str, quiet: bool, wait: bool = True, request: RunRequest | None = None
) -> dict[str, Any]:
    """Retrain one model. Raises RatchetError with the paragraph that says what to do.

    wait: whether to wait for another run that holds what this one needs, or to raise BusyError.
    """
    declared = context.checked(project, model)
    shown = _watched(quiet)
    if model_list.add(project, model):
        shown.notice(f"{model} is new in dvc.yaml, in the list of models")
    what = f"ratchet run {model}"
    with ExitStack() as stack:
        if not _shared_server(project):  # two embedded servers must not share a database: one run at a time
            stack.enter_context(locks.hold(project, "run", what, wait, shown.notice))
        stack.enter_context(locks.hold(project, f"model-{model}", what, wait, shown.notice))
        opened = stack.enter_context(context.opened(project, declared, request or RunRequest(), shown))
        if stage := fork_pool.first_stage(project, declared):  # imported there while Prefect is imported here
            opened.pool.begin(stage, declared.train)
        else:
            opened.mlflow.begin()
        stack.enter_context(_prefect(project, shown))
        return _retrain(opened) | {"next": _next(project)}


def _retrain(opened: RunContext) -> dict[str, Any]:
    from prefect import tags

    from flows import retrain

    try:
        with tags(opened.project.clone):
            return retrain.by_hand(opened)
    except StageError as error:
        back = f"The champion is as it was; `ratchet restore {opened.model}` brings the workspace back to its data."
        raise StageError(error.stage, f"{error} {back}", error.status) from error


def verify(
    project: Project, model: str, version: int | None, accept: str, tolerance: float, recreate: bool, quiet: bool
) -> dict[str, Any]:
    """Rebuild one version, or for "all" every champion as a Prefect flow. Raises RatchetError."""
    shown = _watched(quiet)
    if model != "all":
        from flows.verify.verify import verify as one

        return one(project, model, version, tolerance, recreate, shown)
    if version is not None:
        raise RequestError("`ratchet verify all` takes the champions: --version belongs to one model.")
    with ExitStack() as stack:
        if not _shared_server(project):
            stack.enter_context(locks.hold(project, "run", "ratchet verify all", notice=shown.notice))
        stack.enter_context(locks.hold(project, "verify", "ratchet verify all", notice=shown.notice))
        stack.enter_context(_prefect(project, shown))
        from prefect import tags

        from flows.verify import nightly

        with tags(project.clone):
            return nightly.by_hand(project, shown, accept, tolerance, recreate)


@contextmanager
def _prefect(project: Project, shown: progress.Progress) -> Iterator[None]:
    """Around a flow: a Prefect server to talk to, progress for people, an end for SIGTERM as for Ctrl-C."""
    with lifecycle.for_a_run(project) as url:
        os.environ["PREFECT_API_URL"] = url
        from prefect.events.worker import EventsWorker  # Prefect: 1.5 s
        from prefect.logging.handlers import APILogWorker
        from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

        login = prefect_login.settings(project)  # here and in no variable: stages and hooks inherit those
        terminate.listen()
        logging.raiseExceptions = False  # that Prefect's log could not be sent is no news: what has failed is told
        try:
            # a heartbeat's thread ends up to a second late
            with temporary_settings(login | {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
                yield
        finally:
            shown.close()
            for worker in (APILogWorker, EventsWorker):  # while the server still listens
                worker.drain_all(timeout=10)


def _watched(quiet: bool) -> progress.Progress:
    from rich.console import Console

    return progress.Progress() if quiet and not sys.stderr.isatty() else progress.Shown(Console(stderr=True))


def _shared_server(project: Project) -> bool:
    return bool(project.prefect) or "prefect" in lifecycle.recorded(project)


def _next(project: Project) -> str:
    if _shared_server(project):
        return f"{lifecycle.address(project, 'mlflow')} and {lifecycle.address(project, 'prefect')}"
    return "`ratchet up` opens the pages of MLflow and Prefect, `ratchet status` shows every model"


def up(project: Project, schedule: bool = True, preload: bool = True) -> dict[str, Any]:
    """Servers, warm processes, scheduler; `schedule` of the answer is {} without one, and `problem` says why."""
    answer: dict[str, Any] = {"format": 1, "servers": [asdict(server) for server in lifecycle.up(project).values()]}
    answer |= {"login": lifecycle.login(project)}
    if preload:
        background_pool.up(project)
    answer |= {"warm": preload}
    try:
        return answer | {"schedule": control.start(project) if schedule else {}, "problem": ""}
    except RequestError as error:  # without git there is nothing to run from: the servers are up all the same
        return answer | {"schedule": {}, "problem": str(error)}


def down(project: Project) -> dict[str, Any]:
    """The scheduler first, so that it starts nothing more. Raises BusyError while a run is active."""
    lifecycle.check_idle(project)
    stopped = ["schedule"] if control.stop(project) else []
    stopped += ["warm"] if background_pool.down(project) else []
    return {"format": 1, "stopped": stopped + lifecycle.down(project)}


def schedule(project: Project, parallel: int | None) -> dict[str, Any]:
    """Serve every model's schedule in this terminal, until it is stopped."""
    control.here(project, parallel)
    return {}


def data(project: Project, model: str, words: tuple[str, str] | None, changed: bool) -> dict[str, Any]:
    """The versions of a model's data, or two compared, or an event that says that they changed. Raises RequestError."""
    if changed:
        return _tell_of_data(project, model)
    from flows.data.versions import data as work

    return work(project, model, words)


def _tell_of_data(project: Project, model: str) -> dict[str, Any]:
    """The event that the automation of a model's deployment acts on. Raises RequestError if nobody listens."""
    model_file.check(model)
    if not _shared_server(project):
        raise RequestError("No server of Prefect's is up, so nobody would learn of it.", "Run `ratchet up` first.")
    import requests

    event = {"id": str(uuid4()), "occurred": datetime.now(UTC).isoformat(), "event": trigger.CHANGED}
    with lifecycle.for_a_run(project) as url:
        told = requests.post(
            f"{url}/events",
            json=[event | {"resource": trigger.about(model)}],
            auth=prefect_login.of_requests(project),
            timeout=10,
        )
        told.raise_for_status()
    return {"format": 1, "model": model, "event": trigger.CHANGED}


def compare(project: Project, model: str, words: tuple[str, str], output: str, here: str) -> dict[str, Any]:
    """Two versions side by side; nothing is changed. Raises RequestError, IntegrityError."""
    from flows.compare import compare as comparing

    return comparing.compare(project, model, words, output, Path(here))


def predict(project: Project, wanted: Wanted, quiet: bool) -> dict[str, Any]:
    """The answers of a registered model to the rows of a file. Raises RequestError, DataError, IntegrityError."""
    from flows.predict import predict as predicting

    terminate.listen()  # the half-written file goes in both cases
    return predicting.predict(project, wanted, _watched(quiet).notice)


def rollback(project: Project, model: str, reason: str, hold: bool) -> dict[str, Any]:
    """The champion before this one is champion again. Raises RequestError if there is none."""
    from flows.promotion import champion_alias

    settings.check_name(model)
    return champion_alias.rollback(project, model, reason, hold)


def promote(project: Project, model: str, version: int | None, reason: str, adopt: bool) -> dict[str, Any]:
    """A person's decision. Raises RequestError if it says neither why, nor which version or `adopt`."""
    from flows.promotion import champion_alias

    settings.check_name(model)
    if not reason.strip():
        raise RequestError(f"Promoting {model} by hand needs a reason for the ledger.", "Add --reason '...'.")
    if adopt == (version is not None):
        raise RequestError(
            "Say which version to promote, or --adopt to take over an alias that was moved: one of them."
        )
    if version is not None:
        return champion_alias.promote(project, model, version, reason)
    return champion_alias.adopt(project, model, reason)


def prune(project: Project, model: str | None, dry_run: bool, quiet: bool) -> dict[str, Any]:
    """Delete old versions, and the data that only they need. Raises IntegrityError, RequestError."""
    from flows.prune.prune import prune as work

    return work(project, model, dry_run, _watched(quiet).notice)


def restore(project: Project, model: str) -> dict[str, Any]:
    """Bring pin, dvc.lock entries and outputs back to the champion's. Raises RequestError if there is no champion."""
    from flows.graph import lockfile
    from flows.graph.pipeline import Graph
    from flows.registry import definition, model_registry
    from flows.tracking import mlflow_runs

    model_file.check(model)
    with locks.hold(project, f"model-{model}", f"ratchet restore {model}"), mlflow_runs.reachable(project):
        store = mlflow_runs.client(project)
        champion = model_registry.champion(store, model)
        if champion is None:
            raise RequestError(f"{model} has no champion to go back to.", f"Run `ratchet run {model}` first.")
        with scratch.folder("restore") as temporary:
            run = store.get_run(str(champion.run_id))
            wanted = {"dvc.lock", "pin.json", "source.dvc"} & definition.names(store, run)
            files = {name: definition.fetch(store, run, name, temporary) for name in sorted(wanted)}
            with Graph(project, model) as graph:
                lockfile.restore(project, graph, files)
                told = "".join(f"; {one}" for one in graph.notices)
    return {"format": 1, "restored": f"data/{model} is that of version {champion.version}, the champion{told}"}
