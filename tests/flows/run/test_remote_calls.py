"""What a run calls in the process that has MLflow: the checker of types and the program mean the same function."""

import ast
import inspect
import pkgutil

from flows.run import remote_calls
from flows.tracking.mlflow_process import Remote


def test_each_name_is_the_function_that_is_imported_for_the_checker():
    tree = ast.parse(inspect.getsource(remote_calls))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    imported = {
        alias.asname or alias.name: f"{node.module}:{alias.name}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    named = {name: value.place for name, value in vars(remote_calls).items() if isinstance(value, Remote)}
    assert named == imported
    assert len(named) > 10


def test_each_is_there():
    for value in vars(remote_calls).values():
        if isinstance(value, Remote):
            assert callable(pkgutil.resolve_name(value.place))
    assert [pkgutil.resolve_name(name).__name__ for name in remote_calls.PRELOADED] == list(remote_calls.PRELOADED)
