"""What stands beside a version, made again: the files for serving, the smaller forms and the explanations.

Each is compared by the hash of the file that names the others, which is in a tag of the version. Only what was made
with the run of the version can be made again from its commit. What was made later, by another exporter or with other
settings, is left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flows.compression import kept, variants
from flows.deployment import explanation_files, serving_files
from flows.registry.model_registry import ModelVersion
from flows.tracking.differences import Output
from pipelines.config import yaml_text
from pipelines.model.predictor import file_hash


@dataclass(frozen=True)
class Part:
    """stage: that makes it; folder, file: in data/<model>/. hash, made: tags of its hash, and of when it was made."""

    stage: str
    folder: str
    file: str
    hash: str
    made: str


PARTS = (
    Part("export", serving_files.FOLDER, serving_files.ABOUT, serving_files.HASH, serving_files.MADE),
    Part("compress", variants.FOLDER, variants.ABOUT, kept.HASH, kept.MADE),
    Part("explain", explanation_files.FOLDER, explanation_files.ABOUT, explanation_files.HASH, explanation_files.MADE),
)
WITH_RUN = serving_files.WITH_RUN  # of each part


def stages(tree: Path, version: ModelVersion) -> list[str]:
    """The stages of a recorded tree that make what stands beside a version, as DVC names them."""
    wanted = [part.stage for part in _compared(version)]
    if not wanted:
        return []
    declared = yaml_text.plain((tree / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    return [f"{name}@{version.name}" for name in wanted if name in declared]


def outputs(version: ModelVersion, data: Path) -> list[Output]:
    """Each part then and now; [] if none is compared. data: data/<model>/ of the rebuild."""
    found = []
    for part in _compared(version):
        path = data / part.folder / part.file
        rebuilt = file_hash(path) if path.is_file() else ""
        found.append(Output(part.stage, f"data/{version.name}/{part.folder}", version.tags[part.hash], rebuilt))
    return found


def _compared(version: ModelVersion) -> Iterator[Part]:
    return (part for part in PARTS if part.hash in version.tags and version.tags.get(part.made) == WITH_RUN)
