"""SIGTERM is told from Ctrl-C, whatever became of it on its way, and is as before when nobody listens."""

import signal

import pytest

from flows.cli import terminate


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
            raise terminate.Terminated
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
