"""A child of a process that has imported TensorFlow does what a fresh process does, as the one who asked."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipelines.hardware import device
from pipelines.process import fork_server
from tests.pipelines.test_train import contents
from tests.support.world import PATIENCE, ROOT, World, nothings, tiles, until

ABOUT = """
import json, os, signal, sys
print(json.dumps({
    "module": __name__,
    "arguments": sys.argv[1:],
    "environment": dict(os.environ),
    "folder": os.getcwd(),
    "group": os.getpgrp(),
    "interrupt": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
    "parent": os.getppid(),
    "warm": "tensorflow" in sys.modules,
}))
"""
ENDS = {  # how a module may end: its code, exit status, standard output, the last line of standard error
    "by itself": ("print('done')", 0, "done\n", ""),
    "with a status": ("import sys; print('out'); sys.exit(3)", 3, "out\n", ""),
    "with a text": ("import sys; sys.exit('no way')", 1, "", "no way"),
    "with nothing": ("import sys; sys.exit()", 0, "", ""),
    "with an exception": ("raise ValueError('seven')", 1, "", "ValueError: seven"),
    "with what it was given": ("print(input()[::-1])", 0, "olleh\n", ""),
    "killed": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 137, "", ""),
}


@dataclass
class Server:
    process: subprocess.Popen[bytes]
    folder: Path  # of its socket
    lifeline: list[int]  # a file descriptor: closed, the server ends

    def let_go(self) -> None:
        while self.lifeline:
            os.close(self.lifeline.pop())

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()


@contextmanager
def serving(kind: str, path: str = str(ROOT)) -> Iterator[Server]:
    """path: where the server looks for modules. The folder is the system's own: a socket's address is short."""
    with tempfile.TemporaryDirectory(prefix="warm-") as name:
        pipe = Path(name) / "lifeline"
        (Path(name) / "train").symlink_to(kind)  # as `ratchet run` leaves one for each stage
        os.mkfifo(pipe)
        lifeline = [os.open(pipe, os.O_RDWR)]
        environment = os.environ | device.variables(device.Hardware()) | {"TF_CPP_MIN_LOG_LEVEL": "3"}
        environment |= {"PYTHONPATH": path, "RATCHET_WARM": name, "RATCHET_LIFELINE": str(pipe)}
        imported, held = os.pipe()
        command = [sys.executable, "-m", "pipelines.process.fork_server", "serve", kind, str(held)]
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdin=subprocess.DEVNULL, pass_fds=[held])
        os.close(held)
        server = Server(process, Path(name), lifeline)
        try:
            until((Path(name) / kind).exists)
            yield server
        finally:
            os.close(imported)
            process.kill()
            process.wait()
            server.let_go()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("networks") as found:
        yield found


def asking(folder: Path, module: str = "asked", *arguments: str, warm: Server | None, **environment: str) -> dict:
    """What to give subprocess for `python -m MODULE`, which is searched in `folder`, in a child if it can be."""
    variables = os.environ | {"PYTHONPATH": f"{folder}:{ROOT}", "LC_ALL": "C.UTF-8"} | environment
    if warm is not None:
        variables |= {"RATCHET_WARM": str(warm.folder)}
    command = [sys.executable, "-m", "pipelines.process.fork_server", "run", "networks", module, *arguments]
    return {"args": command, "env": variables, "cwd": folder}


def ask(folder: Path, *arguments: str, warm: Server | None, **more: Any) -> subprocess.CompletedProcess[str]:
    """Ask for what was written; it ran in a child, or without a server in a process of its own."""
    asked = asking(folder, "asked", *arguments, warm=warm)
    done = subprocess.run(**asked, capture_output=True, text=True, timeout=PATIENCE, **more)
    assert int((folder / "parent").read_text()) == (warm.process.pid if warm else os.getpid())
    return done


def write(folder: Path, code: str) -> Path:
    """A module that says first whose child it is."""
    (folder / "asked.py").write_text(f"import os; print(os.getppid(), file=open('parent', 'w'))\n{code}")
    return folder


def test_a_stage_in_a_child_writes_the_bytes_of_a_fresh_process_however_often(server, made, tmp_path):
    """The one who asks cannot import TensorFlow itself, so that it was the child that did it."""
    world = World(tmp_path)
    world.declare_tiles()
    world.pin(tiles(), "rows.parquet", model="tiles")
    for name in ("train.parquet", "validation.parquet"):
        shutil.copyfile(made.root / "data/tiles" / name, world.root / "data/tiles" / name)
    (tmp_path / "without").mkdir()
    (tmp_path / "without/tensorflow.py").write_text("raise ImportError('not here')")
    path = f"{tmp_path / 'without'}:{ROOT}"
    assert "ImportError: not here" in world.command("train", "tiles", PYTHONPATH=path).stderr
    assert world.command("train", "tiles").returncode == 0
    expected = contents(world.root / "data/tiles")
    for _ in range(2):
        shutil.rmtree(world.root / "data/tiles/model")
        (world.root / "data/tiles/history.csv").unlink()
        done = world.command("train", "tiles", PYTHONPATH=path, RATCHET_WARM=str(server.folder))
        assert (done.returncode, done.stderr) == (0, "")
        assert "device: CPU" in done.stdout
        assert contents(world.root / "data/tiles") == expected


def test_a_child_has_all_that_the_one_who_asks_has(server, tmp_path):
    """Compared with the same module in a fresh process; what libraries read when they are imported is the server's."""
    own = {"MINE": "yes", "XLA_FLAGS": "--other", "TF_CPP_MIN_LOG_LEVEL": "0"}
    found = {}
    for where in (server, None):
        asked = asking(write(tmp_path, ABOUT), "asked", "one", "two words", warm=where, **own)
        child = subprocess.Popen(**asked, stdout=subprocess.PIPE, process_group=0)
        output, _ = child.communicate(timeout=PATIENCE)
        found[where is server] = json.loads(output)
        assert found[where is server].pop("group") == child.pid  # the one who asks leads its own group
    in_child, fresh = found[True], found[False]
    assert (in_child.pop("warm"), fresh.pop("warm")) == (True, False)
    assert in_child.pop("parent") == server.process.pid
    fresh.pop("parent")
    assert (in_child["module"], in_child["arguments"]) == ("__main__", ["one", "two words"])
    assert fresh["environment"].items() >= own.items()
    fresh["environment"] |= device.variables(device.Hardware()) | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    assert in_child == fresh


def test_a_child_asks_nobody_itself(server, tmp_path):
    write(tmp_path, "import os; print(os.environ.get('RATCHET_WARM'))")
    assert ask(tmp_path, warm=server).stdout == "None\n"


@pytest.mark.parametrize("warm", [True, False], ids=["in a child", "by itself"])
@pytest.mark.parametrize("end", ENDS)
def test_exit_status_and_streams_come_through(server, tmp_path, end, warm):
    code, status, output, last = ENDS[end]
    done = ask(write(tmp_path, code), warm=server if warm else None, input="hello")
    assert done.returncode == (-signal.SIGKILL if end == "killed" and not warm else status)
    assert done.stdout == output
    assert "".join(done.stderr.splitlines()[-1:]) == last


def test_a_child_that_has_ended_is_buried(server, tmp_path):
    ask(write(tmp_path, "pass"), warm=server)
    until(lambda: not server.children())


def test_children_do_not_see_what_others_did(server, tmp_path):
    """Each is a fork of the server, which ran nothing."""
    write(tmp_path, "import sys, keras; print(hasattr(keras, 'mark')); keras.mark = 1; print('asked' in sys.modules)")
    for _ in range(2):
        assert ask(tmp_path, warm=server).stdout == "False\nFalse\n"


SLEEPS = "import time; print('here', flush=True); time.sleep(600)"


@contextmanager
def asleep(folder: Path, server: Server) -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
    """One who asks for a module that sleeps, and the child in which it does."""
    asked = asking(write(folder, SLEEPS), warm=server)
    process = subprocess.Popen(**asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0)
    try:
        assert process.stdout
        assert process.stdout.readline() == "here\n"
        (child,) = server.children()
        yield process, child
    finally:
        process.kill()
        process.communicate()


def test_a_child_ends_with_the_one_who_asked_however_that_ends(server, tmp_path):
    with asleep(tmp_path, server) as (process, child):
        time.sleep(0.5)
        assert child.is_running()
        process.kill()
        assert psutil.wait_procs([child], timeout=PATIENCE)[1] == []
        assert server.process.poll() is None


def test_two_children_work_side_by_side(server, tmp_path):
    with asleep(tmp_path, server) as (process, _):
        other = tmp_path / "other"
        other.mkdir()
        assert ask(write(other, "print('quick')"), warm=server).stdout == "quick\n"
        assert process.poll() is None


def test_ctrl_c_is_for_the_child_and_not_for_the_server(server, tmp_path):
    with asleep(tmp_path, server) as (process, child):
        os.killpg(process.pid, signal.SIGINT)
        assert psutil.wait_procs([child], timeout=PATIENCE)[1] == []
        assert process.wait(timeout=PATIENCE) != 0
    os.kill(server.process.pid, signal.SIGINT)
    assert ask(write(tmp_path, "print('there')"), warm=server).stdout == "there\n"


def test_when_the_run_lets_go_of_the_lifeline_server_and_stages_end(made, tmp_path):
    """The stage trains for a hundred thousand epochs, or until then."""
    world = World(tmp_path)
    world.declare_tiles(train={"network": "cnn", "filters": [4], "epochs": 100_000})
    world.pin(tiles(), "rows.parquet", model="tiles")
    for name in ("train.parquet", "validation.parquet"):
        shutil.copyfile(made.root / "data/tiles" / name, world.root / "data/tiles" / name)
    with serving("networks") as server:
        variables = {"PYTHONPATH": str(ROOT), "RATCHET_WARM": str(server.folder)}
        variables |= {"RATCHET_LIFELINE": str(server.folder / "lifeline")}
        command = [sys.executable, "-m", "pipelines", "train", "tiles"]
        stage = subprocess.Popen(command, env=os.environ | variables, cwd=tmp_path, stdout=subprocess.DEVNULL)
        try:
            until((world.root / "data/tiles/history.csv").exists)
            (child,) = server.children()
            server.let_go()
            assert psutil.wait_procs([child], timeout=PATIENCE)[1] == []
            assert server.process.wait(timeout=PATIENCE) == 1
            assert stage.wait(timeout=PATIENCE) in (1, fork_server.KILLED)
        finally:
            stage.kill()
            stage.wait()


def test_without_its_server_a_child_ends_its_work_and_later_ones_do_without(tmp_path):
    nothings(tmp_path / "nothings")
    code = "import time; print('here', flush=True); time.sleep(1); print('done')"
    with serving("networks", f"{tmp_path / 'nothings'}:{ROOT}") as server:
        asked = asking(write(tmp_path, code), warm=server)
        process = subprocess.Popen(**asked, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        assert process.stdout.readline() == "here\n"
        (child,) = server.children()
        server.process.kill()
        assert process.communicate(timeout=PATIENCE)[0] == "done\n"
        assert process.returncode == 0
        assert psutil.wait_procs([child], timeout=PATIENCE)[1] == []
        asked = asking(write(tmp_path, "print('by itself')"), warm=server)
        assert subprocess.run(**asked, capture_output=True, text=True, timeout=PATIENCE).stdout == "by itself\n"


@pytest.mark.parametrize("where", ["", "nowhere", "an empty folder", "a dead socket"])
def test_where_nobody_answers_the_module_runs_by_itself(tmp_path, where):
    with tempfile.TemporaryDirectory() as folder:
        if where == "a dead socket":
            code = "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])"
            subprocess.run([sys.executable, "-c", code, f"{folder}/networks"], check=True)
        place = {"": "", "nowhere": f"{folder}/nowhere"}.get(where, folder)
        asked = asking(write(tmp_path, ABOUT), "asked", "one", warm=None, RATCHET_WARM=place)
        done = subprocess.run(**asked, capture_output=True, text=True, timeout=PATIENCE)
    found = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert (found["module"], found["arguments"], found["warm"]) == ("__main__", ["one"], False)
    assert found["parent"] == os.getpid()


def test_where_the_libraries_cannot_be_imported_the_module_runs_by_itself(tmp_path):
    """The one who asks is there before the server has found out."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/tensorflow.py").write_text("import time; time.sleep(2); raise ImportError('broken')")
    with serving("networks", f"{tmp_path / 'broken'}:{ROOT}") as server:
        start = time.monotonic()
        asked = asking(write(tmp_path, ABOUT), warm=server)
        found = json.loads(subprocess.run(**asked, capture_output=True, text=True, timeout=PATIENCE).stdout)
        assert time.monotonic() - start > 1  # it had waited
        assert (found["warm"], found["parent"]) == (False, os.getpid())
        assert server.process.wait(timeout=PATIENCE) == 1
