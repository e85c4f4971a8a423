"""Whether the files of a registered version are unchanged. They are never loaded or run here.

One hash covers the files. It is in the registry (`ratchet.artifact_hash`) and in the ledger's line about the version: a
person who can only write files can change neither. Byte code is never copied, so it never runs. Plain MLflow leaves it
beside a model that it loads from its folder, and runs it the next time.
"""

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from pipelines.model.predictor import file_hash

ADDED_FOLDER, ADDED_FILE = "verification", "registered_model_meta"  # added after a version is registered
BYTE_CODE = "__pycache__"
SHORT = 16  # digits of a file's hash in the list that finds changed files
NAMED = 3  # files, in a message

Hashes = dict[str, str]


def copy(source: Path, target: Path) -> None:
    """Copy the registered files into a new folder of ours, without byte code and files added later.

    Raises ValueError for a link, a pipe or a device: no version has one.
    """
    target.mkdir()
    for path in _files(source):
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        _copy_file(path, place)


def _copy_file(source: Path, target: Path) -> None:
    with os.fdopen(os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError(f"{source} is no file")
        with target.open("xb") as out:
            shutil.copyfileobj(file, out, 1 << 20)


def hashes(folder: Path) -> Hashes:
    """name -> SHA-256 of every registered file, in order. Raises ValueError for anything that is no file or folder."""
    return {path.relative_to(folder).as_posix(): file_hash(path) for path in _files(folder)}


def whole(found: Hashes) -> str:
    """The hash of a version: SHA-256 over the names and hashes of its files."""
    return hashlib.sha256(json.dumps(list(found.items())).encode()).hexdigest()


def short(found: Hashes) -> str:
    """A short list of hashes for the registry, which can find a changed file."""
    return json.dumps({name: digest[:SHORT] for name, digest in found.items()})


def differences(found: Hashes, recorded: str) -> str:
    """What has changed since registration, in words. recorded: from `short`; "" for a version without it."""
    known: Hashes = json.loads(recorded) if recorded else {}
    if not known:
        return f"the hash of its files is {whole(found)[:12]}"
    told = [
        f"{name} was {'changed' if name in known else 'added'}"
        for name, digest in found.items()
        if known.get(name) != digest[:SHORT]
    ]
    told += [f"{name} is missing" for name in known if name not in found]
    more = [f"{len(told) - NAMED} more"] if len(told) > NAMED else []
    return ", ".join(told[:NAMED] + more) or "its files fit the list in the registry, but not its hash"


def byte_code(folder: Path) -> list[Path]:
    """The folders of byte code. A program that loads the model from its own folder runs it instead of checked code."""
    return sorted(path for path in folder.rglob(BYTE_CODE) if path.is_dir() and not path.is_symlink())


def _files(folder: Path) -> list[Path]:
    """The files in the order of their paths, as in every recorded artifact hash."""
    return sorted(_below(folder, folder))


def _below(folder: Path, root: Path) -> Iterator[Path]:
    with os.scandir(folder) as listed:
        entries = list(listed)
    for entry in entries:
        path = Path(entry.path)
        name = path.relative_to(root).as_posix()
        if entry.is_dir(follow_symlinks=False):
            if entry.name != BYTE_CODE and name != ADDED_FOLDER:
                yield from _below(path, root)
        elif entry.is_file(follow_symlinks=False):
            if name != ADDED_FILE:
                yield path
        else:
            raise ValueError(f"{name} is {'a link' if entry.is_symlink() else 'no file'}")
