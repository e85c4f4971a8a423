"""The list of runs as MLflow's page shows it: a saved view with decisions, test metrics and gains as columns.

MLflow shows no metric and no tag in that list by itself. A saved view is a tag of the experiment (MLflow 3.15 and
newer; older ones ignore it), found under "Views" on the page, and by the link in the experiment's description.
"""

import json

from flows.tracking.mlflow_runs import MlflowClient

NAME = "decisions"
TAG = f"mlflow.sharedViewState.{NAME}"


def ensure(store: MlflowClient, experiment_id: str, model: str, metrics: list[str]) -> None:
    """Make the view, unless it exists: a person may have changed it."""
    tags = store.get_experiment(experiment_id).tags
    if TAG in tags:
        return
    link = f"#/experiments/{experiment_id}/runs?viewStateShareKey={NAME}&workflowType=machine_learning"
    about = (
        f"Retraining of {model}: models/{model}.yaml. [Runs with decisions, test metrics and gains]({link}). "
        f"Two versions side by side, on the same rows: `ratchet compare {model} A B`."
    )
    if tags.get("mlflow.note.content", "").startswith(f"Retraining of {model}"):
        store.set_experiment_tag(experiment_id, "mlflow.note.content", about)
    store.set_experiment_tag(experiment_id, TAG, view(metrics))


def view(metrics: list[str]) -> str:
    """The content of the tag, in MLflow's own form."""
    columns = [
        "attributes.`Models`",
        "tags.`ratchet.decision`",
        *(f"metrics.`test/{name}`" for name in metrics),
        *(f"metrics.`gate/{name}`" for name in ("gain", "low", "high")),
        "tags.`ratchet.reason`",
        "tags.`ratchet.trigger`",
        "tags.`ratchet.data_rows`",
        "attributes.`Dataset`",
    ]
    state = json.dumps({"selectedColumns": columns, "columnOrder": columns})
    return json.dumps({"name": NAME.capitalize(), "createdAt": 0, "updatedAt": 0, "state": state})
