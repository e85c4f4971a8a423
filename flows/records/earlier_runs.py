"""Earlier runs of stages, as DVC's cache keeps them by the hashes of what they read and made.

files/md5/<2>/<30>        a file by its md5
files/md5/<2>/<30>.dir    a folder: the JSON list of its files
runs/<2>/<64>/<64>        an earlier run of a stage, with the hashes of what it made
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

ASIDE = ".pruned"  # ending of a folder of earlier runs that is being removed
HASH = re.compile(r"\b[0-9a-f]{32}\b(?:\.dir)?")


def hashes(text: str) -> set[str]:
    """All texts that look like DVC hashes, with ".dir" for a folder."""
    return set(HASH.findall(text))


def made(text: str) -> set[str]:
    """The hashes of the outputs that a text of DVC's names: an earlier run, dvc.lock, or a .dvc file."""
    try:
        content = YAML(typ="safe").load(text) or {}
        stages = content["stages"].values() if "stages" in content else [content]
        return {out["md5"] for stage in stages for out in stage.get("outs", []) if "md5" in out}
    except (YAMLError, AttributeError, TypeError):
        return set()


def of(cache: Path, gone: set[str]) -> Iterator[Path]:
    """The earlier runs that made any of these files, and what is left of runs that were being removed."""
    for path in sorted((cache / "runs").glob("??/*/*")):
        if path.parent.name.endswith(ASIDE):
            yield path
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if hashes(text) & gone and made(text) & gone:
            yield path


def remove(path: Path) -> None:
    """Remove one. Never leaves an empty folder under its name: DVC fails on one."""
    folder = path.parent
    if not folder.name.endswith(ASIDE):
        if len(list(folder.iterdir())) > 1:
            path.unlink(missing_ok=True)
            return
        aside = folder.with_name(folder.name + ASIDE)
        shutil.rmtree(aside, ignore_errors=True)
        os.replace(folder, aside)
        folder = aside
    shutil.rmtree(folder, ignore_errors=True)
