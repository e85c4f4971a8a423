"""The state folder beside the logs: profiles, what stages have printed, summaries of days, and what is live.

A file of a model that holds something of a person is made again from what is left, or nobody needs it. A server's log
loses the lines alone, because the server goes on writing it.
"""

import json
import os
import shutil
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path

from flows.forget import summaries
from flows.forget.removal import Removal, shown
from flows.forget.traces import Traces
from flows.project import whole_files
from flows.project.environment import Project
from flows.serving.log import layout

OTHERS = ("answers", "shadow", "labels", "serving", "prefect", "schedule", "locks", "dvc")  # looked at elsewhere
KEPT = ("format", "pin", "data_hash", "at", "rows_raw", "splits", "edges")  # of a profile: nothing of a row


def look(project: Project, model: str, traces: Traces) -> list[Removal]:
    live = project.state / "serving" / model
    files = [*_files(project, model), *(path for path in live.rglob("*") if path.is_file())]
    return [
        Removal("state files", shown(project, path), 0, partial(_take_out, project, model, path, traces))
        for path in files
        if path.name != "live.json" and traces.in_file(path)
    ]


def of_versions(project: Project, model: str, numbers: Collection[int]) -> list[Removal]:
    """The folders from which a server answers as these versions: their examples are rows of the versions."""
    base = project.state / "serving" / model / "versions"
    return [
        Removal("state files", shown(project, path), 0, partial(shutil.rmtree, path, ignore_errors=True))
        for number in sorted(numbers)
        for path in sorted(base.glob(f"{number}-*"))
    ]


def _files(project: Project, model: str) -> Iterator[Path]:
    """The files that are this model's, or everybody's logs."""
    names = {f"{other.name}" for other in layout.models(project.state / "answers")} - {model}
    for path in sorted(project.state.rglob("*")):
        parts = path.relative_to(project.state).parts
        if path.is_file() and parts[0] not in OTHERS and not set(parts[:-1]) & names:
            yield path


def _take_out(project: Project, model: str, path: Path, traces: Traces) -> None:
    place = path.relative_to(project.state)
    if place.parts[0] == "serving":  # a folder of files with one hash; made again by the next deployment
        shutil.rmtree(project.state.joinpath(*place.parts[:4]), ignore_errors=True)
    elif place.name == f"profile-{model}.json":
        found = json.loads(path.read_text(encoding="utf-8"))
        whole_files.write(path, json.dumps({key: found[key] for key in KEPT if key in found}) + "\n")
    elif summaries.is_one(path):  # a day whose log may be gone
        partial = path.with_suffix(".partial")
        summaries.scrub(path, partial, traces)
        os.replace(partial, path)
    elif place.parts[0] == "logs" and place.parts[1] != "runs":
        _without_lines(path, traces)
    else:
        path.unlink(missing_ok=True)


def _without_lines(path: Path, traces: Traces) -> None:
    """In place: whoever writes the file appends to it."""
    with path.open("r+b") as file:
        lines = file.readlines()
        file.seek(0)
        file.writelines(line for line in lines if not traces.in_text(line))
        file.truncate()
