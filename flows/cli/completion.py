"""Completion of words in a shell: the names of models."""

from pathlib import Path


def models(incomplete: str) -> list[str]:
    """The models of the project that the working directory lies in, whose names begin so."""
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (folder / "dvc.yaml").is_file():
            return sorted(path.stem for path in folder.glob(f"models/{incomplete}*.yaml"))
    return []
