"""Deploy: what the ledger says becomes live on this machine. Doing it again changes nothing.

A version that cannot be fetched as it was registered is never live: what was live before stays, and `problem` says why.
So does an alias that was changed outside Ratchet: the ledger is right.
"""

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from flows.deployment import (
    explanation_files,
    freshness,
    live_file,
    registered_version,
    serving_files,
    trial,
    version_folder,
)
from flows.deployment.live_file import Live
from flows.deployment.serving_files import LATER, Serving
from flows.deployment.version_folder import AGAIN, Version
from flows.project import locks, scratch
from flows.project.environment import Project
from flows.promotion import champion_alias
from flows.records import ledger
from flows.records.champion_state import Standing, stand
from flows.records.ledger import Ledger
from flows.registry import model_registry
from flows.registry.model_registry import ModelVersion
from flows.tracking import mlflow_runs
from flows.tracking.mlflow_runs import MlflowClient
from pipelines.errors import IntegrityError, RatchetError


def ensure(project: Project, names: Sequence[str], notice: locks.Notice) -> dict[str, str]:
    """Make live what the ledger says of these models, and then make serving files that are missing.

    Returns the problems by model, "" for none. Raises RatchetError if ledger or registry cannot be reached.
    """
    with mlflow_runs.reachable(project, AGAIN):
        store, book = mlflow_runs.client(project), ledger.of(project)
        found = {model: deploy(project, store, book, model) for model in names}
        for model in [model for model, live in found.items() if live.unmade and not live.problem]:
            found[model] = _with_serving_files(project, store, book, model, notice)
    return {model: live.problem for model, live in found.items()}


def now(project: Project, model: str) -> dict[str, Any]:
    """Make live what the ledger says of a model, with the serving files that there are: the last step of a move.

    Returns version, variant, runtime, why and problem, for people.
    """
    with mlflow_runs.reachable(project, AGAIN):
        found = deploy(project, mlflow_runs.client(project), ledger.of(project), model)
    return {name: getattr(found, name) for name in ("version", "variant", "runtime", "why", "problem")}


def deploy(project: Project, store: MlflowClient, book: Ledger, model: str) -> Live:
    """The state that is live afterwards. Where the champion has no serving files, the model itself answers."""
    with _alone(project, model):
        lines, problem = champion_alias.compare(store, book, model)
        before, standing = live_file.read(project, model), stand(lines)
        if untrue := champion_alias.of_ledger(store, model, lines):  # nobody knows which line is true
            found = replace(before or Live(model), problem=problem)
        elif before is not None and _done(project, store, before, standing):
            found = _settled(before, standing, problem)
        else:
            found = _moved(project, store, model, standing, before)
            found = replace(found, problem=found.problem or problem)
        if not untrue:
            found = replace(trial.beside(project, store, lines, found), form_line=freshness.newest_form(lines))
        with version_folder.written(project):
            live_file.write(project, found)
            version_folder.sweep(live_file.place(project, model), found.folders)
    return found


def _alone(project: Project, model: str) -> AbstractContextManager[None]:
    return locks.hold(project, f"deploy-{model}", f"deployment of {model}")


def _with_serving_files(project: Project, store: MlflowClient, book: Ledger, model: str, notice: locks.Notice) -> Live:
    """Make the serving files of the champion, and deploy it with them. Meanwhile others may deploy the model."""
    with locks.hold(project, f"export-{model}", f"export of {model}"), scratch.folder("export") as temporary:
        standing = stand(book.lines(model))
        version, registered = registered_version.champion(store, model, standing, [], temporary)
        made = own_files(store, registered, version, temporary, notice)
    found = deploy(project, store, book, model)
    if not made.missing or found.version != version.number:
        return found
    with _alone(project, model), version_folder.written(project):
        now_live = live_file.read(project, model)
        if now_live == found:
            found = replace(found, why=made.why)
            live_file.write(project, found)
    return found


def _done(project: Project, store: MlflowClient, before: Live, standing: Standing) -> bool:
    """Whether the files that are live are those of the champion, as far as they can be."""
    if before.version is None or before.version != standing.champion or not freshness.complete(project, before):
        return False
    wanted = freshness.wishes(before.model, before).sensitive
    if not set(wanted) <= set(before.sensitive):
        return False
    if not freshness.answers_as(before.version, before.variant, before, standing):
        return False
    version = model_registry.version(store, before.model, before.version)
    if version is None or before.own_hash != serving_files.recorded(version):
        return False
    folder = live_file.place(project, before.model) / before.folder
    return explanation_files.recorded(version) in (None, explanation_files.hash_of(folder / explanation_files.FOLDER))


def _settled(before: Live, standing: Standing, problem: str) -> Live:
    """The same version and files, by the newest line about it and today's YAML."""
    wanted = freshness.wishes(before.model, before)
    return replace(before, **_since(standing), serve=wanted.serve, problem=problem)


def _since(standing: Standing) -> dict[str, Any]:
    moved = standing.moved
    return {"since": moved.at, "line": moved.sequence} if moved else {"since": "", "line": 0}


def _moved(project: Project, store: MlflowClient, model: str, standing: Standing, before: Live | None) -> Live:
    """The champion with its files; what was live before, with a problem, if they are not as they were registered."""
    previous = before.folder if before else ""
    if standing.champion is None:
        return Live(model, **_since(standing), previous=previous)
    wanted = freshness.wishes(model, before)
    with scratch.folder("deploy") as temporary:
        try:
            version, registered = registered_version.champion(store, model, standing, wanted.sensitive, temporary)
        except IntegrityError as error:
            return replace(before or Live(model), problem=str(error))
        serving, wrong = serving_files.answering(store, registered, standing, temporary)
        with version_folder.written(project):
            made = version_folder.make(live_file.place(project, model), version, serving)
    if previous == made.path:
        previous = before.previous if before else ""
    found = registered_version.live(registered, version, serving, made)
    return replace(found, **_since(standing), serve=wanted.serve, previous=previous, problem=wrong)


def serving_of(
    store: MlflowClient,
    registered: ModelVersion,
    version: Version,
    standing: Standing,
    temporary: Path,
    notice: locks.Notice,
) -> Serving:
    """The files in the form that the ledger names, else the version's own (own_files)."""
    found, wrong = serving_files.answering(store, registered, standing, temporary)
    if wrong:
        notice(wrong)
    return found if found.variant else own_files(store, registered, version, temporary, notice)


def own_files(
    store: MlflowClient, registered: ModelVersion, version: Version, temporary: Path, notice: locks.Notice
) -> Serving:
    """The recorded serving files, or new ones, which are recorded then; without any, the model itself answers."""
    found = serving_files.fetch(store, registered, temporary)
    if not found.missing or version.golden is None:
        return found
    notice(f"makes the serving files of version {version.number} of {registered.name}")
    about = json.loads((version.fetched / "artifacts" / "model" / "model.json").read_text(encoding="utf-8"))
    rows = serving_files.with_every_column(version.golden, about)
    try:
        made = serving_files.export(registered, version.fetched, rows, temporary)
    except RatchetError as error:
        notice(str(error))
        return serving_files.none(error.what.rstrip("."))
    return serving_files.fetch(store, serving_files.publish(store, registered, made, LATER), temporary)
