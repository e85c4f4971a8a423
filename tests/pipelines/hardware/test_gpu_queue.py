"""Real processes that want the same devices. None is a GPU: a device is a name."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import RatchetError, RequestError
from pipelines.hardware.gpu_queue import Wish, holders, served, turn
from tests.support.world import PATIENCE, ROOT

USER = """
import json, sys, time
from pathlib import Path
from pipelines.hardware.gpu_queue import turn

folder, label, devices, count, seconds = sys.argv[1:]
place = Path(folder)
def say(text): print("says " + text, flush=True)
with turn(devices.split(","), int(count), label, say, place / "locks", {"a": "GPU 0", "b": "GPU 1"}) as taken:
    begin = time.monotonic()
    print("has " + ",".join(taken), flush=True)
    time.sleep(float(seconds))
    (place / (label + ".json")).write_text(json.dumps([taken, begin, time.monotonic()]))
"""


@pytest.fixture
def start(tmp_path):
    """Starts a training: its label, the devices that it knows, how many it wants, for how long it uses them."""
    running = []

    def begin(label: str, devices: str, count: int = 1, seconds: float = 0.1) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", USER, str(tmp_path), label, devices, str(count), str(seconds)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def used(folder: Path) -> list[tuple[list[str], float, float]]:
    """Devices, begin and end of every training, by begin."""
    return sorted((json.loads(path.read_text()) for path in folder.glob("*.json")), key=lambda use: use[1])


def overlap(one: Any, other: Any) -> bool:
    return bool(set(one[0]) & set(other[0])) and one[1] < other[2] and other[1] < one[2]


# ------------------------------------------------------------------ who may take what


@pytest.mark.parametrize(
    ("earlier", "wish", "free", "taken"),
    [
        ([], (["a", "b"], 1), ["a", "b"], ["a"]),
        ([], (["a", "b"], 1), ["b"], ["b"]),
        ([], (["b", "a"], 2), ["a", "b"], ["b", "a"]),
        ([], (["a", "b"], 2), ["b"], []),
        ([(["a", "b"], 1)], (["a", "b"], 1), ["a", "b"], ["b"]),
        ([(["a", "b"], 1)], (["a", "b"], 1), ["b"], []),
        ([(["a", "b"], 2)], (["a", "b"], 1), ["b"], []),
        ([(["a"], 1)], (["a", "b"], 1), ["b"], ["b"]),
        ([(["a", "b"], 2), (["c"], 1)], (["b", "c", "d"], 1), ["b", "c", "d"], ["d"]),
    ],
)
def test_who_came_first_takes_first_and_what_he_waits_for_is_kept(earlier, wish, free, taken):
    assert served([Wish(*one) for one in [*earlier, wish]], free) == taken


# ------------------------------------------------------------------ processes


def test_two_on_one_device_never_overlap(start, tmp_path):
    for process in [start(f"m{number}", "a") for number in range(6)]:
        assert process.wait(PATIENCE) == 0
    uses = used(tmp_path)
    assert len(uses) == 6
    assert not any(overlap(one, other) for one in uses for other in uses if one is not other)


def test_two_devices_serve_two_at_once_and_a_third_waits(start, tmp_path):
    first, second = start("one", "a,b", seconds=600), start("two", "a,b", seconds=600)
    assert {line(first), line(second)} == {"has a", "has b"}
    third = start("three", "a,b")
    assert line(third).startswith("says GPU 0 is used by ")
    assert sorted(holders(["a", "b", "c"], tmp_path / "locks")) == ["a", "b"]


def test_a_run_says_once_what_it_waits_for(start):
    first = start("the training of churn", "a", seconds=2)
    assert line(first) == "has a"
    began = time.strftime("%H:%M", time.gmtime())
    second = start("two", "a")
    said = line(second)
    assert said.startswith("says GPU 0 is used by the training of churn since ")
    assert began.partition(":")[0] in said
    assert said.endswith(f" UTC (process {first.pid}): waiting")
    assert line(second) == "has a"


def test_a_holder_that_is_killed_lets_the_next_go_at_once(start):
    first = start("one", "a", seconds=600)
    assert line(first) == "has a"
    second = start("two", "a")
    assert line(second).startswith("says")
    os.kill(first.pid, signal.SIGKILL)
    assert line(second) == "has a"  # long before the first one would have been done


def test_a_waiter_that_is_killed_keeps_nobody_waiting_and_leaves_nothing(start, tmp_path):
    first = start("one", "a,b", seconds=600)
    assert line(first) == "has a"
    both = start("both", "a,b", 2)
    assert line(both).startswith("says GPU 0 is used by one")
    third = start("three", "a,b")
    assert line(third) == f"says GPU 0 is used by {holders(['a'], tmp_path / 'locks')['a']}, " + (
        "GPU 1 is reserved for both, which waits too: waiting"
    )
    os.kill(both.pid, signal.SIGKILL)
    assert line(third) == "has b"
    assert third.wait(20) == 0
    assert sorted(path.name for path in (tmp_path / "locks").iterdir()) == ["a", "b", "gate"]


def test_a_waiter_that_is_stopped_by_hand_leaves_the_queue(start, tmp_path):
    first = start("one", "a", seconds=600)
    assert line(first) == "has a"
    second = start("two", "a")
    assert line(second).startswith("says")
    second.send_signal(signal.SIGINT)
    second.wait(20)
    first.kill()
    first.wait()
    with turn(["a"], 1, "three", pytest.fail, tmp_path / "locks") as taken:
        assert taken == ["a"]
    assert sorted(path.name for path in (tmp_path / "locks").iterdir()) == ["a", "gate"]


def test_who_does_not_want_to_wait_leaves_the_queue_at_once(start, tmp_path):
    """As the workers of one training: what they are told is an error."""

    def refuse(text: str) -> None:
        raise KeyError(text)

    first = start("one", "a", seconds=600)
    assert line(first) == "has a"
    with pytest.raises(KeyError), turn(["a"], 1, "two", refuse, tmp_path / "locks"):
        pass
    third = start("three", "a")
    assert line(third).startswith("says")
    os.kill(first.pid, signal.SIGKILL)
    assert line(third) == "has a"


def test_numbers_in_the_queue_are_not_given_twice(start):
    """The first of two that wait is gone when a third one comes."""
    holder = start("one", "a", seconds=600)
    assert line(holder) == "has a"
    first = start("first", "a", seconds=600)
    assert line(first).startswith("says")
    second = start("second", "a", seconds=600)
    assert line(second).startswith("says")
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    third = start("third", "a")
    assert line(third).startswith("says GPU 0 is used by one")
    os.kill(holder.pid, signal.SIGKILL)
    assert line(second) == "has a"
    os.kill(second.pid, signal.SIGKILL)
    assert line(third) == "has a"


def test_while_somebody_is_told_others_pass_the_gate(start, tmp_path):
    """Else whoever tells slowly would hold up every training of the machine."""
    found: list[dict[str, str]] = []

    def slow(text: str) -> None:
        found.append(holders(["a"], tmp_path / "locks"))
        raise KeyError

    def wait() -> None:
        with suppress(KeyError), turn(["a"], 1, "two", slow, tmp_path / "locks"):
            pass

    first = start("one", "a", seconds=600)
    assert line(first) == "has a"
    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    waiting.join(10)
    assert [list(one) for one in found] == [["a"]]


def test_many_that_want_both_of_two_devices_do_not_block_each_other(start, tmp_path):
    orders = ["a,b", "b,a", "a,b", "b,a"]
    for process in [start(f"m{number}", devices, 2, 0.05) for number, devices in enumerate(orders)]:
        assert process.wait(PATIENCE) == 0
    uses = used(tmp_path)
    assert len(uses) == 4
    assert not any(overlap(one, other) for one in uses for other in uses if one is not other)


def test_one_that_wants_two_is_not_passed_by_those_that_want_one(start, tmp_path):
    first = start("first", "a", seconds=1)
    assert line(first) == "has a"
    both = start("both", "a,b", 2)
    assert line(both).startswith("says")
    small = [start(f"small{number}", "a,b", seconds=0.3) for number in range(3)]
    for process in [both, *small]:
        assert process.wait(PATIENCE) == 0
    assert [sorted(use[0]) for use in used(tmp_path)][:2] == [["a"], ["a", "b"]]


def test_an_error_of_the_training_frees_its_devices(tmp_path):
    def fail() -> None:
        with turn(["a"], 1, "one", pytest.fail, tmp_path / "locks"):
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert holders(["a"], tmp_path / "locks") == {}


# ------------------------------------------------------------------ requests and the folder


@pytest.mark.parametrize(
    ("devices", "count", "there"), [(["a"], 2, "GPU 0"), (["a"], 0, "GPU 0"), ([], 1, "none"), (["a", "a"], 2, "GPU 0")]
)
def test_more_than_there_are_is_a_wrong_request(devices, count, there, tmp_path):
    what = f"{count} GPUs are declared, and only these can be used: {there}. Declare fewer."
    with pytest.raises(RequestError) as caught, turn(devices, count, "one", pytest.fail, tmp_path, {"a": "GPU 0"}):
        pass
    assert str(caught.value) == what


def test_a_folder_that_nobody_has_made_has_no_holders_and_is_not_made(tmp_path):
    assert holders(["a"], tmp_path / "locks") == {}
    assert not (tmp_path / "locks").exists()


def test_every_user_may_take_turns_whatever_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        with turn(["a"], 1, "one", pytest.fail, tmp_path / "locks"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "locks").stat().st_mode & 0o7777 == 0o1777
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "locks").iterdir()} == {0o666}


@pytest.mark.parametrize("trap", ["link", "second name", "pipe", "folder"])
def test_a_trap_in_the_folder_is_refused_and_nothing_is_written_to(trap, tmp_path):
    precious, locks = tmp_path / "precious", tmp_path / "locks"
    precious.write_text("mine")
    locks.mkdir()
    make = {"link": os.symlink, "second name": os.link, "pipe": lambda _, path: os.mkfifo(path)}
    make.get(trap, lambda _, path: path.mkdir())(precious, locks / "a")
    with pytest.raises(RatchetError, match=r"this machine's locks, cannot be used: .* remove it, and run"):
        turn(["a"], 1, "one", pytest.fail, locks).__enter__()
    assert precious.read_text() == "mine"


def test_a_link_in_place_of_the_folder_is_not_followed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "locks").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RatchetError, match="cannot be used"):
        turn(["a"], 1, "one", pytest.fail, tmp_path / "locks").__enter__()
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize(
    "note", ["", "[]", "{", '{"label": 1}', '{"label": "x", "pid": 1, "since": 1e300}', "\x00\xff"]
)
def test_a_note_that_cannot_be_read_is_another_process(note, start, tmp_path):
    first = start("one", "a", seconds=600)
    assert line(first) == "has a"
    (tmp_path / "locks" / "a").write_text(note)
    (tmp_path / "locks" / "waits-9").write_text(note)
    assert holders(["a"], tmp_path / "locks") == {"a": "another process"}
    second = start("two", "a")
    assert line(second) == "says GPU 0 is used by another process: waiting"


def test_a_note_of_a_place_in_the_queue_may_be_anybodys(start, tmp_path):
    (tmp_path / "locks").mkdir()
    with (tmp_path / "locks" / "waits-9").open("w") as stranger:
        fcntl.flock(stranger, fcntl.LOCK_EX)
        for note in ("", '{"devices": 3, "count": 1, "label": "x"}', '{"devices": ["a"], "count": "?", "label": "x"}'):
            (tmp_path / "locks" / "waits-9").write_text(note)
            with turn(["a"], 1, "one", pytest.fail, tmp_path / "locks") as taken:
                assert taken == ["a"]


def test_what_a_note_says_is_shown_short_printable_and_with_its_day(start, tmp_path):
    first = start("one", "a", seconds=600)
    assert line(first) == "has a"
    label = "red\x1b[31m\n" + "y" * 200
    yesterday = time.time() - 24 * 3600
    note = {"label": label, "pid": 7, "since": yesterday}
    (tmp_path / "locks" / "a").write_text(json.dumps(note))
    day = time.strftime("%Y-%m-%d %H:%M", time.gmtime(yesterday))
    said = f"red[31m{'y' * 91} since {day} UTC (process 7)"  # a hundred characters, two of which cannot be printed
    assert holders(["a"], tmp_path / "locks") == {"a": said}


def test_files_that_something_has_cleared_away_are_made_anew(tmp_path):
    for _ in range(2):
        with turn(["a"], 1, "one", pytest.fail, tmp_path / "locks"):
            pass
        for path in (tmp_path / "locks").iterdir():
            path.unlink()
        (tmp_path / "locks").rmdir()
