"""The version that is packaged, as the registry has it: fetched, checked, and with its serving files."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

from flows.deployment import deploy, freshness, registered_version, version_folder
from flows.package.folder import Version
from flows.project import scratch
from flows.project.environment import Project
from flows.project.locks import Notice
from flows.promotion import champion_alias
from flows.records import ledger
from flows.records.champion_state import Seat, Standing, stand
from flows.records.ledger import Line
from flows.registry import model_registry
from flows.tracking import mlflow_runs
from flows.tracking.mlflow_runs import MlflowClient
from pipelines.config import settings
from pipelines.errors import IntegrityError, RequestError

AGAIN = "Nothing was written: run again when it is back."


@contextmanager
def ready(project: Project, model: str, number: int | None, notice: Notice) -> Iterator[Version]:
    """A version that is ready to be served, in a folder that is gone with the block. number: None for the champion.

    Serving files that nobody made yet are made now, and kept with the version. Raises RequestError if there is no such
    version, IntegrityError if its files or the ledger are not what was recorded.
    """
    with scratch.folder("package") as temporary, mlflow_runs.reachable(project, AGAIN):
        store = mlflow_runs.client(project)
        lines, standing = standing_of(project, store, model, number, "to package")
        sensitive = freshness.wishes(model, None).sensitive
        fetched = temporary / "fetched"
        fetched.mkdir()
        version, entry = registered_version.champion(store, model, standing, sensitive, fetched)
        serving = deploy.serving_of(store, entry, version, standing, fetched, notice)
        made = version_folder.make(temporary / model, version, serving)
        live = replace(registered_version.live(entry, version, serving, made), **_since(lines, version.number))
        yield Version(asdict(live), temporary / model / made.path)


def standing_of(
    project: Project, store: MlflowClient, model: str, number: int | None, wanted: str
) -> tuple[list[Line], Standing]:
    """The ledger's lines of a model, and the standing with the wanted version as champion.

    number: None for the champion. wanted: what it is for, such as "to package". Raises RequestError if there is no such
    version, IntegrityError if the ledger is not what was recorded.
    """
    lines, _ = champion_alias.compare(store, ledger.of(project), model)
    if wrong := champion_alias.of_ledger(store, model, lines):
        raise IntegrityError(f"{wrong}.", f"`ratchet history {model}` shows it.")
    return lines, _seated(store, model, stand(lines), number, wanted)


def _seated(store: MlflowClient, model: str, standing: Standing, number: int | None, wanted: str) -> Standing:
    if number is None and standing.champion is None:
        raise RequestError(
            f"{model} has no champion {wanted}.",
            settings.suggestion(model)
            + f"`ratchet run {model}` makes one if it is good enough; --version names any version.",
        )
    if number is None:
        return standing
    if model_registry.version(store, model, number) is None:
        raise RequestError(f"{model} has no version {number}.", f"`ratchet history {model}` shows what there is.")
    return replace(standing, seats=[Seat(number, number)])


def _since(lines: list[Line], number: int) -> dict[str, Any]:
    """When a version became champion for the last time; "" and line 0 for one that never was."""
    seated = [line for line in lines if line.to_version == number != line.from_version]
    return {"since": seated[-1].at, "line": seated[-1].sequence} if seated else {"since": "", "line": 0}
