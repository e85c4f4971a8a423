"""What doctor says of GPUs that are made up, and what a run does that wants one."""

from dataclasses import replace

import pytest

from flows.inspect import doctor_gpus
from flows.project import environment
from pipelines.errors import RatchetError, RequestError
from pipelines.hardware.cuda import Build
from pipelines.hardware.gpus import Gpu, Machine, Sight
from tests.support.clone import clone, edit, ratchet

NEW = Gpu(0, "GPU-aa11", "NVIDIA H100", (9, 0), 80 << 30, 79 << 30)
OLD = Gpu(1, "GPU-cc33", "Tesla M60", (5, 2), 8 << 30, 8 << 30)
SIGHT = Sight(Machine([NEW, OLD], "550.54", (12, 4)), None, Build("12.5.1", "9", (6, 0)))
NONE = replace(SIGHT, machine=Machine(problem="NVML Shared Library Not Found"))


def told(sight, name, users=lambda devices: {}):
    return [(ok, found) for one, ok, found, _ in doctor_gpus.look(sight, users) if one == name]


def test_each_gpu_has_a_line():
    used = {"GPU-aa11": "the training of churn since 14:02 UTC (process 123)"}
    assert told(SIGHT, "gpu", lambda devices: used) == [
        (
            True,
            "GPU 0: NVIDIA H100, compute capability 9.0, 79.0 of 80.0 GiB free, "
            "used by the training of churn since 14:02 UTC (process 123)",
        ),
        (True, "GPU 1: Tesla M60, compute capability 5.2, 8.0 of 8.0 GiB free, too old for this TensorFlow"),
    ]
    assert told(SIGHT, "driver") == [(True, "NVIDIA 550.54, for CUDA up to 12.4")]


def test_a_hidden_gpu_beside_one_that_is_used():
    both = Machine([NEW, replace(NEW, index=1, uuid="GPU-bb22")], "550.54", (12, 4))
    assert told(replace(SIGHT, machine=both, shown="1"), "gpu")[0][1].endswith("free, hidden by CUDA_VISIBLE_DEVICES")


def test_a_machine_without_a_gpu_is_in_order():
    assert told(NONE, "gpu") == [(True, "no GPU: no NVIDIA driver answers (NVML Shared Library Not Found).")]
    assert told(NONE, "driver") == []


@pytest.mark.parametrize(
    ("sight", "what"),
    [
        (replace(SIGHT, missing=["libcudnn.so.9"]), "no GPU: this TensorFlow needs CUDA 12.5.1"),
        (replace(SIGHT, shown="7"), "no GPU: CUDA_VISIBLE_DEVICES='7' hides GPU 0"),
        (replace(SIGHT, shown="MIG-1"), "CUDA_VISIBLE_DEVICES names MIG-1"),
        (replace(SIGHT, machine=Machine(problem="Driver/library version mismatch", broken=True)), "no GPU: the NVIDIA"),
    ],
)
def test_a_gpu_that_cannot_be_used_is_not(sight, what):
    ok, found = told(sight, "gpu")[-1]
    assert not ok
    assert found.startswith(what)


@pytest.mark.parametrize("value", ["", "-1"])
def test_gpus_that_somebody_has_hidden_are_in_order(value):
    ok, found = told(replace(SIGHT, shown=value), "gpu")[-1]
    assert ok
    assert found.startswith(f"no GPU: CUDA_VISIBLE_DEVICES={value!r} hides GPU 0 (NVIDIA H100) and GPU 1")


def test_what_is_wrong_with_the_turns_is_told():
    def trapped(devices):
        raise RatchetError("It cannot be used.", "Remove it.")

    (line,) = [line for line in doctor_gpus.look(SIGHT, trapped) if line[0] == "gpu"]
    assert line == ("gpu", False, "It cannot be used.", "Remove it.")


def test_what_tensorflow_needs_and_whether_energy_can_be_measured_is_one_line_each():
    ((_, needs),) = told(NONE, "cuda")
    assert needs.startswith("TensorFlow needs 12.5.1, and cuDNN 9; ")
    ((ok, energy),) = told(NONE, "energy")
    assert ok
    assert "measured" in energy


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A clone in which digits wants a GPU."""
    folder = clone(tmp_path_factory.mktemp("devices"))
    edit(folder / "models" / "digits.yaml", "device: auto", "device: gpu")
    return folder


def test_a_run_without_the_gpu_that_it_wants_fails_before_any_data_is_read(project):
    done = ratchet(project, "run", "digits", CUDA_VISIBLE_DEVICES="")  # hidden, where there is one
    assert done.returncode == 2
    assert "train.device is gpu, and " in done.stderr
    assert "declare `device: auto`" in " ".join(done.stderr.split())
    assert not (project / "data" / "digits" / "raw.parquet").exists()
    assert not list((project / ".ratchet").rglob("*.db"))


@pytest.mark.tensorflow
def test_a_scheduled_run_too(project, monkeypatch):
    from flows.run import context

    monkeypatch.chdir(project)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(RequestError, match=r"^train\.device is gpu, and "):
        context.checked(environment.find(), "digits")


def test_an_evaluation_too(project):
    path = project / "models" / "digits.yaml"
    edit(path, "device: gpu", "device: auto")
    edit(path, "evaluate: {", "evaluate: {device: gpu, ")
    done = ratchet(project, "run", "digits", CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 2
    assert "evaluate.device is gpu, and " in done.stderr
    assert not (project / "data" / "digits" / "raw.parquet").exists()
