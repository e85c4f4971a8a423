"""The modules that a program needs, found in their text: nothing is imported, so nothing has to be installed.

A module is needed if a needed one imports it, at its top or inside a function, or names it in a string of its own, as
`python -m NAME` and uvicorn's `module:name` do.
"""

import ast
import re
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.safety import syntax

NAMED = re.compile(r"([a-z_]\w*(?:\.\w+)+)(?::\w+)?")  # a.b or a.b:name, and nothing else


@dataclass(frozen=True)
class Closure:
    """files: of the project, relative to its folder, in order. libraries: top-level names of what else is imported."""

    files: tuple[Path, ...]
    libraries: frozenset[str]


def of(root: Path, start: str, leave: Collection[str] = ()) -> Closure:
    """What the module `start` of the project in `root` needs, itself among it.

    leave: modules that are not followed and not taken, by their dotted names. Raises FileNotFoundError if there is no
    such module as `start`.
    """
    if not _is_module(root, start):
        raise FileNotFoundError(f"no module {start} in {root}")
    found: set[Path] = set()
    libraries: set[str] = set()
    waiting, left = set(_files(root, start)), {path for name in leave for path in _files(root, name)[-1:]}
    while waiting:
        path = waiting.pop()
        found.add(path)
        for name in _names(root, path):
            waiting |= set(_files(root, name)) - found - left
            libraries |= _library(root, name)
    return Closure(tuple(sorted(path.relative_to(root) for path in found)), frozenset(libraries))


def _files(root: Path, name: str) -> list[Path]:
    """The packages around a module, from the outermost, and its file; of a name in a module that module; else none."""
    parts = name.split(".")
    if not (root / parts[0] / "__init__.py").is_file():
        return []
    around = [root.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
    return [path for path in [*around, root.joinpath(*parts).with_suffix(".py")] if path.is_file()]


def _library(root: Path, name: str) -> set[str]:
    """The name of the library that a dotted name belongs to; empty for Python's own and for the project."""
    top = name.partition(".")[0]
    own = top in sys.stdlib_module_names or (root / top / "__init__.py").is_file()
    return set() if own else {top}


def _names(root: Path, path: Path) -> Iterator[str]:
    """Every dotted name that a module imports, or names in a string; of `from a import b` both a and a.b."""
    package = path.parent.relative_to(root).parts
    for node in _nodes(syntax.tree(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            around = package[: len(package) + 1 - node.level] if node.level else ()
            base = ".".join([*around, *([node.module] if node.module else [])])
            yield from [base, *(f"{base}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            named = NAMED.fullmatch(node.value)
            if named and _is_module(root, named[1]):
                yield named[1]


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """As ast.walk, without what only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from _nodes(node)


def _is_module(root: Path, name: str) -> bool:
    path = root.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()
