"""dvc.lock written whole: in place of DVC's own function, which a kill leaves with half a file."""

import copy
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def modified(path: str, fs: Any = None) -> Iterator[Any]:
    """In place of DVC's own function for dvc.lock, with the same result.

    That one writes the file where it lies, and a kill leaves half of it; and it parses and writes anew the entries of
    every model after each stage, which takes a quarter of a second for three of them.
    """
    from dvc.utils.serialize import loads_yaml

    folder = Path(path).parent / ".dvc" / "tmp"  # DVC's lock is held: one at a time
    if folder.stat().st_dev != Path(path).parent.stat().st_dev:  # a file is not renamed from one disk to another
        folder = Path(path).parent
    partial = folder / f"{Path(path).name}.partial"
    text = Path(path).read_text(encoding="utf-8") if Path(path).exists() else ""
    content = loads_yaml(text) or {}
    before = copy.deepcopy(content)
    yield content
    partial.write_text(_with_changes(text, before, content), encoding="utf-8")
    os.replace(partial, path)


def _with_changes(text: str, before: dict[str, Any], after: dict[str, Any]) -> str:
    """The text of dvc.lock with the entries that changed written anew, all of it where it has not DVC's own form."""
    from dvc.utils.serialize import dumps_yaml

    old, new = before.pop("stages", None) or {}, after.get("stages") or {}
    head, *blocks = re.split(r"^(?=  [^ \n])", text, flags=re.MULTILINE)
    known = dict(zip(old, blocks, strict=False))
    usual = len(blocks) == len(old) and all(block.startswith(f"  {name}:\n") for name, block in known.items())
    usual = usual and before == {key: value for key, value in after.items() if key != "stages"}
    if not (usual and head.endswith("stages:\n") and text.endswith("\n") and list(new)[: len(old)] == list(old)):
        return str(dumps_yaml(after))
    for name in (name for name, entry in new.items() if entry != old.get(name)):
        known[name] = dumps_yaml({"stages": {name: new[name]}}).partition("\n")[2]
    return head + "".join(known.values())
