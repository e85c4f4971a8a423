"""Hashes files by reading them. Replaces DVC's database of hashes, and its trust in read-only objects.

DVC takes a file as unchanged if its inode, size and modification time equal those in its database, and a cached object
as right if it is read-only. If such a file changed unseen, a run would train on other bytes under the old hash. So a
run trusts neither: it reads each file once, and again only if its signature has changed (pipelines/process/seal.py).
Only flows/graph/pipeline.py imports this module, because it imports DVC.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from dvc.output import Output
from dvc.stage import cache
from dvc.stage.serialize import to_single_stage_lockfile
from dvc.utils.serialize import loads_yaml
from dvc_data.fsutils import _localfs_info
from dvc_data.hashfile.db.local import LocalHashFileDB
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.meta import Meta
from dvc_data.hashfile.state import StateBase
from dvc_objects.errors import ObjectFormatError
from dvc_objects.fs.local import LocalFileSystem

from flows.project import git
from pipelines.process import seal
from pipelines.process.seal import Signature

NAME = "md5"  # DVC's hash
YOUNG = 20_000_000  # nanoseconds: two changes within this time can have the same change time
LARGE = 1 << 20  # bytes: for larger files waiting that long is cheaper than reading twice
ATTEMPTS = 3  # at a file that is being written
Found = tuple[Meta, HashInfo] | tuple[None, None]


class Content(StateBase):
    """Replaces DVC's database: one read for each file and run, without trust in DVC's records.

    dropped: hashes of objects whose content was wrong, and which were removed from the cache.
    """

    def __init__(self, *_: Any):
        self._read: dict[Signature, str] = {}
        self.dropped: list[str] = []

    def digest(self, path: str) -> str:
        """DVC's hash of a file. Raises OSError if it cannot be read."""
        for _ in range(ATTEMPTS):
            before = seal.signature(Path(path))
            if before in self._read:
                return self._read[before]
            now = _old_enough(before)
            with open(path, "rb") as file:
                value = hashlib.file_digest(file, _md5).hexdigest()
            if before is not None and seal.signature(Path(path)) == before:
                if now - before[-1] > YOUNG:
                    self._read[before] = value
                break
        return value

    def believe(self, path: str, digest: str) -> None:
        """Note the hash of an object that was just copied from a hashed file, so that a large one is not read again."""
        signature = seal.signature(Path(path))
        if signature is not None and signature[2] > LARGE:
            _old_enough(signature)
            self._read[signature] = digest

    def get(self, path: str, fs: Any, info: dict[str, Any] | None = None) -> Found:
        if not isinstance(fs, LocalFileSystem):
            return None, None
        try:
            return Meta.from_info(info or _localfs_info(path)), HashInfo(NAME, self.digest(path))
        except FileNotFoundError:
            return None, None

    def get_many(
        self, items: Iterable[str], fs: Any, infos: dict[str, dict[str, Any]]
    ) -> Iterator[tuple[str, Meta, HashInfo] | tuple[str, None, None]]:
        for path in items:
            meta, found = self.get(path, fs, infos.get(path))
            yield (path, None, None) if meta is None or found is None else (path, meta, found)

    def save(self, path: str, fs: Any, hash_info: HashInfo, info: dict[str, Any] | None = None) -> None:
        pass

    def save_many(self, items: Iterable[tuple[str, HashInfo, dict[str, Any] | None]], fs: Any) -> None:
        pass

    def close(self) -> None:
        pass

    def set_link(self, path: str, inode: int, mtime: Any) -> None:
        pass

    def save_link(self, path: str, fs: Any) -> None:
        pass

    def get_unused_links(self, used: Any, fs: Any) -> list[str]:
        return []

    def remove_links(self, unused: Any, fs: Any) -> None:
        pass


def _old_enough(signature: Signature | None) -> int:
    """The time now, in nanoseconds, after a large file that has just been written is no longer young."""
    now = time.time_ns()
    if signature is not None and signature[2] > LARGE and 0 <= now - signature[-1] <= YOUNG:
        time.sleep(2 * YOUNG / 1e9)
    return time.time_ns()


def install() -> None:
    """Make DVC use it in every repository that this process opens from now on.

    This replaces four private parts of DVC 3.67 and dvc-data 3.18, because no setting turns the trust off: DVC always
    reads the database and never hashes a read-only object. Remove it once DVC can verify both.
    tests/flows/graph/test_content.py fails if a newer DVC no longer calls the replaced parts.
    """
    from dvc_data.hashfile import state

    state.State = Content  # type: ignore[assignment,misc]
    LocalHashFileDB.check = _check  # type: ignore[method-assign]
    LocalHashFileDB.add = _add  # type: ignore[method-assign]
    Output.commit = _commit


_DVC_CHECK, _DVC_ADD, _DVC_COMMIT = LocalHashFileDB.check, LocalHashFileDB.add, Output.commit


def _commit(self: Any, filter_info: str | None = None, relink: bool = True) -> None:
    """Replaces DVC's own, with the same result. DVC's copies each file into the cache and back again.

    The copy would be a new file, which must be read again.
    """
    copies = self.use_cache and set(self.cache.cache_types) <= {"reflink", "copy"}
    _DVC_COMMIT(self, filter_info, relink=relink and not copies)


def _add(self: Any, path: Any, fs: Any, oid: Any, *more: Any, **options: Any) -> int:
    """DVC's own, which also notes the objects that are new."""
    fresh = [one for one in ([oid] if isinstance(oid, str) else oid) if not os.path.lexists(self.oid_to_path(one))]
    count = _DVC_ADD(self, path, fs, oid, *more, **options)
    if self.hash_name == NAME and isinstance(self.state, Content):
        for one in fresh:
            self.state.believe(self.oid_to_path(one), one.partition(".")[0])
    return int(count)


def _check(self: Any, oid: str, check_hash: bool = True, _info: dict[str, Any] | None = None) -> Meta:
    """Replaces DVC's check of an object, which trusts read-only ones; with the same result.

    Raises ObjectFormatError for an object whose content does not fit its name, after removing it.
    """
    if not (check_hash and self.hash_name == NAME and isinstance(self.state, Content)):
        return _DVC_CHECK(self, oid, check_hash, _info)
    path = self.oid_to_path(oid)
    meta = Meta.from_info(_info or _localfs_info(path))
    if self.state.digest(path) != oid.partition(".")[0]:
        with suppress(FileNotFoundError):
            os.remove(path)
        self.state.dropped.append(oid)
        raise ObjectFormatError(f"the content of {path} does not fit its name")
    return meta


def _md5() -> Any:
    return hashlib.md5(usedforsecurity=False)


def put_back(outs: Iterable[Any]) -> list[Any]:
    """Copy outputs that the cache lost from the workspace, if they are there as recorded: then no stage runs again.

    Returns the outputs that neither of the two has.
    """
    lost = []
    for out in outs:
        if not (out.use_cache and out.hash_info and out.changed_cache()):
            continue
        if _as_recorded(out):
            out.obj = None
            out.commit(relink=False)
        else:
            lost.append(out)
    return lost


def unlike(outs: Iterable[Any]) -> list[str]:
    """The outputs whose content in the workspace differs from dvc.lock."""
    return [str(out) for out in outs if not _as_recorded(out)]


def _as_recorded(out: Any) -> bool:
    try:
        return bool(out.exists and not out.changed_checksum())
    except FileNotFoundError:  # a link to an object that is gone
        return False


def dropped(repo: Any, outs: Iterable[Any]) -> list[str]:
    """In words, the wrong objects found in the cache since the last call. outs: outputs whose names may be shown."""
    named = {out.hash_info.value: str(out) for out in outs}
    found, repo.state.dropped = repo.state.dropped, []
    return [
        f"DVC's cache held wrong content for {named.get(oid, 'a part of a folder')} ({oid[:8]}): it was removed "
        "and not used"
        for oid in found
    ]


def edited(repo: Any, stage: Any) -> str:
    """In words, that somebody wrote other outputs into dvc.lock than were made; "" if nobody did.

    A committed entry is trusted, because another machine may have made it.
    """
    entry = json.loads(json.dumps(to_single_stage_lockfile(stage)))
    if not _contradicted(repo, stage) or entry == _committed(repo.root_dir, stage):
        return ""
    return (
        f"dvc.lock names other outputs of {stage.addressing} than this machine made from the same inputs, and no "
        "commit has that entry. So the stage runs again"
    )


def _contradicted(repo: Any, stage: Any) -> bool:
    """Whether runs here made other outputs from the same inputs than the stage's entry in dvc.lock names.

    False if no such run is known, or if one of them made the named outputs.
    """
    if not all(entry.hash_info for entry in (*stage.deps, *stage.outs)):
        return False
    entry = to_single_stage_lockfile(stage)
    value = cache._get_cache_hash(dict(entry))
    folder = Path(repo.stage_cache._get_cache_dir(cache._get_cache_hash(entry, key=True)))
    known = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return bool(known) and value not in known


def _committed(root: str, stage: Any) -> Any:
    """The stage's entry in the dvc.lock of the current commit, or None."""
    content = loads_yaml(git.ask(Path(root), "show", "HEAD:./dvc.lock")) or {}
    entry = (content.get("stages") or {}).get(stage.addressing)
    return json.loads(json.dumps(entry))
