"""The syntax tree of a Python file, in a process of several threads."""

import ast
import time

TRIES, PAUSE = 50, 0.01  # seconds


def tree(text: str | bytes) -> ast.Module:
    """ast.parse. In Python 3.11 and 3.12 that can raise SystemError though nothing is wrong: all threads count the
    depth in one place, and another one parses at the same moment (https://github.com/python/cpython/issues/106905).
    """
    for _ in range(TRIES - 1):
        try:
            return ast.parse(text)
        except SystemError:
            time.sleep(PAUSE)
    return ast.parse(text)
