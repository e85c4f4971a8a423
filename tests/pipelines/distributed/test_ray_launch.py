"""The workers that Ray starts train what one device trains, and nothing of Ray's is left afterwards."""

import importlib.util
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from ruamel.yaml import YAML

from pipelines.distributed import ray_launch, reap
from pipelines.errors import RequestError
from pipelines.readers import sources
from tests.support.world import PATIENCE, ROOT, World, until

INSTALL = 'Ray is not installed: VIRTUAL_ENV=.venv .venv/bin/uv pip install "ray>=2.50"'
needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason=INSTALL)


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> World:
    """Everything before `train`."""
    world = World(tmp_path_factory.mktemp("digits"))
    declare(world)
    world.pin(sources.builtin("digits").to_pandas(), "rows.parquet", "digits")
    for stage in ("ingest", "validate", "clean", "check"):
        done = world.command(stage, "digits")
        assert done.returncode == 0, done.stderr
    return world


def declare(world: World, **train: Any) -> None:
    """1,086 rows: the last batch of an epoch is smaller than the others."""
    content = YAML(typ="safe").load(ROOT / "models/digits.yaml")
    settings = content["train"] | {"epochs": 3, "batch_size": 30, "device": "cpu", **train}
    content |= {"ingest": {"source": "data/incoming/digits/"}, "train": settings}
    world.declare("digits", **{f"{name}_": section for name, section in content.items()})


def begin(world: World, **environment: str) -> subprocess.Popen[str]:
    """`python -m pipelines train digits`"""
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines", "train", "digits"],
        cwd=world.root,
        env=os.environ | {"PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def history(world: World) -> np.ndarray:
    """[epochs, columns]"""
    path = world.root / "data/digits/history.csv"
    return np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2) if path.exists() else np.empty((0, 0))


def family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def workers(driver: subprocess.Popen[str]) -> list[psutil.Process]:
    """The processes that train."""
    everyone = psutil.Process(driver.pid).children(recursive=True)
    return [one for one in everyone if one.cmdline()[1:4] == ["-m", "pipelines", "train"]]


def left(driver: subprocess.Popen[str], processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that run still, and whatever else is at work in this Ray's folder."""
    folder = f"ratchet-ray-{driver.pid}-"
    others = [one for one in psutil.process_iter(["cmdline"]) if folder in " ".join(one.info["cmdline"] or [])]
    running = [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    return [*others, *running]


def folders(driver: subprocess.Popen[str]) -> list[Path]:
    return list(Path("/tmp").glob(f"ratchet-ray-{driver.pid}-*"))


@pytest.fixture
def trains_for_long(digits) -> Iterator[subprocess.Popen[str]]:
    """A training by Ray in the midst of its epochs."""
    declare(digits, workers=2, launcher="ray", epochs=3000)
    for leftover in ("history.csv", "checkpoint.npz"):
        (digits.root / "data/digits" / leftover).unlink(missing_ok=True)
    driver = begin(digits)
    until(lambda: driver.poll() is not None or len(history(digits)) > 1)
    assert driver.poll() is None, driver.communicate()
    yield driver
    driver.kill()
    driver.communicate()


@needs_ray
@pytest.mark.long
def test_two_workers_train_what_one_device_does_and_only_the_first_ones_lines_are_shown(digits):
    declare(digits)
    done = digits.command("train", "digits")
    assert done.returncode == 0, done.stderr
    alone = history(digits)
    declare(digits, workers=2, launcher="ray")
    log = digits.root / "stage.log"
    driver = begin(digits, RATCHET_STAGE_LOG=str(log))  # as under `ratchet run`
    assert driver.communicate(timeout=PATIENCE) == ("", "")
    assert driver.returncode == 0
    np.testing.assert_allclose(history(digits), alone, rtol=1e-4)
    assert log.read_text() == (
        "note: Ray starts 2 workers\n"
        "note: device: CPU, as declared; float32; XLA off\n"
        "note: 2 replicas share batches of 30 rows, at the learning rate 0.001 (scale: none)\n"
        "waits: this is worker 1 of 2, waiting for the others\n"
    )
    assert left(driver, []) == []
    assert folders(driver) == []


LOST = "error: A worker of this training cannot be reached any more: "
AGAIN = ". Start the training again: it continues after the last finished epoch.\n"


@needs_ray
@pytest.mark.long
@pytest.mark.parametrize(
    ("killed", "told"),
    [
        ("a worker", r"worker [12] of 2 was ended by SIGKILL"),
        ("a process of Ray's", r"Ray's process for worker [12] of 2 has ended"),
        ("Ray's own", r"(Ray's process for worker [12] of 2 has ended|Ray says: .+)"),
        ("the one who began it", None),
    ],
)
def test_whoever_is_killed_all_end_at_once_and_it_is_told_clearly(digits, trains_for_long, killed, told):
    driver = trains_for_long
    everyone, (_, worker) = family(psutil.Process(driver.pid)), workers(driver)
    whom = {
        "a worker": worker,
        "a process of Ray's": worker.parent(),
        "Ray's own": worker.parent().parent(),
        "the one who began it": psutil.Process(driver.pid),
    }
    whom[killed].kill()
    _, error = driver.communicate(timeout=PATIENCE)
    until(lambda: not left(driver, everyone))
    until(lambda: not folders(driver))
    if told:
        assert driver.returncode == 1
        assert re.fullmatch(re.escape(LOST) + told + re.escape(AGAIN), error), error


@needs_ray
@pytest.mark.long
def test_ray_listens_on_loopback_and_reports_nothing(digits, trains_for_long):
    """Though the user has switched its reports on. TensorFlow's own workers listen everywhere."""
    everyone = [one for one in family(psutil.Process(trains_for_long.pid)) if one not in workers(trains_for_long)]
    listening = [c for one in everyone for c in one.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    assert len(listening) > 3
    assert {c.laddr.ip for c in listening} <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    (folder,) = folders(trains_for_long)
    assert not list(folder.rglob("usage_stats.json"))
    logged = "\n".join(path.read_text(errors="replace") for path in folder.rglob("dashboard*.log"))
    assert "Usage reporting is disabled" in logged


OTHER = """
import ray
ray.init(logging_level="error")
@ray.remote(num_cpus=1)
class Busy:
    def here(self):
        return True
busy = Busy.remote()
print(ray.get(busy.here.remote()), flush=True)
input()
"""


@needs_ray
@pytest.mark.long
def test_on_a_cluster_it_waits_for_room_and_says_so(digits, monkeypatch):
    """A cluster of two processors, one of which somebody else holds for a while."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port = door.getsockname()[1]
    for name, value in {
        ray_launch.OUTWARD: "0",
        "RAY_AUTH_MODE": "disabled",
        "RAY_ADDRESS": f"127.0.0.1:{port}",
    }.items():
        monkeypatch.setenv(name, value)
    declare(digits, workers=2, launcher="ray", epochs=1)
    with reap.folder("cluster") as place:
        start = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--num-cpus", "2", "--port", str(port)]
        more = ["--node-ip-address", "127.0.0.1", "--include-dashboard", "false", "--disable-usage-stats"]
        done = subprocess.run([*start, *more, "--temp-dir", str(place)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        other = subprocess.Popen([sys.executable, "-c", OTHER], **pipes)  # type: ignore[call-overload]
        assert other.stdout.readline() == "True\n"
        driver = begin(digits)
        assert driver.stdout
        assert driver.stdout.readline() == "note: Ray starts 2 workers\n"
        assert driver.stdout.readline() == (
            "waits: Ray has no room for 2 workers with a CPU and 0 GPUs each. "
            "It has 2 CPUs and 0 GPUs in all: waiting\n"
        )
        other.communicate("\n")
        said, error = driver.communicate(timeout=PATIENCE)
        assert (driver.returncode, error) == (0, "")
        assert said.startswith("note: device: CPU, as declared")
    assert not [one for one in psutil.process_iter() if reap._belongs(one, str(place))]


@needs_ray
@pytest.mark.long
def test_gpus_that_are_asked_for_and_absent_are_told_at_once(digits):
    declare(digits, workers=2, launcher="ray", device="gpu")
    done = digits.command("train", "digits", CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 1
    assert done.stderr == (
        "error: train.device is gpu, train.workers is 2, and Ray finds 0 GPUs here. Set RAY_ADDRESS to a cluster "
        "with enough GPUs, or find out with `ratchet doctor` why some are missing.\n"
    )


def test_without_ray_it_is_told_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RequestError, match=r"`launcher: ray` needs Ray: .*pip install -e '\.\[ray\]' brings it\."):
        ray_launch.with_ray("digits", 2, "cpu", 1, print)


@needs_ray
@pytest.mark.long
def test_a_cluster_that_does_not_answer_is_told(digits):
    declare(digits, workers=2, launcher="ray")
    patience = {"RAY_gcs_rpc_server_connect_timeout_s": "1", "RAY_NUM_REDIS_GET_RETRIES": "1"}
    done = digits.command("train", "digits", RAY_ADDRESS="127.0.0.1:1", **patience)
    assert done.returncode == 1
    told = (
        r"error: Ray does not start or answer: Failed to connect to Ray cluster at \S+:1\. On a"  # it may name the host
    )
    assert re.search(told, done.stderr), done.stderr
