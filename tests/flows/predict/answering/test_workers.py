"""Several processes: everything comes once, in order, a few pieces at a time, and what goes wrong is told in order."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from flows.predict.answering import workers
from pipelines.errors import DataError, RatchetError

pytestmark = pytest.mark.process


def squared(number: int) -> tuple[int, int]:
    """The number's square, and who has computed it."""
    if number == 7:
        raise DataError("Row 7 is wrong.", "Correct it.")
    if number == 9:
        os.kill(os.getpid(), signal.SIGKILL)
    return number**2, os.getpid()


def numbers(start: int, end: int, error: str = "") -> Iterator[int]:
    yield from range(start, end)
    if error:
        raise DataError(error)


def test_everything_comes_in_order_from_processes_of_their_own_and_only_a_few_pieces_wait():
    given: list[int] = []
    source = (given.append(number) or number for number in range(100, 140))
    found = []
    for place, (square, process) in enumerate(workers.each(squared, source, 2)):
        found.append((square, process))
        assert len(given) <= place + 1 + 2 + workers.AHEAD
    assert [square for square, _ in found] == [number**2 for number in range(100, 140)]
    assert os.getpid() not in {process for _, process in found}


def test_what_is_wrong_with_a_piece_is_told_before_what_is_wrong_after_it():
    found = workers.each(squared, numbers(6, 8, "The next file is wrong."), 2)
    assert next(found)[0] == 36
    with pytest.raises(DataError, match=r"^Row 7 is wrong\. Correct it\.$"):
        next(found)
    found = workers.each(squared, numbers(5, 7, "The next file is wrong."), 2)
    assert [next(found)[0], next(found)[0]] == [25, 36]
    with pytest.raises(DataError, match=r"^The next file is wrong\.$"):
        next(found)


def test_a_process_that_is_killed_ends_the_work_with_a_paragraph():
    with pytest.raises(RatchetError, match=r"has ended before its rows were answered.*`--workers 1`"):
        list(workers.each(squared, numbers(9, 30), 2))


PARENT = """
import time
from flows.predict.answering import workers
if __name__ == "__main__":
    for _ in workers.each(time.sleep, iter([0, 60]), 1):
        print("one", flush=True)
"""


def test_no_process_outlives_its_parent(tmp_path):
    (tmp_path / "parent.py").write_text(PARENT)
    parent = subprocess.Popen([sys.executable, str(tmp_path / "parent.py")], stdout=subprocess.PIPE)
    with parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"one\n"
        children = psutil.Process(parent.pid).children(recursive=True)
        assert children
        parent.kill()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive


@pytest.mark.parametrize("count", [1, 5, 50])
def test_looking_ahead_loses_nothing_and_leaves_an_error_in_its_place(count):
    there, source = workers.read_ahead(numbers(0, 10), count)
    assert (there, list(source)) == (min(count, 10), [*range(10)])
    there, source = workers.read_ahead(numbers(0, 3, "wrong"), count)
    assert [next(source) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(DataError, match="wrong"):
        next(source)
