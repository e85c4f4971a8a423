"""DVC's record of a model's pinned files: an added folder, or an import that follows a path or URL.

The record is data/<model>/source.dvc. It is frozen, so `dvc repro` never changes the pinned files.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flows.graph import pins
from flows.graph.pipeline import Graph
from flows.project import whole_files
from pipelines.errors import DataError, RatchetError, UnreachableError


def add(graph: Graph, folder: Path) -> None:
    """Add a folder to DVC, and freeze its record, so that `dvc repro` never changes the folder."""
    path = str(folder.relative_to(graph.project.root))
    if _imported(graph) is not None:
        Path(f"{path}.dvc").unlink()
        graph.repo._reset()
    graph.repo.add(path)
    graph.repo.freeze(f"{path}.dvc")
    graph.reload()


def moved(graph: Graph, address: str) -> bool:
    """Whether a path or URL outside the project has changed since its last import.

    Nothing is fetched. Raises DataError if nothing is there, UnreachableError if it does not answer.
    """
    stage = _imported(graph)
    if stage is None or _address(stage) != address:
        return True
    with _asked(address):
        return bool(stage.deps[0].changed())


def follow(graph: Graph, address: str, out: Path) -> None:
    """Import the current content of a path or URL outside the project to `out`, like `dvc import-url` or `dvc update`.

    Raises DataError if nothing is there, UnreachableError if it cannot be fetched.
    """
    folder = graph.project.data(graph.model)
    with _asked(address):
        stage = _imported(graph)
        if stage is not None and _address(stage) == address:
            stage.update()
        else:
            about = {"fname": str(folder / "source.dvc"), "wdir": str(folder), "deps": [address]}
            stage = graph.repo.stage.create(single_stage=True, validate=False, outs=[str(out)], **about)
            stage.run()
            stage.frozen = True
        stage.dump()
    graph.reload()


def put_back(graph: Graph, pin: str, source: str) -> None:
    """Restore pin.json and source.dvc ("" for none) to these texts, and the pinned files with them."""
    folder = graph.project.data(graph.model)
    if not source:
        (folder / "source.dvc").unlink(missing_ok=True)
    else:
        whole_files.write(folder / "source.dvc", source)
        graph.repo._reset()
        graph.bring([str(folder / "source.dvc")])
    whole_files.write(folder / "pin.json", pin)
    pins.note(graph.project, graph.model)
    graph.reload()


def _imported(graph: Graph) -> Any:
    """DVC's record of this model's import, or None."""
    path = str(graph.project.data(graph.model) / "source.dvc")
    return next((s for s in graph.repo.index.stages if s.is_import and str(s.path) == path), None)


def _address(imported: Any) -> str:
    """The path or URL of an import, as it is written in a model's YAML."""
    found = str(imported.deps[0].def_path)
    return found if "://" in found else str(imported.deps[0].fs_path)


@contextmanager
def _asked(address: str) -> Iterator[None]:
    """Turn the errors of a request to a place outside the project into messages."""
    try:
        yield
    except RatchetError:
        raise
    except Exception as error:
        gone = "DoesNotExist" in type(error).__name__ or isinstance(error, FileNotFoundError)
        if gone and "://" not in address:  # DVC gives the same error for a missing file and for a server that is away
            raise DataError(f"The source {address} does not exist.", "Correct `ingest: source:`.") from error
        told = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise UnreachableError(
            f"The source {address} cannot be read now: {told}.", "The pinned version stays; run again later."
        ) from error
