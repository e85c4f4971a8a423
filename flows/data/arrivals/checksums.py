"""Checksums: a file NAME.sha256 beside a file, which promises its content, in the format of `sha256sum`."""

import os
from pathlib import Path

from pipelines.readers import sources
from pipelines.safety import regular_files

MOST_BYTES = 4096  # that are read of a file of sums
OURS = "# written by ratchet new"  # `sha256sum --check` takes such a line for a comment


def ours(digest: str, name: str) -> str:
    """The checksum that `ratchet new` puts beside its copy. It is about that copy, and not about a file that a person
    puts in its place later."""
    return f"{digest}  {name}\n{OURS}\n"


def promise(path: Path) -> str:
    """Whether a file is as a checksum beside it says: "kept", "broken", or "" if there is none that is about it."""
    sums = path.with_name(f"{path.name}.sha256")
    if not os.path.lexists(sums):
        return ""
    with regular_files.opened(sums) as file:
        text = file.read(MOST_BYTES).decode(errors="replace")
    promised = text.split()
    if promised and promised[0].lower() == sources.file_hash(path):
        return "kept"
    return "" if OURS in text.splitlines() else "broken"
