"""Launch: the workers of one training, started by Ray where `launcher: ray` says so (pip install '.[ray]').

Ray starts a process on each host and sets TF_CONFIG; each runs the same command as a person would, in the same folder,
which all hosts have to see. With RAY_ADDRESS the workers run on that cluster, without it on this machine, where
everything listens on loopback.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from pipelines.errors import RequestError, TrainingError


def with_ray(model: str, workers: int, on_gpus: bool) -> None:
    """Train in so many workers. Raises RequestError without Ray, TrainingError if a worker fails."""
    try:
        import ray
        from ray.train import RunConfig, ScalingConfig, WorkerGroupError
        from ray.train.tensorflow import TensorflowTrainer
    except ImportError as error:
        raise RequestError(f"`launcher: ray` needs Ray: {error}.", "pip install '.[ray]' brings it.") from error
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    here = {} if os.environ.get("RAY_ADDRESS") else {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    ray.init(logging_level="error", **here)
    try:
        with tempfile.TemporaryDirectory() as place:
            TensorflowTrainer(
                _work,
                train_loop_config={"model": model, "folder": os.getcwd()},
                scaling_config=ScalingConfig(num_workers=workers, use_gpu=on_gpus),
                run_config=RunConfig(storage_path=place),
            ).fit()
    except WorkerGroupError as error:
        first = next(iter(error.worker_failures.values()))
        raise TrainingError(f"A worker of this training failed: {getattr(first, 'cause', None) or first}") from error
    finally:
        ray.shutdown()


def _work(config: dict[str, str]) -> None:
    """A worker: the command in a process of its own, since Ray has imported TensorFlow in this one. It ends with it."""
    with tempfile.TemporaryDirectory() as place:
        pipe = Path(place) / "lifeline"
        os.mkfifo(pipe)
        held = os.open(pipe, os.O_RDWR)
        try:
            done = subprocess.run(
                [sys.executable, "-m", "pipelines", "train", config["model"]],
                cwd=config["folder"],
                env=os.environ | {"RATCHET_LIFELINE": str(pipe)},
                stderr=subprocess.PIPE,
                text=True,
            )
        finally:
            os.close(held)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().removeprefix("error: ")[-1000:])
