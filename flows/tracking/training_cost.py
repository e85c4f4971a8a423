"""The cost of a run, and of an accepted model: the sum over every run since the accepted one before it."""

from collections.abc import Iterator

from mlflow.entities import Metric, Run, RunTag
from mlflow.utils.time import get_current_time_millis

from flows.records.throughput import SECONDS
from flows.tracking.measurements import WATT_HOURS
from flows.tracking.mlflow_runs import MlflowClient

PER_ACCEPTED, OF_RUNS = "energy/watt_hours_per_accepted", "ratchet.energy_runs"


def note(store: MlflowClient, run_id: str) -> None:
    """Log the sum, and its number of runs, on the run of an accepted version. Nothing if no run was measured."""
    run = store.get_run(run_id)
    runs = list(since_accepted(store, run))
    measured = [found.data.metrics[WATT_HOURS] for found in runs if WATT_HOURS in found.data.metrics]
    if not measured or PER_ACCEPTED in run.data.metrics:
        return
    metric = Metric(PER_ACCEPTED, sum(measured), get_current_time_millis(), 0)
    store.log_batch(run_id, metrics=[metric], tags=[RunTag(OF_RUNS, f"{len(measured)} of {len(runs)}")])


def of(store: MlflowClient, run: Run) -> dict[str, float | None]:
    """The cost of a run: seconds of its epochs and watt-hours of its stages; None if not measured."""
    epochs = store.get_metric_history(run.info.run_id, SECONDS)
    seconds = sum(metric.value for metric in epochs) if epochs else None
    return {"training_seconds": seconds, "watt_hours": run.data.metrics.get(WATT_HOURS)}


def since_accepted(store: MlflowClient, run: Run) -> Iterator[Run]:
    """The runs that trained since the accepted run before `run`, newest first, with `run` itself."""
    at, token = run.info.start_time, None
    while True:
        page = store.search_runs(
            [run.info.experiment_id],
            f"attributes.start_time <= {at}",
            order_by=["attributes.start_time DESC"],
            page_token=token,
        )
        for found in page:
            if found.info.run_id != run.info.run_id and found.data.tags.get("ratchet.decision") == "accepted":
                return
            if "ratchet.refused" not in found.data.tags:  # such data were not trained on
                yield found
        if not (token := page.token):
            return
