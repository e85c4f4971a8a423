"""Seal: a stage fails, and names the file, if anything that it depends on changes while it runs."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.config.stages import STAGES
from pipelines.errors import IntegrityError
from pipelines.process import seal
from tests.support.world import PATIENCE, ROOT, World, until


@pytest.fixture
def project(made, world) -> World:
    """Pets up to `check`, with a copy of the code that may be edited, and a training that takes a while."""
    shutil.copytree(ROOT / "pipelines", world.root / "pipelines", ignore=shutil.ignore_patterns("__pycache__"))
    made.copy(world.root)
    shutil.rmtree(world.root / "data/pets/model")
    (world.root / "data/pets/history.csv").unlink()
    world.declare(train={"epochs": 100_000})
    return world


def during_training(world: World, act) -> subprocess.CompletedProcess[str]:
    """Run `train`, call act() once it has trained an epoch, and let it come to its end soon after."""
    history = world.root / "data/pets/history.csv"
    command = [sys.executable, "-c", STOPS_EARLY, "train", "pets"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    running = subprocess.Popen(command, cwd=world.root, env=dict(os.environ) | {"PYTHONPATH": ""}, **pipes)
    until(lambda: running.poll() is not None or (history.exists() and history.stat().st_size))
    assert running.poll() is None, running.communicate()
    act()
    (world.root / "enough").touch()
    out, error = running.communicate(timeout=PATIENCE)
    return subprocess.CompletedProcess(command, running.returncode, out, error)


STOPS_EARLY = """
import os, runpy, sys
sys.path.insert(0, os.getcwd())
from pipelines.hardware import device
plain = device.prepare
def prepare(*arguments):
    choice = plain(*arguments)
    import keras
    class End(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = os.path.exists("enough")
    fit = keras.Model.fit
    keras.Model.fit = lambda self, *a, callbacks=(), **k: fit(self, *a, callbacks=[*callbacks, End()], **k)
    return choice
device.prepare = prepare
runpy.run_module("pipelines", run_name="__main__", alter_sys=True)
"""


def swap(path: Path) -> None:
    """Change a file and change it back, times included."""
    text, about = path.read_bytes(), path.stat()
    path.write_bytes(text + b"\n")
    path.write_bytes(text)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


OTHERS = ("pipelines/model/networks.py", "data/pets/check.json", "models/pets.yaml", "data/pets/train.parquet")


@pytest.mark.parametrize(
    "path",
    [
        "pipelines/train.py",
        *(pytest.param(name, marks=pytest.mark.long) for name in OTHERS),
    ],
)
def test_a_file_that_was_changed_and_changed_back_fails_the_stage_and_is_named(project, path):
    done = during_training(project, lambda: swap(project.root / path))
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {path}")
    assert "changed while the stage train was running" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_sections_of_the_stage_are_sealed_and_others_are_not(world):
    sealed = seal.Seal("train", "pets")
    world.declare(promote={"at_least": 0.6})
    sealed.check()
    world.declare(train={"epochs": 4}, promote={"at_least": 0.6})
    with pytest.raises(IntegrityError, match=r"^models/pets.yaml \(train\) changed while the stage train was running"):
        sealed.check()


@pytest.mark.long
def test_an_edited_section_of_the_stage_fails_it_and_another_one_does_not(project):
    done = during_training(project, lambda: project.declare(train={"epochs": 99_999}))
    assert done.stderr.startswith("error: models/pets.yaml (train) changed")
    (project.root / "enough").unlink()
    (project.root / "data/pets/history.csv").unlink()
    project.declare(train={"epochs": 100_000})
    done = during_training(project, lambda: project.declare(train={"epochs": 100_000}, promote={"at_least": 0.6}))
    assert (done.returncode, done.stderr) == (0, "")
    assert not (project.root / "data/pets/checkpoint.npz").exists()


@pytest.mark.long
def test_a_file_that_no_stage_reads_may_change(project):
    done = during_training(project, lambda: swap(project.root / "pipelines/readers/sources.py"))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("change", ["replaced", "removed", "added to a folder"])
def test_every_kind_of_change_is_seen(tmp_path, change):
    folder = tmp_path / "folder"
    folder.mkdir()
    file = folder / "a"
    file.write_text("1")
    before = seal.sign([folder])
    assert seal.changed(before) == []
    if change == "replaced":
        (tmp_path / "b").write_text("1")
        os.replace(tmp_path / "b", file)
    elif change == "removed":
        file.unlink()
    else:
        (folder / "b").touch()
    assert seal.changed(before)[0] == folder


LOADED = """
import importlib, json, os, sys
from pipelines.process.fork_server import LIBRARIES
for name in (name for names in LIBRARIES.values() for name in names):  # not of the project, and slow to import
    importlib.import_module(name)
for name in [name for name in sys.modules if name.startswith("pipelines.")]:
    del sys.modules[name]
for stage in sys.argv[1:]:
    if not os.fork():
        importlib.import_module(f"pipelines.{stage}").run("pets")
        print(json.dumps([stage, [name for name in sys.modules if name.startswith("pipelines.")]]), flush=True)
        os._exit(0)
    assert os.wait()[1] == 0
"""


def dotted(path: Path) -> str:
    """The module of a file, or the package whose __init__.py it is."""
    return ".".join(path.relative_to(seal.PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def test_what_is_found_by_walking_is_what_is_really_loaded(made, tmp_path):
    """Each stage in a fork of a process that has imported nothing of the project."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *STAGES],
        cwd=made.copy(tmp_path).root,
        env=dict(os.environ) | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = dict(json.loads(line) for line in done.stdout.splitlines() if line.startswith("["))
    assert set(found) == set(STAGES)
    for stage, names in found.items():
        walked = {dotted(path) for path in seal.modules(stage)}
        late = stage == "compress"  # what makes variants is imported where the YAML asks for some
        assert {"pipelines", *names} <= walked if late else {"pipelines", *names} == walked, stage


PLUGINS = [("ingest", "readers/formats"), ("train", "model/architectures"), ("evaluate", "model/scores")]


@pytest.mark.parametrize(("stage", "folder"), PLUGINS)
def test_every_file_of_a_folder_of_plug_ins_is_found(stage, folder, tmp_path, monkeypatch):
    shutil.copytree(ROOT / "pipelines", tmp_path / "pipelines", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(seal, "PACKAGE", tmp_path / "pipelines")
    added = tmp_path / "pipelines" / folder / "added.py"
    before = seal.modules(stage)
    added.touch()
    assert set(seal.modules(stage)) - set(before) == {added}
    signed = seal.sign(seal.modules(stage))
    added.write_text("edited = True")
    assert seal.changed(signed) == [added]
