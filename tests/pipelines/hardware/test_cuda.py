"""CUDA: what TensorFlow needs is read from its files, and what is missing is named."""

import json
import shutil
import subprocess
import sys

import pytest

from pipelines.hardware import cuda
from pipelines.hardware.cuda import Build
from tests.support.world import ROOT

TEXT = '''"""Auto-generated module providing information about the build."""
import collections

build_info = collections.OrderedDict([('cuda_compute_capabilities', ['sm_70', 'sm_60', 'compute_90']),
    ('cuda_version', '12.5.1'), ('cudnn_version', '9'), ('is_cuda_build', {})])
'''
BUILD = Build("12.5.1", "9", (6, 0))


@pytest.fixture
def package(tmp_path):
    """A TensorFlow of one file, in a folder of packages."""
    folder = tmp_path / "tensorflow"
    (folder / "python" / "platform").mkdir(parents=True)
    (folder / "python" / "platform" / "build_info.py").write_text(TEXT.format(True))
    return folder


def library(package, name):
    return package.parent / "nvidia" / "any" / "lib" / name


def ship(package, name):
    path = library(package, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_what_tensorflow_was_built_for(package):
    assert cuda.build(package) == BUILD


def test_a_tensorflow_without_cuda(package):
    (package / "python" / "platform" / "build_info.py").write_text(TEXT.format(False))
    assert cuda.build(package) == Build("", "", (0, 0))


@pytest.mark.parametrize(
    "text", ["", "x = 1", "build_info = dict([('is_cuda_build', True)])", "build_info = f(1)", "("]
)
def test_a_tensorflow_that_does_not_say(package, text):
    (package / "python" / "platform" / "build_info.py").write_text(text)
    assert cuda.build(package) is None


@pytest.mark.long
def test_the_file_says_what_tensorflow_itself_says():
    """In a process of its own: where TensorFlow is imported is settled by the first to do so."""
    code = "import json, tensorflow as tf; print(json.dumps(dict(tf.sysconfig.get_build_info())))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    told, found = json.loads(done.stdout), cuda.build()
    assert found is not None
    assert (found.cuda, found.cudnn) == (told.get("cuda_version", ""), told.get("cudnn_version", ""))


def test_what_is_neither_shipped_nor_installed_is_missing(package):
    wanted = cuda.libraries(BUILD)
    assert cuda.missing(BUILD, package, lambda name: False) == wanted
    for name in wanted[1:]:
        ship(package, name)
    assert cuda.missing(BUILD, package, lambda name: False) == ["libcudart.so.12"]
    assert cuda.missing(BUILD, package, lambda name: name == "libcudart.so.12") == []


def test_a_library_of_another_version_is_not_the_one(package):
    for name in cuda.libraries(BUILD):
        ship(package, name)
    (package.parent / "nvidia" / "any" / "lib" / "libcudnn.so.9").rename(
        package.parent / "nvidia" / "any" / "lib" / "libcudnn.so.8"
    )
    assert cuda.missing(BUILD, package, lambda name: False) == ["libcudnn.so.9"]


def test_the_systems_loader_is_asked():
    assert not cuda.loads("libnothing-of-that-name.so.1")


def test_the_packages_of_nvidia_have_versions():
    assert set(cuda.packages()) <= set(cuda.PACKAGES)


def test_a_library_of_another_cuda_counts_for_nothing(package):
    other = package.parent / "nvidia" / "cu13" / "lib" / "libcusparse.so.12"
    other.parent.mkdir(parents=True)
    other.touch()
    assert "libcusparse.so.12" in cuda.missing(BUILD, package, loads=lambda name: False)


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_a_library_of_nvidias_packages_is_found_by_its_name_once_it_was_opened(package):
    """As TensorFlow looks for it, in a folder that no loader searches."""
    ship(package, "libnothing.so.1")  # an empty file cannot be opened, which is TensorFlow's to tell
    name = "libratchet.so.1"
    output = str(library(package, name))
    subprocess.run(["cc", "-shared", "-x", "c", "/dev/null", f"-Wl,-soname,{name}", "-o", output], check=True)
    code = (
        "import pathlib, sys; from pipelines.hardware import cuda\n"
        f"cuda.libraries = lambda built: ['libnothing.so.1', {name!r}]\n"
        f"print(cuda.loads({name!r})); cuda.preload(pathlib.Path(sys.argv[1])); print(cuda.loads({name!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(package)], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True"], done.stderr
