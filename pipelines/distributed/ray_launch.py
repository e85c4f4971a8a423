"""Launch: the workers of one training, started by Ray where `launcher: ray` says so (pip install -e '.[ray]').

Ray runs one process on each host. It sets TF_CONFIG and runs the command that a person would type, in the same folder:
all hosts must see it. With RAY_ADDRESS the workers run on that cluster. Without it they run on this machine, and Ray
listens on loopback. Ray reports and shows nothing, and ends with the training, however that ends.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from pipelines.distributed import reap
from pipelines.errors import RequestError, TrainingError, UnreachableError

PATIENCE = 10  # seconds before a message says that Ray has no room
STORE = 80 * 2**20  # bytes that Ray shares between processes: next to nothing passes through it
OUTWARD = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # whether Ray takes the machine's outward address for the one it is given
OF_THE_RUN = ("RATCHET_STAGE_LOG", "RATCHET_WARM")  # variables of `ratchet run` that are not for the workers


def with_ray(model: str, workers: int, device: str, gpus: int, say: Callable[[str], None]) -> None:
    """Train in so many workers, and print what the first one prints.

    device: as declared; gpus: how many each worker may use. say: called if Ray lets the training wait. Raises
    RequestError without Ray, TrainingError if a worker fails, UnreachableError if one is gone.
    """
    local = not os.environ.get("RAY_ADDRESS")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if local:
        os.environ[OUTWARD] = "0"
    try:
        import ray
    except ImportError as error:
        raise RequestError(f"`launcher: ray` needs Ray: {error}.", "pip install -e '.[ray]' brings it.") from error
    with _started(ray, workers if local else 0):
        hosts = _hosts(ray, workers, device, gpus, say)
        try:
            places = ray.get([host.place.remote() for host in hosts])
            _watch(ray, [host.work.remote(model, os.getcwd(), places, rank) for rank, host in enumerate(hosts)])
        except ray.exceptions.RayError as error:
            raise _gone(f"Ray says: {str(error).strip().splitlines()[0]}") from error


@contextmanager
def _started(ray: Any, here: int) -> Iterator[None]:
    """Run Ray while the block runs. here: workers that need room on this machine; 0 uses a cluster."""
    with reap.folder("ray") if here else nullcontext() as place:
        own = {"_node_ip_address": "127.0.0.1", "_temp_dir": str(place), "num_cpus": here, "object_store_memory": STORE}
        more = own | {"include_dashboard": False} if here else {}
        try:
            ray.init(logging_level="error", log_to_driver=False, **more)
        except (ConnectionError, RuntimeError, ray.exceptions.RayError) as error:
            raise UnreachableError(
                f"Ray does not start or answer: {' '.join(str(error).split())[:300]}.",
                "On a cluster `ray status` shows why, with RAY_ADDRESS and RAY_AUTH_TOKEN as they are here.",
            ) from error
        try:
            yield
        finally:
            ray.shutdown()


def _hosts(ray: Any, workers: int, device: str, gpus: int, say: Callable[[str], None]) -> list[Any]:
    """A process for each worker, all of them or none, so that no two trainings wait for each other."""
    from ray.util.placement_group import placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    there = ray.cluster_resources()
    enough = there.get("GPU", 0) >= workers * gpus
    if device == "gpu" and not enough and not os.environ.get("RAY_ADDRESS"):
        raise TrainingError(
            f"train.device is gpu, train.workers is {workers}, and Ray finds {there.get('GPU', 0):g} GPUs here.",
            "Set RAY_ADDRESS to a cluster with enough GPUs, or find out with `ratchet doctor` why some are missing.",
        )
    gpus = gpus if device == "gpu" or (device == "auto" and enough) else 0
    group = placement_group([{"CPU": 1} | ({"GPU": gpus} if gpus else {})] * workers)
    if not group.wait(PATIENCE):
        has = f"{there.get('CPU', 0):g} CPUs and {there.get('GPU', 0):g} GPUs"
        say(f"Ray has no room for {workers} workers with a CPU and {gpus} GPUs each. It has {has} in all: waiting")
        ray.get(group.ready())
    strategy = PlacementGroupSchedulingStrategy(group)
    kind = ray.remote(Host).options(num_cpus=1, num_gpus=gpus, scheduling_strategy=strategy)
    return [kind.remote() for _ in range(workers)]


def _watch(ray: Any, streams: list[Any]) -> None:
    """Print the lines of the first worker as they come, until all workers have ended. Raises if one failed."""
    left = list(streams)
    while left:
        (ready,), left = ray.wait(left)
        rank = streams.index(ready)
        who = f"worker {rank + 1} of {len(streams)}"
        try:
            line = ray.get(next(ready))
        except StopIteration:
            continue
        except ray.exceptions.RayActorError as error:
            raise _gone(f"Ray's process for {who} has ended") from error
        except ray.exceptions.RayTaskError as error:
            raise TrainingError(f"Ray could not run {who}: {error.cause!r}.") from error
        if isinstance(line, str):
            left.append(ready)
            if rank == 0:
                print(line, end="", flush=True)
        elif line[0] < 0:
            raise _gone(f"{who} was ended by {signal.Signals(-line[0]).name}")
        elif line[0]:
            raise TrainingError(f"{who.capitalize()} failed: {line[1]}")


def _gone(what: str) -> UnreachableError:
    return UnreachableError(
        f"A worker of this training cannot be reached any more: {what}.",
        "Start the training again: it continues after the last finished epoch.",
    )


class Host:
    """A process of Ray on the host of a worker. If it ends, the worker ends."""

    def place(self) -> str:
        """The address of this host, with a port that is free."""
        import ray

        with socket.socket() as door:
            door.bind(("", 0))
            return f"{ray.util.get_node_ip_address()}:{door.getsockname()[1]}"

    def work(self, model: str, folder: str, places: list[str], rank: int) -> Iterator[str | tuple[int, str]]:
        """Each line of the worker as it comes; at the end its exit status and its error text."""
        task = {"cluster": {"worker": places}, "task": {"type": "worker", "index": rank}}
        environment = {key: value for key, value in os.environ.items() if key not in OF_THE_RUN}
        with tempfile.TemporaryDirectory() as place, tempfile.TemporaryFile("w+") as wrong:
            pipe = Path(place) / "lifeline"
            os.mkfifo(pipe)
            held = os.open(pipe, os.O_RDWR)  # if this process is killed, the kernel closes it
            process = subprocess.Popen(
                [sys.executable, "-m", "pipelines", "train", model],
                cwd=folder,
                env=environment | {"TF_CONFIG": json.dumps(task), "RATCHET_LIFELINE": str(pipe)},
                stdout=subprocess.PIPE,
                stderr=wrong,
                text=True,
            )
            for line in process.stdout or []:  # noqa: UP028  # Ray sends into a generator
                yield line
            status = process.wait()
            os.close(held)
            wrong.seek(0)
            yield status, wrong.read().strip().removeprefix("error: ")[-1000:]
