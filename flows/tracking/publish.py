"""Publish: write the outputs of the stages to MLflow, once.

Everything is keyed by content. Publishing the same again finds the existing run and version, and completes an
interrupted one.
"""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
from ruamel.yaml import YAML

from flows.graph import lockfile, provenance
from flows.project import scratch
from flows.project.environment import Project
from flows.records import constant_answers, epochs, outputs, throughput
from flows.records.outputs import Published, StageOutputs
from flows.registry import definition, model_registry, reading
from flows.registry.model_registry import ModelVersion
from flows.tracking import evidence_files, measurements, mlflow_runs, views
from pipelines.hardware import device
from pipelines.model_file import Declaration
from pipelines.table import row_groups
from pipelines.table.splits import SPLITS

EXAMPLE_ROWS = 3


def publish(project: Project, declared: Declaration, found: StageOutputs, tags: dict[str, str], tree: str) -> Published:
    """One MLflow run and one registered version for the outputs of the stages.

    tags: where the run comes from; tree: the files that the stages ran from, in git's store, or "" for today's.
    """
    model, inputs_hash = declared.model, found.inputs_hash
    found.check()
    store = mlflow_runs.client(project)
    place = mlflow_runs.experiment(project, store, model)
    run, version = _there(store, place, model, found)
    if run is not None and version is not None:
        return Published(int(version.version), run.info.run_id, place, fresh=False)
    run = run or mlflow_runs.take_up(
        store, place, inputs_hash, mlflow_runs.title(declared.raw, inputs_hash), project.clone
    )
    run_id = run.info.run_id
    mlflow_runs.end_running(store, place, "KILLED", project.clone, except_for=run_id)  # left by a dead process
    hashes = {
        "ratchet.model_hash": found.model_hash,
        "ratchet.data_hash": found.data_hash,
        "ratchet.test_hash": found.test_hash,
    }
    if version is None:
        constant = constant_answers.scores(found.folder, declared.data, [*found.metrics])
        extra = {"ratchet.metrics": json.dumps(found.metrics), "ratchet.inputs_hash": inputs_hash}
        extra["ratchet.constant"] = json.dumps(constant)
        version = model_registry.register(
            store,
            model,
            found.folder / "model",
            lambda target: _evidence(found, declared, target),
            run_id,
            place,
            example(found, declared),
            hashes | extra,
            reading.content(declared.ingest),
        )
    history = throughput.beside(epochs.read(found.folder / "history.csv"), found.folder / "pace.csv")
    mlflow_runs.log_epochs(store, run_id, history)
    measurements.log(store, run_id, measurements.read(project, model, inputs_hash))
    lock = lockfile.deciding(lockfile.effective(project, model))
    digests = lockfile.digests(lock)
    splits = {  # the test split first: MLflow's list of runs shows the first
        name: {**found.splits[name], "digest": digests[f"data/{model}/{name}.parquet"]} for name in reversed(SPLITS)
    }
    mlflow_runs.log_datasets(store, run, declared.ingest.source, splits)
    after = ("compress", "explain", "schedule", "serve", "labels", "monitor")  # these do not define the run
    parameters = {key: section.model_dump() for key, section in declared.sections.items() if key not in after}
    metrics = {f"test/{key}": value for key, value in found.metrics.items()}
    test = ("test", splits["test"]["digest"])
    data = of_data(declared, found.folder, digests)
    tags = (
        hashes
        | data
        | computed(found.folder)
        | tags
        | provenance.keep(project, model, tree or provenance.tree(project))
    )
    with scratch.folder("run") as temporary:
        logged = files(project, model, found, lock, temporary)
        tags |= definition.tag(logged)
        mlflow_runs.log_facts(store, run_id, parameters, metrics, tags, model_registry.logged_model(version), test)
        mlflow_runs.log_files(store, run_id, logged)
    found.check()
    mlflow_runs.log_model(store, run_id, model_registry.logged_model(version))
    views.ensure(store, place, model, list(found.metrics))
    store.update_run(run_id, name=run_name(declared, version, inputs_hash))
    mlflow_runs.finish(store, run_id)
    return Published(int(version.version), run_id, place, fresh=True)


def known(store: mlflow_runs.MlflowClient, model: str, found: StageOutputs) -> Published | None:
    """Run and version of these outputs, if both are there; nothing is written."""
    place = store.get_experiment_by_name(model)
    if place is None:
        return None
    run, version = _there(store, place.experiment_id, model, found)
    if run is None or version is None:
        return None
    return Published(int(version.version), run.info.run_id, place.experiment_id, fresh=False)


def _there(
    store: mlflow_runs.MlflowClient, place: str, model: str, found: StageOutputs
) -> tuple[mlflow_runs.Run | None, ModelVersion | None]:
    hashes = {"inputs_hash": found.inputs_hash, "model_hash": found.model_hash}
    run = mlflow_runs.find(store, place, **hashes, published="true")
    return run, model_registry.find(store, model, found.model_hash)


def _evidence(found: StageOutputs, declared: Declaration, target: Path) -> None:
    """Add the files kept with the version. `target` has the model folder already, so all copies can be checked."""
    folder = evidence_files.write(found, declared.data, target)
    evidence_files.write_columns(found, declared.data, declared.ingest.instants, folder)
    evidence_files.write_reference(found, declared.data, folder)
    found.check()


def of_data(declared: Declaration, folder: Path, digests: dict[str, str]) -> dict[str, str]:
    """Tags for the inputs of a run. digests: DVC's hash of each output, by its path."""
    return {
        "ratchet.source": declared.ingest.source,
        "ratchet.data_rows": str(row_groups.rows(folder / "raw.parquet")),
        "ratchet.data_digest": digests[f"data/{declared.model}/raw.parquet"],
    }


def computed(folder: Path) -> dict[str, str]:
    """Tags for the device of the training; a run that trained the model itself adds `ratchet.device`."""
    hardware = device.of_model(folder / "model", "auto")
    kind = json.loads((folder / "model" / "model.json").read_text(encoding="utf-8"))["hardware"]["device"]
    return {"ratchet.device": kind, "ratchet.precision": hardware.precision}


def run_name(declared: Declaration, version: ModelVersion, inputs_hash: str) -> str:
    """The name of a published run: its version, network, layers, and the beginning of the hash of its inputs."""
    train = declared.train
    layers = "-".join(str(units) for units in train.sizes)
    return " ".join(filter(None, [f"v{version.version}", train.network, layers, inputs_hash[:7]]))


def example(found: StageOutputs, declared: Declaration) -> Any:
    """A few raw rows of the training split, as the model takes them; sensitive values as if they were missing."""
    batch = next(row_groups.batches(found.folder / "train.parquet", declared.data.features)).slice(0, EXAMPLE_ROWS)
    for name in declared.data.sensitive:
        if name in batch.schema.names:
            place = batch.schema.get_field_index(name)
            batch = batch.set_column(place, batch.schema.field(place), pa.nulls(len(batch), batch.schema.types[place]))
    return batch.to_pandas()


def files(
    project: Project, model: str, found: StageOutputs, entries: dict[str, Any], temporary: Path
) -> list[tuple[str, Path]]:
    """(folder in the run, file): figures, what defines the run, reports. The same names for every model."""
    draw_curve(epochs.read(found.folder / "history.csv"), temporary / "learning_curve.png")
    lock, settings, machine = (temporary / name for name in ("dvc.lock", "model.yaml", "environment.json"))
    content = provenance.machine(found.folder / "model", provenance.packages())
    machine.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    with lock.open("w", encoding="utf-8") as file:
        YAML().dump({"schema": "2.0", "stages": entries}, file)
    settings.write_bytes((project.root / "models" / f"{model}.yaml").read_bytes())
    pins = [found.folder / name for name in ("pin.json", "source.dvc")]
    defining = [lock, settings, machine, *pins, project.root / "requirements.lock"]
    reports = [
        found.folder / name for name in ("validation.json", "clean.json", "check.json", "profile.json", "metrics.json")
    ]
    reports += outputs.page(found.folder)
    figures = [temporary / "learning_curve.png", found.folder / "evaluation.png"]
    named = {definition.FOLDER: defining, "reports": reports, "figures": figures}
    return [(folder, path) for folder, paths in named.items() for path in paths if path.exists()]


def draw_curve(history: list[epochs.Epoch], path: Path) -> None:
    """Loss of training and validation, epoch by epoch."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="epoch", ylabel="loss", title="Learning curve")
    for key in ("train/loss", "validation/loss"):
        axes.plot([epoch["epoch"] for epoch in history], [epoch[key] for epoch in history], label=key)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    figure.savefig(path, dpi=100)
