"""Writes dvc.lock whole. Replaces DVC's own function: a kill during it leaves half a file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def modified(path: str, fs: Any = None) -> Iterator[Any]:
    """Replaces DVC's own function for dvc.lock, with the same result.

    DVC 3.67 writes the file in place, and a kill leaves half of it. Remove this once DVC renames a whole file.
    """
    from dvc.utils.serialize import dumps_yaml, loads_yaml

    folder = Path(path).parent / ".dvc" / "tmp"  # DVC's lock is held: one at a time
    if folder.stat().st_dev != Path(path).parent.stat().st_dev:  # a file is not renamed from one disk to another
        folder = Path(path).parent
    partial = folder / f"{Path(path).name}.partial"
    content = (loads_yaml(Path(path).read_text(encoding="utf-8")) if Path(path).exists() else None) or {}
    yield content
    partial.write_text(dumps_yaml(content), encoding="utf-8")
    os.replace(partial, path)
