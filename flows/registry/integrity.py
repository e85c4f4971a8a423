"""Whether the files of a registered version are those that were registered. Nothing of them is loaded or run here.

What was registered is known by one hash, which lies in the registry (`ratchet.artifact_hash`) and in the ledger's line
about the version: whoever can only write files can change neither. Byte code is never copied, so it is never run: plain
MLflow leaves some beside a model that it loads from its folder, and runs it the next time.
"""

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from pipelines.model.predictor import file_hash

ADDED_FOLDER, ADDED_FILE = "verification", "registered_model_meta"  # to a version after it was registered
BYTE_CODE = "__pycache__"
SHORT = 16  # digits of a file's hash in the list that names what was changed
NAMED = 3  # files, in a message

Hashes = dict[str, str]


def copy(source: Path, target: Path) -> None:
    """Copy what is registered into a new folder of our own, without byte code and what was added later.

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
    """name -> SHA-256 of every file that counts, in order. Raises ValueError for what is neither file nor folder."""
    return {path.relative_to(folder).as_posix(): file_hash(path) for path in _files(folder)}


def whole(found: Hashes) -> str:
    """The hash of a version: SHA-256 over the names and hashes of its files."""
    return hashlib.sha256(json.dumps(list(found.items())).encode()).hexdigest()


def short(found: Hashes) -> str:
    """For the registry: by which a changed file can be named."""
    return json.dumps({name: digest[:SHORT] for name, digest in found.items()})


def differences(found: Hashes, recorded: str) -> str:
    """What is not as it was registered, in words. recorded: of `short`; "" of a version that has none."""
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
    return ", ".join(told[:NAMED] + more) or "its files are those of the list in the registry, and not of its hash"


def byte_code(folder: Path) -> list[Path]:
    """The folders of byte code, which whoever loads the model from its own folder runs instead of what was checked."""
    return sorted(path for path in folder.rglob(BYTE_CODE) if path.is_dir() and not path.is_symlink())


def _files(folder: Path) -> list[Path]:
    """In the order of their paths, as in every artifact hash that was recorded."""
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
