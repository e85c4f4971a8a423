"""Measures the energy of a run's stages, and the machine during training, in the MLflow process.

That process serves one run, does one thing after the other, and its pool hands nothing from call to call: so what is
measured now is a variable of this module, the only one of its kind (tests/project/test_imports.py).
All of it is in threads that end with the process. Whatever fails here costs a figure and never a run.
"""

from dataclasses import dataclass, replace

from flows.processes import energy
from flows.processes.sampler import Point, Sampler
from flows.project.environment import Project
from flows.tracking import measurements, mlflow_runs
from flows.tracking.measurements import Figures


@dataclass
class Measuring:
    """The current measurement of one run."""

    project: Project
    model: str
    before: Figures  # of earlier attempts at the same training
    meter: energy.Meter | None
    sampler: Sampler | None = None
    trained: bool = False

    def deliver(self, points: list[Point]) -> None:
        """Send the points to MLflow."""
        found = replace(self.before, points=[*self.before.points, *points])
        measurements.of_run(self.project, mlflow_runs.client(self.project), self.model, found)


_now: Measuring | None = None


def begin(project: Project, model: str, inputs_hash: str) -> None:
    """Measure energy from now on, unless that has begun."""
    global _now
    if _now is None:
        before = measurements.read(project, model, inputs_hash)
        _now = Measuring(project, model, before, energy.begin())


def train() -> None:
    """The training may begin: start to measure the machine."""
    if _now is not None:
        _now.sampler, _now.trained = Sampler(_now.deliver), True


def restored() -> None:
    """There was no training: its result came from a cache."""
    if _now is not None and _now.sampler is not None:
        _now.sampler.end()
        _now.sampler, _now.trained = None, False


def trained() -> None:
    """The training has ended. Keep its figures at once, because the run may still die."""
    if _now is None or _now.sampler is None:
        return
    points = _now.sampler.end()
    _now.before, _now.sampler = replace(_now.before, points=[*_now.before.points, *points]), None
    _add(_now)
    _now.meter = energy.begin()  # of what follows
    measurements.keep(_now.project, _now.model, _now.before)


def end() -> None:
    """The stages have ended, or one has failed. Figures of a training are kept, and logged if its run is there."""
    global _now
    if (now := _now) is None:
        return
    trained()
    _add(now)
    _now = None
    if now.trained:
        measurements.keep(now.project, now.model, now.before)
        measurements.of_run(now.project, mlflow_runs.client(now.project), now.model, now.before)


def _add(now: Measuring) -> None:
    """End the meter, and add its energy to the sum."""
    used, before = now.meter.end() if now.meter else None, now.before.energy
    now.before, now.meter = replace(now.before, energy=before + used if before and used else used or before), None
