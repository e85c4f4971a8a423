"""Sealed stages: no file that a stage reads may change while it runs, not even for a moment.

The signature of a file is what the kernel records about it. The change time moves with every write and rename, and
nobody can set it. So a file that changed and changed back is found too, and no file has to be read. This module
imports nothing of the project at its top: it is loaded first, and signs the modules before Python reads them.
"""

import ast
import zlib
from pathlib import Path
from typing import Any

from pipelines.safety import syntax

PACKAGE = Path(__file__).parents[1]
BYTE_CODE = "__pycache__"
Signature = tuple[int, ...]


def stages() -> list[str]:
    """The modules that declare a stage. It reads their text and imports none of them."""
    return sorted(path.stem for path in PACKAGE.glob("*.py") if "\nSTAGE = " in path.read_text(encoding="utf-8"))


def modules(stage: str) -> list[Path]:
    """The stage's module, every module of the project that it imports (directly or not, inside functions too), and
    their packages. If it imports a package itself, such as a folder of plug-ins: every module of that package."""
    found: set[Path] = set()
    waiting = {PACKAGE / f"{stage}.py"}
    while waiting:
        path = waiting.pop()
        found.add(path)
        waiting |= _imported(path) - found
    return sorted(found)


def dependencies(stage: str) -> list[Path]:
    """What dvc.yaml lists of a stage's code: its modules, and one folder in place of a package that it imports whole.

    Plug-ins are listed file by file: a new one must not run the stages of models that do not use it.
    """
    found = set(modules(stage))
    plugged = {folder for path in found for folder in _plugged(_names(path))}
    for package in {path.parent for path in found} - {PACKAGE}:
        files = {*package.rglob("*.py")}
        if files <= found and not any(folder.is_relative_to(package) for folder in plugged):
            found = {package} | (found - files)
    return sorted(found)


def _names(path: Path) -> set[str]:
    """Whatever a module imports, by its dotted name; of `from a import b` both a and a.b."""
    names: set[str] = set()
    for node in ast.walk(syntax.tree(path.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def _imported(path: Path) -> set[Path]:
    names = _names(path)
    plugins = {file for folder in _plugged(names) for file in folder.rglob("*.py")}
    return {file for name in names for file in _files_of(name)} | plugins


def _plugged(names: set[str]) -> list[Path]:
    """The folders of plug-ins: packages that are imported themselves, and not only for a module in them."""
    inside = {name.rpartition(".")[0] for name in names}
    folders = [PACKAGE.joinpath(*name.split(".")[1:]) for name in names - inside if name.startswith(f"{PACKAGE.name}.")]
    return [folder for folder in folders if (folder / "__init__.py").is_file()]


def _files_of(name: str) -> set[Path]:
    """The file of a module of this package, and those of the packages around it; none for any other name."""
    top, *parts = name.split(".")
    if top != PACKAGE.name:
        return set()
    around = [PACKAGE.joinpath(*parts[:depth], "__init__.py") for depth in range(len(parts) + 1)]
    return {file for file in [*around, PACKAGE.joinpath(*parts).with_suffix(".py")] if file.is_file()}


def files(stage: str, model: str) -> dict[str, Path]:
    """Every file that a stage depends on, by its name for people; not the model's YAML."""
    data = [file for path in _declaration(stage, model)["deps"] for file in _data(Path(path))]
    found = [*modules(stage), *(file for path in data for file in _files(path))]
    return {_named(path): path for path in found if path.is_file()}


def signature(path: Path) -> Signature | None:
    """None if there is no such file. Of a folder of code the names in it, since Python writes byte code there."""
    try:
        about = path.stat()
        if path.is_relative_to(PACKAGE) and path.is_dir():
            names = sorted(entry.name for entry in path.iterdir() if entry.name != BYTE_CODE)
            return about.st_dev, about.st_ino, zlib.crc32("/".join(names).encode())
    except (FileNotFoundError, NotADirectoryError):
        return None
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns


def sign(paths: list[Path]) -> dict[Path, Signature | None]:
    """The signature of every file among the paths, and of every file below their folders."""
    return {file: signature(file) for path in paths for file in _files(path)}


def _files(path: Path) -> list[Path]:
    """A folder and what is below it, but for byte code."""
    return [path, *sorted(file for file in path.rglob("*") if BYTE_CODE not in file.parts)] if path.is_dir() else [path]


def changed(before: dict[Path, Signature | None]) -> list[Path]:
    """The paths that have changed, in order; among them folders that gained or lost a file."""
    return [path for path, old in before.items() if signature(path) != old]


class Seal:
    """What one run of a stage depends on: modules, data, and its sections of the model's YAML."""

    def __init__(self, stage: str, model: str):
        self.stage = stage
        self._files = sign(modules(stage))
        declared = _declaration(stage, model)
        self._files |= sign([file for path in declared["deps"] for file in _data(Path(path))])
        self._settings = [_Sections(Path(path), keys) for path, keys in declared["params"].items()]

    def check(self) -> None:
        """Raises IntegrityError, naming the first file that has changed."""
        from pipelines.errors import IntegrityError

        found = [*(_named(path) for path in changed(self._files)), *filter(None, (s.changed() for s in self._settings))]
        if found:
            raise IntegrityError(
                f"{found[0]} changed while the stage {self.stage} was running. So nobody knows which content made its "
                "outputs, and they are not recorded.",
                "Run again when nothing edits the project's files.",
            )


class _Sections:
    """The sections of a YAML file that a stage reads, or all of it. Other sections may change: the stage does not see
    them."""

    def __init__(self, path: Path, keys: list[str] | None):
        """keys: of the sections; None for all."""
        self._path, self._keys = path, keys
        self._before, self._text = sign([path]), path.read_bytes() if path.is_file() else b""

    def changed(self) -> str:
        """The file and what changed in it; "" if nothing did."""
        if not changed(self._before):
            return ""
        now = self._path.read_bytes() if self._path.is_file() else b""
        if now == self._text:
            return f"{self._path} (rewritten with the same text)"
        try:
            before, after = _load(self._text), _load(now)
        except ValueError:
            return f"{self._path} (no longer valid YAML)"
        edited = [key for key in self._keys or sorted({*before, *after}) if before.get(key) != after.get(key)]
        return f"{self._path} ({', '.join(edited)})" if edited else ""


def _declaration(stage: str, model: str) -> dict[str, Any]:
    """The stage in dvc.yaml: deps, and params by file. Raises RequestError if there is none."""
    from pipelines.errors import RequestError

    path = Path("dvc.yaml")
    entry = (_load(path.read_bytes()) if path.is_file() else {}).get("stages", {}).get(stage)
    if entry is None:
        raise RequestError(f"dvc.yaml has no stage {stage!r}.", "Run stages from the project's folder.")
    entry = entry.get("do", entry)
    params = [item for item in entry.get("params", []) if isinstance(item, dict)]
    return {
        "deps": [dep.replace("${item}", model) for dep in entry.get("deps", [])],
        "params": {path.replace("${item}", model): keys for item in params for path, keys in item.items()},
    }


def _data(path: Path) -> list[Path]:
    """A dependency that is no module; with a pin also the pinned files."""
    if path.parts[0] == PACKAGE.name:
        return []
    return [path, path.parent / "source"] if path.name == "pin.json" else [path]


def _load(text: bytes) -> dict[str, Any]:
    """Raises ValueError for text that is not a YAML mapping."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        content = YAML(typ="safe").load(text.decode())
    except YAMLError as error:
        raise ValueError(str(error)) from error
    if not isinstance(content, dict):
        raise ValueError("not a mapping")
    return content


def _named(path: Path) -> str:
    return str(path.relative_to(PACKAGE.parent) if path.is_relative_to(PACKAGE) else path)
