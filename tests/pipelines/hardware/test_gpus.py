"""GPUs: which can be used, and if none: the reason that holds, with what to do. No test needs one."""

import shlex
import subprocess
import sys
from dataclasses import replace

import pynvml
import pytest

from pipelines.errors import RequestError
from pipelines.hardware import gpus
from pipelines.hardware.cuda import Build
from pipelines.hardware.gpus import Gpu, Machine, Sight, require, usable, visible, why_none
from tests.support.world import ROOT

BUILD = Build("12.5.1", "9", (6, 0))
ONE = Gpu(0, "GPU-aa11", "NVIDIA H100", (9, 0), 80 << 30, 79 << 30)
TWO = Gpu(1, "GPU-ab22", "NVIDIA H100", (9, 0), 80 << 30, 79 << 30)
OLD = Gpu(2, "GPU-cc33", "Tesla M60", (5, 2), 8 << 30, 8 << 30)
SIGHT = Sight(Machine([ONE, TWO, OLD], "550.54", (12, 4)), None, BUILD)
NONE = Sight(Machine(problem="NVML Shared Library Not Found"), None, BUILD)
BROKEN = Sight(Machine(problem="Driver/library version mismatch", broken=True), None, BUILD)


@pytest.mark.parametrize(
    ("value", "indices"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("-1", []),
        ("1", [1]),
        ("2, 0", [2, 0]),
        ("0,7,1", [0]),
        ("0,-1,1", [0]),
        ("1,1", []),
        ("GPU-ab", [1]),
        ("GPU-ab22,GPU-aa11", [1, 0]),
        ("GPU-a", []),
        ("GPU-aa11,GPU-zz,GPU-cc", [0]),
        ("none", []),
    ],
)
def test_what_cuda_shows_a_process(value, indices):
    assert [gpu.index for gpu in visible([ONE, TWO, OLD], value)] == indices


def test_a_part_of_a_gpu_is_refused():
    with pytest.raises(RequestError, match=r"names MIG-12, a part of a GPU .* takes whole GPUs\. Set CUDA_VISIBLE"):
        visible([ONE], "MIG-12")


@pytest.mark.parametrize(
    ("changes", "indices"),
    [
        ({}, [0, 1]),
        ({"shown": "2,1"}, [1]),
        ({"built": None}, [0, 1, 2]),
        ({"built": Build("", "", (0, 0))}, []),
        ({"missing": ["libcudnn.so.9"]}, []),
        ({"machine": Machine([ONE], "470.1", (11, 4))}, []),
    ],
)
def test_the_gpus_that_tensorflow_can_use(changes, indices):
    assert [gpu.index for gpu in usable(replace(SIGHT, **changes))] == indices


@pytest.mark.parametrize(
    ("sight", "what", "do"),
    [
        (NONE, "no NVIDIA driver answers (NVML Shared Library Not Found).", "nvidia-smi"),
        (BROKEN, "the NVIDIA driver fails (Driver/library version mismatch).", "restart"),
        (
            Sight(Machine([], "550.54", (12, 4)), None, BUILD),
            "the NVIDIA driver 550.54 lists no GPU that this process may use.",
            "container",
        ),
        (
            Sight(Machine([ONE], "550.54", (12, 4)), "3", BUILD),
            "CUDA_VISIBLE_DEVICES='3' hides GPU 0 (NVIDIA H100).",
            "Unset it",
        ),
        (
            replace(SIGHT, missing=["libcudart.so.12", "libcudnn.so.9"]),
            "this TensorFlow needs CUDA 12.5.1 and cuDNN 9, and does not find libcudart.so.12, libcudnn.so.9.",
            "pip install -e '.[gpu]'",
        ),
        (replace(SIGHT, built=Build("", "", (0, 0))), "this TensorFlow was built without CUDA.", "`tensorflow`"),
        (replace(NONE, built=Build("", "", (0, 0))), "this TensorFlow was built without CUDA.", "`tensorflow`"),
        (
            Sight(Machine([ONE], "470.1", (11, 4)), None, BUILD, ["libcudnn.so.9"]),
            "the NVIDIA driver 470.1 supports CUDA 11.4 at most, and this TensorFlow needs 12.5.1.",
            "newer driver",
        ),
        (
            Sight(Machine([OLD], "550.54", (12, 4)), None, BUILD),
            "this TensorFlow supports compute capability 6.0 or higher, and GPU 2 (Tesla M60) has 5.2.",
            "device: cpu",
        ),
    ],
    ids=[
        "no driver",
        "broken driver",
        "no GPU",
        "hidden",
        "no libraries",
        "no CUDA",
        "neither",
        "old driver",
        "old GPU",
    ],
)
def test_why_there_is_none(sight, what, do):
    assert usable(sight) == []
    told = why_none(sight)
    assert told[0] == what
    assert do in told[1]
    assert "device: auto" in told[1]


@pytest.mark.parametrize("sight", [SIGHT, replace(SIGHT, built=None)])
def test_of_gpus_that_seem_to_be_in_order_only_tensorflow_can_tell(sight):
    what, do = why_none(replace(sight, shown="1"))
    assert what == "TensorFlow finds none, though the driver lists GPU 1 (NVIDIA H100)."
    assert do.startswith('`python -c "from pipelines.hardware import cuda; cuda.preload(); import tensorflow; ')
    assert "list_physical_devices('GPU')\"` shows why" in do


def test_the_command_that_shows_why_can_be_run(hardware):
    """Where TensorFlow is there already, as the next tests want it."""
    python, option, code = shlex.split(gpus.ASK)
    assert (python, option) == ("python", "-c")
    exec(code, {})  # with nothing but its own imports


def test_a_gpu_that_this_process_may_not_use_is_not_counted():
    def handle(number: int) -> str:
        if number == 1:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NO_PERMISSION)
        return f"handle {number}"

    assert gpus.accessible(3, handle) == ["handle 0", "handle 2"]


def test_a_gpu_that_is_required_and_not_there_is_a_wrong_request():
    with pytest.raises(RequestError) as caught:
        require("gpu", NONE)
    assert str(caught.value).startswith("train.device is gpu, and no NVIDIA driver answers (NVML Shared")
    assert caught.value.status == 2
    with pytest.raises(RequestError, match=r"^evaluate\.device is gpu, and no NVIDIA driver answers"):
        require("gpu", NONE, key="evaluate.device")


@pytest.mark.parametrize(("wanted", "sight"), [("cpu", NONE), ("auto", NONE), ("gpu", SIGHT)])
def test_everything_else_is_let_through(wanted, sight):
    require(wanted, sight)


def test_this_machine_is_looked_at_without_tensorflow():
    code = "import sys; from pipelines.hardware import gpus; gpus.look(); sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.tensorflow
def test_what_is_seen_here_is_of_one_piece():
    seen = gpus.look({"CUDA_VISIBLE_DEVICES": "-1"})
    assert seen.shown == "-1"
    assert bool(seen.machine.problem) != bool(seen.machine.driver)
    assert gpus.listed() == [] or gpus.driver()
    assert usable(seen) == []
    assert all(why_none())
