"""Refused data in MLflow: a short run of their own, beside the runs that trained.

It has no tag `ratchet.published` and no hash of a model, so lists of versions, comparisons and pruning skip it.
"""

from pathlib import Path

from flows.project.environment import Project
from flows.tracking import annotate, mlflow_runs
from pipelines import visible_text
from pipelines.safety import markdown

FOLDER = "refused"  # of its artifacts


def log(
    project: Project, model: str, stage: str, data: str, tags: dict[str, str], said: str, files: list[Path]
) -> None:
    """One run for each version of the data that a stage refused; the same version again finds it. files: the page."""
    store = mlflow_runs.client(project)
    place = mlflow_runs.experiment(project, store, model)
    own = {"ratchet.refused": stage, "ratchet.pin": data, "ratchet.clone": project.clone}
    known = mlflow_runs.find(store, place, refused=stage, pin=data, clone=project.clone)
    run = known or store.create_run(place, run_name=f"refused by {stage}: pin {data[:8]}", tags=own)
    told = {"ratchet.decision": "refused", "ratchet.reason": visible_text.line(said)[:5000]}
    told[annotate.NOTE] = (
        f"{markdown.told(said)[: annotate.MOST]}\n\nThe page is among the artifacts: {FOLDER}/page.html"
    )
    for key, value in (tags | own | told).items():
        store.set_tag(run.info.run_id, key, value)
    mlflow_runs.log_files(store, run.info.run_id, [(FOLDER, path) for path in files])
    store.set_terminated(run.info.run_id, "FAILED")
