"""Processes that stay between runs are borrowed only where they are what a run would have started itself."""

import json
import os
import resource
import signal
import stat
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest

from flows.processes import background_pool, fork_pool
from flows.project import scratch
from flows.project.environment import Project
from pipelines.hardware.device import Hardware
from pipelines.process.fork_server import LIBRARIES
from tests.support.world import PATIENCE, ROOT, nothings, until

ABOUT = """
import json, os, sys
print(json.dumps({"parent": os.getppid(), "group": os.getpgrp(), "folder": os.getcwd(), "mask": os.umask(0),
    "own": [name for name in sys.modules if name.startswith("pipelines")], "loaded": "tensorflow" in sys.modules}))
"""
HEARS = """
import time
try:
    print("here", flush=True)
    time.sleep(600)
except KeyboardInterrupt:
    print("heard")
"""


@pytest.fixture
def project(tmp_path, monkeypatch) -> Iterator[Project]:
    """With libraries of nothing, and a state folder deeper than the address of a socket may be long."""
    nothings(tmp_path / "fakes")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'fakes'}:{ROOT}")
    root = tmp_path / ("deep" * 30)
    root.mkdir()
    found = Project(root, root / ".ratchet", "", "")
    yield found
    background_pool.down(found)


def staying(project: Project) -> dict[str, int]:
    """The processes by kind, as the system sees them, without their children."""
    found = {}
    for process in psutil.process_iter(["cmdline", "environ"]):
        line, own = process.info["cmdline"] or [], (process.info["environ"] or {}).get("RATCHET_WARM", "")
        with suppress(OSError):
            if (
                "serve" in line
                and own.startswith(str(project.state / "warm"))
                and os.getsid(process.pid) == process.pid
            ):
                found[line[line.index("serve") + 1]] = process.pid
    return found


def borrowed(project: Project) -> bool:
    with scratch.folder("warm") as folder:
        return background_pool.borrow(project, "networks", background_pool.environment(Hardware()), folder)


def ended(pid: int) -> bool:
    """Whether a process is no more than the status that its parent, this one, has not asked for."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(("kind", "served_by"), [("networks", "networks"), ("tables", "rules")])
def test_a_run_borrows_what_stays_and_leaves_it_there(project, tmp_path, kind, served_by):
    background_pool.up(project)
    there = staying(project)
    assert set(there) == set(LIBRARIES)
    (tmp_path / "asked.py").write_text(ABOUT)
    command = [sys.executable, "-m", "pipelines.process.fork_server", "run", kind, "asked"]
    for _ in range(2):
        with fork_pool.opened(project) as shared:
            shared.begin("ingest", Hardware())
            variables = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
            found = json.loads(subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True).stdout)
        assert found["parent"] == there[served_by]
        assert found["loaded"] == (kind == "networks")
        assert found["own"] == []  # the tree of the one who asks may be another one
        assert found["folder"] == str(tmp_path)
        assert found["group"] not in (os.getpgrp(), there[served_by])
        assert staying(project) == there
    assert "Traceback" not in (project.state / "logs" / "warm.log").read_text()


def test_another_up_keeps_what_is_there_and_down_ends_it(project):
    background_pool.up(project)
    there = staying(project)
    background_pool.up(project)
    assert staying(project) == there
    assert background_pool.down(project)
    until(lambda: not staying(project))
    assert not borrowed(project)
    assert not background_pool.down(project)


@pytest.mark.parametrize("what", ["variable", "packages", "cores", "limit", "instructions"])
def test_what_a_run_would_have_started_otherwise_is_not_borrowed(project, tmp_path, monkeypatch, what):
    background_pool.up(project)
    assert borrowed(project)
    hardware, there = Hardware(), staying(project)
    if what == "variable":
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
    elif what == "packages":
        monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    elif what == "cores":
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})
    elif what == "limit":
        monkeypatch.setattr(resource, "getrlimit", lambda limit: (10, 10))
    else:
        hardware = Hardware(instructions="AVX512_CORE")
    with fork_pool.opened(project) as shared:
        shared.begin("train", hardware)
        assert shared._processes["networks"] is not None
    monkeypatch.undo()
    assert staying(project) == there


def test_a_variable_that_no_library_reads_when_it_is_imported_makes_no_difference(project, monkeypatch):
    background_pool.up(project)
    monkeypatch.setenv("RATCHET_SOMETHING", "else")
    monkeypatch.setenv("PYTHONUNBUFFERED", f"{os.environ.get('PYTHONUNBUFFERED')} not")
    assert borrowed(project)


def test_those_of_another_environment_end_with_the_next_up(project, monkeypatch):
    background_pool.up(project)
    first = staying(project)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    background_pool.up(project)
    until(lambda: all(ended(pid) for pid in first.values()))
    assert set(staying(project)) == set(LIBRARIES)
    assert borrowed(project)


def test_a_run_does_without_one_that_was_killed(project):
    background_pool.up(project)
    os.kill(staying(project)["networks"], signal.SIGKILL)
    until(lambda: "networks" not in staying(project))
    assert not borrowed(project)
    background_pool.up(project)
    assert borrowed(project)


def test_nobody_else_reaches_a_socket(project):
    background_pool.up(project)
    for folder in (project.state / "warm", *(project.state / "warm").iterdir()):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_ctrl_c_reaches_a_child_in_another_session(project, tmp_path):
    background_pool.up(project)
    (tmp_path / "asked.py").write_text(HEARS)
    with fork_pool.opened(project) as shared:
        shared.begin("train", Hardware())
        command = [sys.executable, "-m", "pipelines.process.fork_server", "run", "networks", "asked"]
        variables = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
        process = subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True, process_group=0)
        assert process.stdout
        assert process.stdout.readline() == "here\n"
        os.killpg(process.pid, signal.SIGINT)
        assert process.communicate(timeout=PATIENCE) == ("heard\n", None)
        assert process.returncode == 0


def test_one_whose_folder_is_gone_ends(tmp_path):
    code = """
from pipelines.process import fork_server
fork_server.CHECK_SECONDS, fork_server.LIBRARIES["rules"] = 0.1, ()
fork_server.serve("rules", 1)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT), "RATCHET_WARM": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    until((tmp_path / "rules").exists)
    time.sleep(0.5)
    assert process.poll() is None
    (tmp_path / "rules").unlink()
    assert process.wait(timeout=PATIENCE) == 0
