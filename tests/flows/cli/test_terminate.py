"""Signals are told apart, whatever became of them on their way, and are as before when nobody listens."""

import signal
import subprocess
import sys

import pytest

from flows.cli import terminate
from flows.processes import stopping
from tests.support.world import ROOT


def test_sigterm_is_an_interruption_that_says_its_name():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt) as found, terminate.listening():
        signal.raise_signal(signal.SIGTERM)
    assert terminate.words(found.value) == ("terminated", 143)
    assert signal.getsignal(signal.SIGTERM) is before


def translated() -> None:
    """What a library may do: its own error of any error, of which the caller makes an interruption again."""
    try:
        try:
            raise stopping.Stopped(signal.SIGTERM)
        except KeyboardInterrupt as error:
            raise RuntimeError("of a library") from error
    except RuntimeError as error:
        raise KeyboardInterrupt from error


def test_another_error_that_was_made_of_it_is_one_of_sigterm_too():
    with pytest.raises(KeyboardInterrupt) as found:
        translated()
    assert terminate.words(found.value) == ("terminated", 143)


def test_ctrl_c_is_interrupted():
    assert terminate.words(KeyboardInterrupt()) == ("interrupted", 130)


def test_prefects_error_of_sigterm_is_one_of_it_too():
    from prefect.exceptions import TerminationSignal

    assert terminate.words(TerminationSignal(signal.SIGTERM)) == ("terminated", 143)


def test_what_can_be_done_next_comes_last():
    stop = stopping.Stopped(signal.SIGINT, "run again")
    assert terminate.words(stop) == ("interrupted: run again", 130)


def test_a_signal_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with terminate.listening():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


AGAIN = """
import signal, time
from flows.cli import terminate
terminate.SAME = 0.3
with terminate.listening():
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        signal.raise_signal(signal.SIGINT)
        print("cleaning up", flush=True)
        time.sleep(0.4)
        signal.raise_signal(signal.SIGINT)
        print("not reached")
"""


def test_the_same_at_once_does_not_disturb_the_end_and_a_later_one_ends_all():
    done = subprocess.run([sys.executable, "-c", AGAIN], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "cleaning up\n", "")
