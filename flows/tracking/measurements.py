"""The measurements of a training, kept until MLflow has them.

.ratchet/figures-<model>.json holds those of the last training, so none is lost if the store is away or the run fails
after its stages. Logging them again changes nothing.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mlflow.entities import Metric, RunTag
from mlflow.utils.time import get_current_time_millis

from flows.processes.energy import Energy
from flows.processes.sampler import Point
from flows.project import whole_files
from flows.project.environment import Project
from flows.tracking.mlflow_runs import BATCH, MlflowClient, find

LOAD = "system/cpu_utilization_percentage"  # every point has it
WATT_HOURS, SECONDS, METHOD = "energy/watt_hours", "energy/seconds", "ratchet.energy_method"


@dataclass(frozen=True)
class Figures:
    """The measurements of training on one set of inputs, over all attempts."""

    inputs_hash: str
    points: list[Point] = field(default_factory=list)
    energy: Energy | None = None  # None: not measured


def place(project: Project, model: str) -> Path:
    return project.state / f"figures-{model}.json"


def read(project: Project, model: str, inputs_hash: str) -> Figures:
    """The kept measurements if they belong to these inputs; else empty ones."""
    try:
        found = json.loads(place(project, model).read_text(encoding="utf-8"))
        energy = Energy(**found["energy"]) if found["energy"] else None
        kept = Figures(found["inputs_hash"], found["points"], energy)
    except (OSError, ValueError, KeyError, TypeError):  # none, or one of another version of the code
        return Figures(inputs_hash)
    return kept if kept.inputs_hash == inputs_hash else Figures(inputs_hash)


def keep(project: Project, model: str, found: Figures) -> None:
    whole_files.write(place(project, model), json.dumps({"format": 1, **asdict(found)}))


def log(store: MlflowClient, run_id: str, found: Figures) -> None:
    """Log the measurements that the run lacks. New points continue the numbers of the steps."""
    known = store.get_metric_history(run_id, LOAD) if found.points else []
    stamps = {metric.timestamp for metric in known}
    fresh = [point for point in found.points if point["at"] not in stamps]
    metrics = [
        Metric(name, value, int(point["at"]), step)
        for step, point in enumerate(fresh, 1 + max((metric.step for metric in known), default=-1))
        for name, value in point.items()
        if name != "at"
    ]
    for start in range(0, len(metrics), BATCH):
        store.log_batch(run_id, metrics=metrics[start : start + BATCH])
    if found.energy is not None:
        _log_energy(store, run_id, found.energy)


def _log_energy(store: MlflowClient, run_id: str, energy: Energy) -> None:
    values = {WATT_HOURS: energy.watt_hours, SECONDS: energy.seconds}
    known = store.get_run(run_id).data.metrics
    if any(known.get(name) != value for name, value in values.items()):
        now = get_current_time_millis()
        metrics = [Metric(name, value, now, 0) for name, value in values.items()]
        store.log_batch(run_id, metrics=metrics, tags=[RunTag(METHOD, energy.method)])


def of_run(project: Project, store: MlflowClient, model: str, found: Figures) -> bool:
    """Log them to this clone's unpublished run of these inputs; False if there is none (yet)."""
    experiment = store.get_experiment_by_name(model)
    if experiment is None:
        return False
    wanted = {"inputs_hash": found.inputs_hash, "published": "false", "clone": project.clone}
    run = find(store, experiment.experiment_id, **wanted)
    if run is not None:
        log(store, run.info.run_id, found)
    return run is not None
