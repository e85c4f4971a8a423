"""Measures energy and machine during a run, by flows/tracking/metering.py in the MLflow process."""

from contextlib import suppress
from typing import Any

from flows.project.environment import Project
from flows.run import remote_calls
from flows.tracking.mlflow_process import MlflowProcess


class Meter:
    """Its calls do not wait for an answer, and their failures are ignored."""

    def __init__(self, mlflow: MlflowProcess):
        self._mlflow, self._begun = mlflow, False

    def begin(self, project: Project, model: str, inputs: str) -> None:
        """Measure energy from now on. inputs: the hash that names the run."""
        if not self._begun:
            self._begun = True
            self._tell(remote_calls.measure, project, model, inputs)

    def train(self) -> None:
        """The training may begin."""
        self._tell(remote_calls.measure_training)

    def trained(self) -> None:
        self._tell(remote_calls.training_ended)

    def restored(self) -> None:
        """There was no training: its result came from a cache."""
        self._tell(remote_calls.no_training)

    def end(self) -> None:
        """The stages have ended, or one has failed."""
        self._tell(remote_calls.measured)

    def _tell(self, work: Any, *arguments: Any) -> None:
        if self._begun:
            with suppress(RuntimeError):  # that process has died
                self._mlflow.send(work, *arguments)
