"""Untracked files: those that define a run go into its commit, although git neither tracks nor ignores them.

Only code and settings do, judged by place and kind: a secret key in the folder must not be pushed with the runs.
Tracked files always go in, because a person decided about them.
"""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from flows.project import git
from flows.project.environment import Project
from pipelines.config import settings
from pipelines.errors import RequestError

MOST_BYTES = 5_000_000  # of an untracked file; a larger one is no code
CODE = ("pipelines", "flows", "models")  # folders whose Python files are code, as those of the top level are
NAMED = {  # files that are settings, by their whole path
    "dvc.yaml", "dvc.lock", "prefect.yaml", "pyproject.toml", "requirements.lock", "Makefile",
    ".gitignore", ".gitattributes", ".dvcignore", ".dvc/config", ".dvc/.gitignore", "data/.gitignore",
    "mlflow/.gitignore",
}  # fmt: skip
OF_DATA = ("pin.json", "source.dvc", "fingerprint.json")  # in data/<model>/
SECRET = re.compile(  # names of files that should not be pushed
    r"(^|[/_.-])(secrets?|credentials?|passwords?|passwd|api_?keys?)([/_.-]|$)|(^|/)(tokens?\.|\.env|id_(rsa|dsa|ecdsa|ed25519))",
    re.IGNORECASE,
)


def defining(project: Project) -> list[str]:
    """The untracked files that go into the commit, by their path below the project."""
    return [name for name in _listed(project) if _defines(project.root, name)]


def check(project: Project, needed: Sequence[Path]) -> None:
    """Raises RequestError if the commit of the run would lack a file that a stage depends on.

    needed: whole paths, in the project.
    """
    names = [path.relative_to(project.root).as_posix() for path in needed if path.is_relative_to(project.root)]
    left = {name for name in _listed(project) if not _defines(project.root, name)}
    for name in names:
        if found := sorted(one for one in left if one == name or one.startswith(f"{name}/")):
            raise RequestError(
                f"{found[0]} is not tracked by git, but a stage depends on it. The commit of this run would lack it, "
                "and nobody could make the model again.",
                f"If it may be pushed with the project: git add {found[0]}. A secret must not be a dependency.",
            )


def _defines(root: Path, name: str) -> bool:
    """Whether it is code or settings, small, and not named like a secret."""
    path, place = root / name, PurePosixPath(name)
    if SECRET.search(name) or path.is_symlink() or not path.is_file() or path.stat().st_size > MOST_BYTES:
        return False
    if name in NAMED:
        return True
    if place.suffix == ".py":
        return len(place.parts) == 1 or place.parts[0] in CODE
    if place.parts[0] == "models" and place.suffix == ".yaml" and len(place.parts) == 2:
        return settings.is_name(place.stem) and path.with_suffix(".py").is_file()
    return len(place.parts) == 3 and place.parts[0] == "data" and place.name in OF_DATA


def _listed(project: Project) -> list[str]:
    """All that git neither tracks nor ignores; [] outside of git."""
    return list(filter(None, git.ask(project.root, "ls-files", "--others", "--exclude-standard", "-z").split("\0")))
