"""ratchet package: a folder that serves one version without Ratchet."""

from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli import terminate
from flows.cli.answer import USE, Debug, Json, Model, State, answer, command
from flows.project.environment import Project


@command(150, USE)
def package(
    model: Model,
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="A folder to write: new, or empty.")],
    version: Annotated[int | None, typer.Option(help="A version of the registry. Default: the champion.")] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write a folder that serves a version with a few packages, without TensorFlow, MLflow, Prefect or this project."""
    place = Path(folder).absolute()  # before the project's folder becomes the working one
    answer(lambda project: do_package(project, model, place, version, as_json), package_text, as_json, debug)


def do_package(project: Project, model: str, folder: Path, version: int | None, quiet: bool) -> dict[str, Any]:
    """Write a package. Raises RequestError, IntegrityError."""
    from flows.cli import flow_session
    from flows.package import package as packaging

    with terminate.listening():  # the half-written folder goes in both cases
        return packaging.package(project, packaging.Wanted(model, folder, version), flow_session.watched(quiet).notice)


def package_text(found: State) -> str:
    return "\n".join(
        [
            f"{found['model']} version {found['version']} is in {found['folder']}.",
            f"  written   {found['files']} files, {found['bytes'] / 1e6:.1f} MB",
            "  next      README.md there: install requirements.lock into an environment of its own, then",
            "            `python serve.py`. Dockerfile and kubernetes.yaml stand beside it",
            f"  took      {found['seconds']:.1f} s",
        ]
    )
