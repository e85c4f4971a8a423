"""A long command says what it is at, a short one says nothing."""

import time

from flows.report.steps import Steps
from tests.support.world import until


def test_it_says_the_newest_step_again_and_again_until_it_ends():
    told: list[str] = []
    with Steps(told.append, every=0.02) as at:
        at("reads")
        until(lambda: len(told) > 1)
        assert told[0].endswith("s  reads")
        at("predicts")
        until(lambda: told[-1].endswith("predicts"))
    count = len(told)
    time.sleep(0.1)
    assert len(told) == count


def test_a_short_command_has_no_line():
    told: list[str] = []
    with Steps(told.append) as at:
        at("reads")
    assert told == []
