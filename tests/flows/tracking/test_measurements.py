"""What was measured reaches MLflow once, whatever happens to the store; energy is measured in silence."""

import hashlib
import json
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from flows.processes import sampler
from flows.processes.energy import Energy
from flows.processes.sampler import Sampler
from flows.tracking import measurements, metering, mlflow_runs, training_cost
from flows.tracking.measurements import Figures
from tests.support import registered
from tests.support.clone import ROOT, environment
from tests.support.world import PATIENCE, until

HOSTILE = """[codecarbon]
output_methods = csv,api,http
save_to_file = true
save_to_api = true
api_key = secret
emissions_endpoint = http://192.0.2.1/post
electricitymaps_api_token = secret
co2_signal_api_token = secret
cloud_provider = gcp
cloud_region = nowhere
log_level = debug
output_dir = /nowhere
allow_multiple_runs = false
"""
MEASURED = """
import json, sys, time
sys.modules.update(dict.fromkeys(sys.argv[1:]))  # these cannot be imported
from flows.processes import energy
meter = energy.begin()
time.sleep(1.2)
found = meter and meter.end()
print(json.dumps(found and vars(found)))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    before = mlflow_runs.mlflow.get_tracking_uri()
    yield registered.project(tmp_path_factory.mktemp("figures") / "project")
    mlflow_runs.mlflow.set_tracking_uri(before)


@pytest.fixture(scope="module")
def store(project):
    return mlflow_runs.client(project)


@pytest.fixture
def model(request) -> str:
    """One of its own for each test."""
    return f"model_{hashlib.sha256(request.node.name.encode()).hexdigest()[:8]}"


def run_of(project, store, model: str, inputs: str = "i") -> str:
    place = mlflow_runs.experiment(project, store, model)
    return mlflow_runs.take_up(store, place, inputs, "a run", project.clone).info.run_id


def point(at: int, load: float = 50.0) -> sampler.Point:
    return {"at": at, measurements.LOAD: load}


def loads(store, run_id: str) -> list[tuple[int, int]]:
    return sorted((metric.step, metric.timestamp) for metric in store.get_metric_history(run_id, measurements.LOAD))


def measured(tmp_path: Path, *absent: str, config: str = "") -> tuple[dict | None, subprocess.CompletedProcess]:
    """What a process measured in 1.2 s, with the guard in it, at home in an empty folder."""
    (tmp_path / ".codecarbon.config").write_text(config)
    (tmp_path / ".codecarbon.lock").touch()  # of another one on this machine
    variables = environment(HOME=str(tmp_path), PYTHONPATH=f"{ROOT / 'tests' / 'guard'}:{ROOT}", TMPDIR=str(tmp_path))
    variables["GUARD_LOG"] = str(tmp_path / ".guard")
    command = [sys.executable, "-c", MEASURED, *absent]
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done


@pytest.mark.parametrize("config", ["", HOSTILE], ids=["no configuration", "one that wants everything"])
def test_energy_is_measured_without_a_word_a_file_or_a_connection(tmp_path, config):
    found, done = measured(tmp_path, config=config)
    assert 0 < found["watt_hours"] < 10
    assert found["seconds"] > 1.0
    assert "processor: " in found["method"]
    assert "codecarbon 3" in found["method"]
    assert done.stderr == ""
    assert {path.name for path in tmp_path.iterdir()} <= {".codecarbon.config", ".codecarbon.lock", ".guard"}
    lines = (tmp_path / ".guard").read_text().splitlines() if (tmp_path / ".guard").exists() else []
    assert [line for line in lines if not line.startswith("program ")] == []


def test_without_codecarbon_nothing_is_measured(tmp_path):
    assert measured(tmp_path, "codecarbon")[0] is None


def test_a_sampler_looks_often_in_a_short_training():
    found = Sampler(lambda points: None)
    until(lambda: len(found.points) >= 3)  # one for each look
    points = found.end()
    assert len(points) >= 3
    assert all(later["at"] - earlier["at"] >= 400 for earlier, later in pairwise(points[:-1]))
    assert all(0 < each["system/system_memory_usage_percentage"] < 100 for each in points)
    assert all(0 <= each[measurements.LOAD] <= 100 for each in points)
    assert not found._thread.is_alive()


class Looks:
    """A monitor that counts how often it is looked at."""

    count = 0

    def collect_metrics(self):
        self.count += 1

    def aggregate_metrics(self):
        return {"looks": self.count}

    def clear_metrics(self):
        pass


def test_a_long_training_has_fewer_points_than_looks(monkeypatch):
    monkeypatch.setattr(sampler, "EVERY", 0.005)
    monkeypatch.setattr(sampler, "PARTS", 4)
    looks = Looks()
    monkeypatch.setattr(sampler, "monitors", lambda: [looks])
    found = Sampler(lambda points: None)
    until(lambda: looks.count > 100)
    assert 5 < len(found.end()) < 60


def test_a_store_that_hangs_or_fails_does_not_hold_the_run(monkeypatch):
    monkeypatch.setattr(sampler, "LIVE", 0.1)
    monkeypatch.setattr(sampler, "EVERY", 0.05)
    seen = []

    def away(points):
        seen.append(len(points))
        if len(seen) == 1:
            raise ConnectionError
        time.sleep(2 * PATIENCE)

    found = Sampler(away)
    until(lambda: len(seen) == 2)
    start = time.monotonic()
    assert found.end()
    assert time.monotonic() - start < PATIENCE
    assert len(seen) == 2, "it gave up when the store failed once"


def test_logging_again_changes_nothing_and_steps_go_on(project, store, model):
    run_id = run_of(project, store, model)
    first = Figures("i", [point(10), point(20)], Energy(2.0, 7.0, "a guess"))
    for _ in range(2):
        measurements.log(store, run_id, first)
    measurements.log(store, run_id, Figures("i", [point(20), point(30)], Energy(5.0, 9.0, "a counter")))
    assert loads(store, run_id) == [(0, 10), (1, 20), (2, 30)]
    run = store.get_run(run_id)
    assert (run.data.metrics[measurements.WATT_HOURS], run.data.tags[measurements.METHOD]) == (5.0, "a counter")
    assert len(store.get_metric_history(run_id, measurements.WATT_HOURS)) == 2


def test_what_is_kept_is_of_its_inputs_alone(project, model):
    whole = Figures("i", [point(1)], Energy(1.0, 2.0, "x"))
    measurements.keep(project, model, whole)
    assert measurements.read(project, model, "i") == whole
    assert measurements.read(project, model, "other") == Figures("other")
    measurements.place(project, model).write_text("{")
    assert measurements.read(project, model, "i") == Figures("i")


def test_a_training_is_measured_once_begun_and_its_run_has_it_with_its_end(project, store, model):
    run_id = run_of(project, store, model)
    metering.begin(project, model, "i")
    metering.begin(project, model, "i")
    metering.train()
    time.sleep(1.2)
    metering.trained()
    assert (
        measurements.read(project, model, "i").energy.watt_hours > 0
    )  # a run that is killed now has trained all the same
    metering.end()
    metering.end()
    run = store.get_run(run_id)
    assert run.data.metrics[measurements.WATT_HOURS] > 0
    assert run.data.metrics[measurements.SECONDS] >= 1.2
    assert loads(store, run_id)
    once = measurements.read(project, model, "i")
    assert once.energy.watt_hours == run.data.metrics[measurements.WATT_HOURS]
    metering.begin(project, model, "i")  # the same training again, after a failure
    metering.train()
    metering.end()
    assert measurements.read(project, model, "i").energy.watt_hours > once.energy.watt_hours


def test_figures_wait_until_there_is_a_run(project, store, model):
    metering.begin(project, model, "i")
    metering.train()
    time.sleep(0.7)
    metering.end()
    found = measurements.read(project, model, "i")
    assert found.points
    assert not measurements.of_run(project, store, model, found)
    run_id = run_of(project, store, model)
    assert measurements.of_run(project, store, model, found)
    assert loads(store, run_id)


@pytest.mark.parametrize("restored", [True, False], ids=["train came from a cache", "no train at all"])
def test_stages_that_trained_nothing_leave_no_figures(project, model, restored):
    metering.begin(project, model, "i")
    if restored:
        metering.train()
        metering.restored()
    metering.end()
    assert not measurements.place(project, model).exists()


def test_measuring_ends_with_its_process(project, model):
    code = (
        "from pathlib import Path; from flows.tracking import metering; from flows.project.environment import Project;"
        f"project = Project(Path({str(project.root)!r}), Path({str(project.state)!r}), '', '');"
        f"metering.begin(project, {model!r}, 'i'); metering.train(); print('measures')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout) == (0, "measures\n"), done.stderr


def finished(project, store, model: str, number: int, watt_hours: float | None, **tags: str) -> str:
    """A run of its own, later than those before it."""
    place = mlflow_runs.experiment(project, store, model)
    run = store.create_run(
        place, start_time=1000 * number, tags={f"ratchet.{key}": value for key, value in tags.items()}
    )
    if watt_hours is not None:
        measurements.log(store, run.info.run_id, Figures("i", [], Energy(watt_hours, 1.0, "x")))
    return run.info.run_id


def per_accepted(store, run_id: str) -> tuple[float | None, str | None]:
    run = store.get_run(run_id)
    return run.data.metrics.get(training_cost.PER_ACCEPTED), run.data.tags.get(training_cost.OF_RUNS)


def test_an_accepted_version_has_cost_every_run_since_the_last_accepted_one(project, store, model):
    finished(project, store, model, 1, 100.0)
    finished(project, store, model, 2, 50.0, decision="accepted")
    finished(project, store, model, 3, 3.0, decision="rejected")
    finished(project, store, model, 4, None, decision="rejected")
    finished(project, store, model, 5, None, refused="validate")
    finished(project, store, model, 6, 0.5)  # it failed
    accepted = finished(project, store, model, 7, 2.0)
    finished(project, store, model, 8, 700.0)
    for _ in range(2):
        training_cost.note(store, accepted)
        assert per_accepted(store, accepted) == (5.5, "3 of 4")
        assert len(store.get_metric_history(accepted, training_cost.PER_ACCEPTED)) == 1
        store.set_tag(accepted, "ratchet.decision", "accepted")


def test_nothing_is_said_of_runs_that_were_not_measured(project, store, model):
    accepted = finished(project, store, model, 1, None)
    training_cost.note(store, accepted)
    assert per_accepted(store, accepted) == (None, None)


def test_a_run_says_what_it_took_or_nothing(project, store, model):
    run_id = finished(project, store, model, 1, 2.5)
    mlflow_runs.log_epochs(
        store, run_id, [{"epoch": n, "train/loss": 1.0, "pace/seconds_per_epoch": 2.0} for n in (1, 2)]
    )
    assert training_cost.of(store, store.get_run(run_id)) == {"training_seconds": 4.0, "watt_hours": 2.5}
    bare = store.get_run(finished(project, store, model, 2, None))
    assert training_cost.of(store, bare) == {"training_seconds": None, "watt_hours": None}
