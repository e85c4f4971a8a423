"""The key that private columns are hashed with: a file that never lies in the repository."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from pipelines.errors import IntegrityError

VARIABLE = "RATCHET_HASH_KEY"  # the file of the key; without it, NAME in the state folder
NAME = "hash-key"
BYTES = 32


def path() -> Path:
    """Where the key lies."""
    return Path(os.environ.get(VARIABLE) or Path(os.environ.get("RATCHET_STATE", ".ratchet")) / NAME)


def fingerprint(key: bytes) -> str:
    """What a YAML says of a key. It does not tell the key, which is random."""
    return f"k{hashlib.sha256(b'ratchet hash key' + key).hexdigest()[:11]}"


def read(place: Path) -> bytes:
    """The key in a file. Raises IntegrityError if there is none."""
    try:
        found = bytes.fromhex(place.read_text(encoding="ascii"))
    except (OSError, ValueError):
        found = b""
    if len(found) != BYTES:
        told = "is no key" if place.exists() else "is not there"
        raise IntegrityError(
            f"{place} {told}: private columns are hashed with it.",
            f"Bring the file back, or set {VARIABLE} to where it is. Without it no new row can be read like the old.",
        )
    return found


def of(wanted: str, columns: Sequence[str]) -> bytes:
    """The key with this fingerprint. Raises IntegrityError if it is not here, or another one is."""
    place = path()
    key = read(place)
    if fingerprint(key) != wanted:
        named = f"is not the key {wanted}" if wanted else "is not named in the model's YAML"
        raise IntegrityError(
            f"The key in {place}, {fingerprint(key)}, {named}, which {', '.join(map(repr, columns))} must be hashed "
            "with.",
            f"Bring that key back, or set {VARIABLE} to its file. To hash with this one from now on, write "
            f"`hash_key: {fingerprint(key)}` under `ingest:`: then all rows are other data.",
        )
    return key
