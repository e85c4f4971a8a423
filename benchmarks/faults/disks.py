"""A small disk in place of a folder, which can be full and have room again. For root, if only of a namespace:

unshare -rm python benchmarks/faults.py --only disk
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MEGABYTES = 64  # of a disk, beside what lies in its folder already
FILLER = ".filler"


def possible() -> bool:
    """Whether this process may mount."""
    return os.geteuid() == 0


@contextmanager
def small(folder: Path) -> Iterator[Path]:
    """A disk of its own at a folder, with what was there; gone with the block. Gives the file that fills it."""
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder.with_name(f"{folder.name}.aside")
    shutil.rmtree(aside, ignore_errors=True)
    subprocess.run(["cp", "-a", str(folder), str(aside)], check=True)
    used = sum(path.stat().st_size for path in aside.rglob("*") if path.is_file() and not path.is_symlink())
    size = f"size={(used >> 20) + MEGABYTES}m,mode=700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "faults", str(folder)], check=True)
    try:
        subprocess.run(["cp", "-a", f"{aside}/.", str(folder)], check=True)
        shutil.rmtree(aside)
        yield folder / FILLER
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def make_room(filler: Path) -> None:
    with suppress(FileNotFoundError):
        filler.unlink()
