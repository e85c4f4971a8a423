"""The nightly check: every champion is rebuilt, and the run fails if one cannot be made again as it was."""

from typing import Any
from uuid import UUID

from prefect import flow, runtime, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from flows.processes import orphans
from flows.project.environment import Project
from flows.registry import model_registry
from flows.report.progress import Progress
from flows.tracking import mlflow_runs
from flows.verify import verdict
from flows.verify.verify import VERDICTS, verify
from pipelines.config import settings
from pipelines.errors import IntegrityError, RatchetError

NAME = "verify champions"


@task(cache_policy=NO_CACHE, task_run_name="{model}")
def verify_champion(
    model: str, project: Project, shown: Progress, accept: str, tolerance: float, recreate: bool
) -> dict[str, Any]:
    """Raises IntegrityError if the verdict is worse than the accepted one."""
    shown.notice(f"{model}:")
    found = verify(project, model, None, tolerance, recreate, shown)
    create_markdown_artifact(verdict.page(found), key=f"{model.replace('_', '-')}-verification")
    if VERDICTS.index(found["verdict"]) > VERDICTS.index(accept):
        raise IntegrityError(f"{model} version {found['version']} is {found['verdict']}. {verdict.sentence(found)}")
    return found


def by_hand(project: Project, shown: Progress, accept: str, tolerance: float, recreate: bool) -> dict[str, Any]:
    """Verify every model that has a champion, as one flow. Raises IntegrityError, naming all that failed, after all
    were tried."""

    @flow(name="verify", flow_run_name=NAME)
    def verify_champions(accept: str, tolerance: float, recreate: bool) -> dict[str, Any]:
        return _verified(project, shown, accept, tolerance, recreate)

    return verify_champions(accept, tolerance, recreate)


def _verified(project: Project, shown: Progress, accept: str, tolerance: float, recreate: bool) -> dict[str, Any]:
    orphans.end(project, "verify", NAME, UUID(str(runtime.flow_run.id)))
    with mlflow_runs.reachable(project):
        store = mlflow_runs.client(project)
        models = [model for model in settings.models() if model_registry.champion(store, model) is not None]
    wanted = (project, shown, accept, tolerance, recreate)
    states = {model: verify_champion(model, *wanted, return_state=True) for model in models}
    results = {model: state.result(raise_on_failure=False) for model, state in states.items()}
    failed = {model: result for model, result in results.items() if isinstance(result, Exception)}
    if unforeseen := [error for error in failed.values() if not isinstance(error, RatchetError)]:
        raise unforeseen[0]
    if failed:
        told = " ".join(str(error) for error in failed.values())
        raise IntegrityError(f"{len(failed)} of {len(models)} champions were not made again as they were. {told}")
    return {"format": 1, "certificates": list(results.values())}
