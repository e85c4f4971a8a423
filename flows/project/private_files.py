"""Files that only their user may read: written whole, under a name of their own, then renamed."""

import json
import os
import secrets
import stat
from pathlib import Path
from typing import Any


def write(path: Path, content: dict[str, Any]) -> None:
    """JSON in place of what was there; a reader sees the old file or the new one."""
    partial = _partial(path, json.dumps(content, indent=2))
    os.replace(partial, path)


def make(path: Path, text: str) -> None:
    """A file that is there is left alone: of several who make it at once one wins, and all read the same."""
    partial = _partial(path, text)
    try:
        os.link(partial, path)
    except FileExistsError:
        pass
    finally:
        partial.unlink()


def wrong(path: Path) -> str:
    """Why other users may know or change a file, or "". Raises OSError if its rights cannot be read."""
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        return "is no regular file"
    if found.st_uid != os.geteuid():
        return "belongs to another user"
    return "can be read or written by other users" if stat.S_IMODE(found.st_mode) & 0o077 else ""


def _partial(path: Path, text: str) -> Path:
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    return partial
