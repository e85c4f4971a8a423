"""Trial: the version that answers beside the champion is made ready as the champion is, and live.json names it.

A version that cannot be fetched as it was registered answers nothing: the champion goes on alone, and `problem` says
why.
"""

from collections.abc import Sequence
from dataclasses import asdict, fields, replace

from flows.deployment import freshness, live_file, registered_version, serving_files, version_folder
from flows.deployment.live_file import Beside, Live
from flows.project import scratch
from flows.project.environment import Project
from flows.records import beside as ledger_beside
from flows.records.champion_state import Standing, stand
from flows.records.ledger import Line
from flows.tracking.mlflow_runs import MlflowClient
from pipelines.errors import IntegrityError


def beside(project: Project, store: MlflowClient, lines: Sequence[Line], found: Live) -> Live:
    """The same with the version that is on trial by the ledger. found: with the champion, and with the trial of before.

    The caller holds the lock of the deployment. Files that are made already, and are whole, are used again.
    """
    standing = stand(lines)
    wanted, now = freshness.on_trial(standing), replace(found, trial_line=freshness.newest_trial(lines))
    if wanted is None or found.version is None:
        return replace(now, beside=None)
    there = now.beside or {}
    same = freshness.answers_as(wanted.version, there.get("variant", ""), there, standing)
    if freshness.trial_fresh(now, standing) and same and _whole(project, now):
        return now
    try:
        made = _made(project, store, standing, wanted, found)
    except IntegrityError as error:
        told = f"Version {wanted.version} should answer beside it, and does not: {error}"
        return replace(now, beside=None, problem=found.problem or told)
    return replace(now, beside=asdict(made))


def _whole(project: Project, found: Live) -> bool:
    told = found.beside or {}
    return freshness.whole(live_file.place(project, found.model), told["folder"], told["files_hash"])


def _made(
    project: Project, store: MlflowClient, standing: Standing, wanted: ledger_beside.Beside, found: Live
) -> Beside:
    """Raises IntegrityError if the files are not the registered ones, or the version must not answer."""
    if wanted.version in standing.vetoed or wanted.version in standing.pruned:
        raise IntegrityError(f"It was {'rolled back' if wanted.version in standing.vetoed else 'pruned'}.")
    place = live_file.place(project, found.model)
    with scratch.folder("deploy") as temporary:
        version, registered = registered_version.fetched(
            store, found.model, wanted.version, standing, freshness.wishes(found.model, found).sensitive, temporary
        )
        serving, wrong = serving_files.answering(store, registered, standing, temporary)
        if wrong:
            raise IntegrityError(wrong)
        with version_folder.written(project):
            made = version_folder.make(place, version, serving)
    about = asdict(registered_version.live(registered, version, serving, made))
    same = {one.name: about[one.name] for one in fields(Beside) if one.name in about}
    told = {"role": wanted.role, "since": wanted.since, "line": wanted.line}
    return Beside(**same | told | freshness.callers(wanted.role, found.serve))
