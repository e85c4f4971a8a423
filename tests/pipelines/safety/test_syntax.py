"""A file is parsed though other threads parse at the same moment."""

import ast
import gc
import inspect
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipelines.safety import syntax


@pytest.fixture
def threads_take_turns():
    """Within a parse too, where the collector runs. Then ast.parse itself fails now and then in Python 3.11."""
    turn, before = (lambda *about: time.sleep(0)), gc.get_threshold()
    gc.callbacks.append(turn)
    gc.set_threshold(50)
    yield
    gc.set_threshold(*before)
    gc.callbacks.remove(turn)


def test_many_threads_parse_at_once(threads_take_turns):
    text = inspect.getsource(ast)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: len(syntax.tree(text).body), range(100)))
    assert len(set(found)) == 1


def test_wrong_syntax_is_told_as_by_python():
    with pytest.raises(SyntaxError):
        syntax.tree("def")
