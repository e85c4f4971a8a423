"""Something is looked at again and again while a block runs, and once more at its end, which waits for that."""

import time

import pytest

from flows.processes import watch
from tests.support.world import until


def test_the_last_look_is_told_as_such_comes_once_and_is_waited_for(monkeypatch):
    monkeypatch.setattr(watch, "EVERY", 0.01)
    looks: list[bool] = []

    def look(last: bool) -> None:
        time.sleep(0.3 if last else 0)
        looks.append(last)

    with watch.polled(look, "test"):
        until(lambda: len(looks) >= 3)
    assert looks[-1] is True
    assert not any(looks[:-1])
    found = len(looks)
    time.sleep(0.1)
    assert len(looks) == found


def test_a_short_block_is_looked_at_once():
    looks: list[bool] = []
    with watch.polled(looks.append, "test"):
        pass
    assert looks == [True]


def test_after_an_error_in_the_block_there_is_a_last_look_too():
    looks: list[bool] = []
    with pytest.raises(KeyError), watch.polled(looks.append, "test"):
        raise KeyError
    assert looks == [True]
