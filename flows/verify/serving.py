"""The serving files of a version, made again: compared by their serving_hash, which is in a tag of the version.

Only those that were made with the run of the version can be made again from its commit. Files that were made later, by
another exporter, are left out.
"""

from pathlib import Path

from flows.deployment import serving_files
from flows.graph.pipeline import is_after_gate
from flows.registry.model_registry import ModelVersion
from flows.tracking.differences import Output
from pipelines.config import yaml_text
from pipelines.model.predictor import file_hash

STAGE = "export"


def stages(tree: Path, version: ModelVersion) -> list[str]:
    """The stages of a recorded tree that make the serving files of a version, as DVC names them."""
    if not _compared(version):
        return []
    declared = yaml_text.plain((tree / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    return [f"{name}@{version.name}" for name in declared if is_after_gate(name)]


def outputs(version: ModelVersion, data: Path) -> list[Output]:
    """The serving files then and now; [] if they are not compared. data: data/<model>/ of the rebuild."""
    if not _compared(version):
        return []
    path = data / serving_files.FOLDER / serving_files.ABOUT
    rebuilt = file_hash(path) if path.is_file() else ""
    name = f"data/{version.name}/{serving_files.FOLDER}"
    return [Output(STAGE, name, str(serving_files.recorded(version)), rebuilt)]


def _compared(version: ModelVersion) -> bool:
    with_run = version.tags.get(serving_files.MADE) == serving_files.WITH_RUN
    return with_run and serving_files.recorded(version) is not None
