"""MLflow runs: one for each set of inputs, the same names in each, live while it trains.

Tags identify a run, and no id is kept: `ratchet.inputs_hash`, and after publication `ratchet.model_hash`. The tag
`ratchet.published` is written last: a run without it is continued.
"""

import hashlib
import json
import posixpath
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import mlflow
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelOutput,
    Metric,
    Param,
    Run,
    RunTag,
    ViewType,
)
from mlflow.tracking import MlflowClient
from mlflow.utils.time import get_current_time_millis

from flows.project import databases
from flows.project.environment import Project
from flows.records import epochs
from flows.servers import lifecycle
from pipelines import visible_text
from pipelines.errors import RatchetError, UnreachableError
from pipelines.safety import shortage

MISTAKES = (TypeError, AttributeError, NameError, LookupError, AssertionError)  # our own bugs, not the store's
RESUMED = "The stages are done and kept: `ratchet run` publishes them when the store is back."
KEY, LONGEST_KEY = r"\w.\- :/", 250  # of a parameter: the characters that MLflow takes, and how many of them
BATCH = 100  # the most parameters, tags or metrics that one call may carry


def client(project: Project) -> MlflowClient:
    """A client of the store: the one in the settings, else the server that is up, else the SQLite file itself."""
    running = lifecycle.recorded(project)
    if project.tracking or "mlflow" in running:
        uri = project.tracking or running["mlflow"].api
    else:
        uri = databases.ensure_mlflow(project)
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    return MlflowClient(uri, uri)


def experiment(project: Project, store: MlflowClient, model: str) -> str:
    """The id of the model's experiment, made if missing, with its artifacts where every process can read them."""
    found = store.get_experiment_by_name(model)
    if found is not None:
        return str(found.experiment_id)
    location = None if project.tracking else (project.mlflow_artifacts / model).as_uri()
    tags = {
        "mlflow.experimentKind": "custom_model_development",
        "mlflow.note.content": f"Retraining of {model}: models/{model}.yaml. Compare runs by their test/ metrics.",
    }
    return str(store.create_experiment(model, artifact_location=location, tags=tags))


def find(store: MlflowClient, experiment_id: str, **tags: str) -> Run | None:
    """The newest run with these ratchet tags."""
    wanted = " and ".join(f"tags.`ratchet.{key}` = '{value}'" for key, value in tags.items())
    runs = store.search_runs([experiment_id], wanted, max_results=1, order_by=["attributes.start_time DESC"])
    return runs[0] if runs else None


def take_up(store: MlflowClient, experiment_id: str, inputs_hash: str, name: str, clone: str) -> Run:
    """This clone's unpublished run of these inputs, or a new one; running from now on."""
    found = find(store, experiment_id, inputs_hash=inputs_hash, published="false", clone=clone)
    if found is not None:
        if found.info.status != "RUNNING":
            store.update_run(found.info.run_id, status="RUNNING")
        return found
    own = {"ratchet.inputs_hash": inputs_hash, "ratchet.published": "false", "ratchet.clone": clone}
    return store.create_run(experiment_id, run_name=name, tags=own | {"mlflow.source.type": "PROJECT"})


def title(declared: dict[str, Any], inputs_hash: str) -> str:
    """The name of a run while it trains: its network, and the beginning of the hash of its inputs."""
    return f"{declared['train'].get('network', 'mlp')} {inputs_hash[:7]}"


def log_epochs(store: MlflowClient, run_id: str, found: list[epochs.Epoch]) -> None:
    """Log the epochs that the run lacks; `step` is the number of the epoch."""
    if not found:
        return
    name = next(key for key in found[0] if key != "epoch")
    known = {metric.step for metric in store.get_metric_history(run_id, name)}
    now = get_current_time_millis()
    metrics = [
        Metric(key, value, now, int(epoch["epoch"]))
        for epoch in found
        for key, value in epoch.items()
        if key != "epoch" and int(epoch["epoch"]) not in known
    ]
    for start in range(0, len(metrics), BATCH):
        store.log_batch(run_id, metrics=metrics[start : start + BATCH])


def log_facts(
    store: MlflowClient,
    run_id: str,
    parameters: dict[str, Any],
    metrics: dict[str, float],
    tags: dict[str, str],
    model_id: str,
    dataset: tuple[str, str],
) -> None:
    """Parameters flat and dotted, final metrics, tags. Logging the same again changes nothing.

    dataset: name and digest of the rows of the metrics; MLflow links metric, model and data.
    """
    params = [Param(key, text) for key, text in sorted(flat(parameters).items())]
    for start in range(0, len(params), BATCH):
        store.log_batch(run_id, params=params[start : start + BATCH])
    known = store.get_run(run_id).data.metrics  # by an earlier attempt: MLflow would keep them twice
    now, (name, digest) = get_current_time_millis(), dataset
    linked = {"model_id": model_id, "dataset_name": name, "dataset_digest": digest} if model_id else {}
    store.log_batch(
        run_id,
        metrics=[
            Metric(key, value, now, 0, run_id=run_id, **linked) for key, value in metrics.items() if key not in known
        ],
        tags=[RunTag(key, visible_text.line(value)[:5000]) for key, value in tags.items()],
    )


def every(store: MlflowClient, model: str) -> Iterator[Run]:
    """Each run of a model, deleted ones too."""
    experiment, token = store.get_experiment_by_name(model), None
    while experiment is not None:
        page = store.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL, page_token=token)
        yield from page
        if not (token := page.token):
            return


def log_step(store: MlflowClient, run_id: str, metrics: dict[str, float], step: int) -> None:
    """Metrics of one step, unless the run has them already."""
    name = next(iter(metrics))
    if step not in {metric.step for metric in store.get_metric_history(run_id, name)}:
        now = get_current_time_millis()
        store.log_batch(run_id, metrics=[Metric(key, value, now, step) for key, value in metrics.items()])


def log_model(store: MlflowClient, run_id: str, model_id: str) -> None:
    """Note the logged model as output of the run: MLflow's page of the run links to it."""
    outputs = store.get_run(run_id).outputs
    if model_id and model_id not in {model.model_id for model in (outputs.model_outputs if outputs else [])}:
        store.log_outputs(run_id, [LoggedModelOutput(model_id, 0)])


def finish(store: MlflowClient, run_id: str) -> None:
    """End a run: FINISHED, and then published, so that every published run has ended."""
    store.set_terminated(run_id, "FINISHED")
    store.set_tag(run_id, "ratchet.published", "true")


def flat(content: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """{"train": {"epochs": 3}} -> {"train.epochs": "3"}; lists as JSON."""
    result: dict[str, str] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            result |= flat(value, f"{prefix}{key}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value)
            result[_key(f"{prefix}{key}")] = text[:6000]
    return result


def _key(name: str) -> str:
    """A parameter's name that MLflow accepts, for any name of a column or slice. Other characters become their code
    point between colons; a long name becomes its beginning and a hash."""
    odd = rf"[^{KEY}]" if posixpath.normpath(name) == name else rf"[^{KEY}]|/"  # which MLflow reads as folders
    found = re.sub(odd, lambda match: f":{ord(match.group()):x}:", name)
    return found if len(found) <= LONGEST_KEY else f"{found[:200]}:{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def log_datasets(store: MlflowClient, run: Run, source: str, splits: dict[str, dict[str, Any]]) -> None:
    """The three splits as MLflow data sets. splits: name -> {digest: DVC's hash, rows}."""
    if run.inputs and run.inputs.dataset_inputs:
        return
    inputs = [
        DatasetInput(
            Dataset(
                name=name,
                digest=split["digest"],
                source_type="dvc",
                source=json.dumps({"source": source, "md5": split["digest"]}),
                profile=json.dumps({"num_rows": split["rows"], "hash": split["hash"]}),
            ),
            [InputTag("mlflow.data.context", name)],
        )
        for name, split in splits.items()
    ]
    store.log_inputs(run.info.run_id, inputs)


def log_files(store: MlflowClient, run_id: str, files: list[tuple[str, Path]]) -> None:
    """files: (folder in the run, file). The same names in every run, so that runs can be compared."""
    for folder, path in files:
        store.log_artifact(run_id, str(path), folder)


def end_running(store: MlflowClient, experiment_id: str, status: str, clone: str, except_for: str = "") -> None:
    """End this clone's runs with the status RUNNING. Only the holder of the model's lock may call this."""
    ours = f"attributes.status = 'RUNNING' and tags.`ratchet.clone` = '{clone}'"
    for run in store.search_runs([experiment_id], ours):
        if run.info.run_id != except_for:
            store.set_terminated(run.info.run_id, status)


def end(project: Project, model: str, status: str) -> None:
    """Mark the live run as FAILED, or as KILLED with its process."""
    store = client(project)
    end_running(store, experiment(project, store, model), status, project.clone)


def forward(
    project: Project,
    declared: dict[str, Any],
    model: str,
    inputs_hash: str,
    tags: dict[str, str],
    found: list[epochs.Epoch],
) -> None:
    """Log epochs while a stage trains. What is not logged now, publishing logs (flows/run/live_epochs.py)."""
    store = client(project)
    place = experiment(project, store, model)
    if find(store, place, inputs_hash=inputs_hash, published="true"):
        return
    run_id = take_up(store, place, inputs_hash, title(declared, inputs_hash), project.clone).info.run_id
    store.log_batch(run_id, tags=[RunTag(key, visible_text.line(value)) for key, value in tags.items()])
    log_epochs(store, run_id, found)


@contextmanager
def reachable(project: Project, do: str = RESUMED) -> Iterator[None]:
    """Turn the failure of a store that is away, locked or broken into an error that says what to do."""
    try:
        yield
    except (RatchetError, *MISTAKES):
        raise
    except Exception as error:
        if short := shortage.of(error, [project.mlflow_database, project.mlflow_artifacts, Path(gettempdir())]):
            raise short from error
        where = project.tracking or str(project.mlflow_database)
        raise UnreachableError(
            f"The tracking store {where} cannot be used now: {' '.join(str(error).split())[:300]}.",
            do,
        ) from error
