"""Export: a registered version as a folder for another runtime, which has answered there as the model does, or nothing.

The version is fetched and compared with the registry. A process with TensorFlow writes the file, and answers the rows
that are kept with the version. Then a process that has nothing but the folder and its runtime answers the same rows.
"""

import json
import time
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from flows.compression import chosen as forms
from flows.compression import kept as kept_forms
from flows.compression.chosen import Chosen
from flows.deployment import deploy, freshness, registered_version, serving_files
from flows.deployment.version_folder import Version
from flows.export import convert, exports_tag, folder, fresh, rows
from flows.export.compared import Compared, compare
from flows.export.convert import Request
from flows.export.features import architecture, unit
from flows.export.format import Format, NotCarried
from flows.export.formats.onnx import ONNX, quantized
from flows.package import registered
from flows.package.package import ELSEWHERE, check_place
from flows.project import lifeline, scratch, whole_files
from flows.project.environment import Project
from flows.project.locks import Notice
from flows.registry.model_registry import ModelVersion
from flows.report.steps import Steps
from flows.tracking import mlflow_runs
from flows.tracking.mlflow_runs import MlflowClient
from pipelines.config import settings
from pipelines.errors import IntegrityError, RatchetError, RequestError

AGAIN = "Nothing was written: run again when it is back."
INT8 = "int8"  # the form of a version that `--int8` writes too


@dataclass(frozen=True)
class Wanted:
    """format: its name. folder: a whole path. version: None for the champion."""

    model: str
    format: str
    folder: Path
    int8: bool = False
    version: int | None = None


def export(project: Project, wanted: Wanted, notice: Notice) -> dict[str, Any]:
    """The object that `ratchet export --json` prints. Raises RequestError, IntegrityError, RatchetError."""
    start = time.monotonic()
    settings.check_name(wanted.model)
    check_place(wanted.folder)
    chosen = _chosen(wanted)
    with (
        scratch.folder("export") as temporary,
        lifeline.held(project),
        whole_files.partial(wanted.folder, ELSEWHERE) as target,
        Steps(notice) as at,
    ):
        at("fetches the version, and compares it with the registry")
        with mlflow_runs.reachable(project, AGAIN):
            store = mlflow_runs.client(project)
            version, entry, served = _version(project, store, wanted, temporary)
            source = _source(store, version, entry, chosen, temporary, notice)
            if wanted.int8 and source.serving is not None and served is not None and served.name == INT8:
                source = replace(source, small=_served(store, entry, served, temporary, notice))
        try:
            found, checked = _made(source, wanted, chosen, target, temporary, at)
        except NotCarried as error:
            raise _refused(version, wanted, chosen, error) from error
        with mlflow_runs.reachable(project, AGAIN):
            exports_tag.add(store, entry, chosen.name, wanted.int8, found, checked)
        folder.put(target, wanted.folder)
    return found | {
        "folder": str(wanted.folder),
        "checked": checked.content(),
        "seconds": round(time.monotonic() - start, 3),
    }


def _chosen(wanted: Wanted) -> Format:
    """Raises RequestError for a format that is not there, cannot hold what is wanted, or has no runtime here."""
    known = convert.known()
    if wanted.format not in known:
        raise RequestError(f"There is no format {wanted.format!r}.", f"--format takes one of {', '.join(known)}.")
    found = known[wanted.format]
    if wanted.int8 and not found.int8:
        able = [one.name for one in known.values() if one.int8]
        raise RequestError(
            f"A {found.name} file holds the weights as they are, so --int8 cannot be had with it.",
            f"Leave --int8 out, or take --format {' or '.join(able)}.",
        )
    if find_spec(found.library) is None:
        extra = f"[{found.extra}]" if found.extra else ""
        raise RequestError(
            f"{found.runtime} is not installed, and without it nobody knows whether the file works: there is no "
            f"package {found.library}.",
            f"`.venv/bin/pip install -e '.{extra}'` installs it.",
        )
    return found


def _version(
    project: Project, store: MlflowClient, wanted: Wanted, temporary: Path
) -> tuple[Version, ModelVersion, Chosen | None]:
    """The version, and the smaller form in which it answers."""
    _, standing = registered.standing_of(project, store, wanted.model, wanted.version, "to export")
    hidden = freshness.wishes(wanted.model, None).sensitive
    version, entry = registered_version.champion(store, wanted.model, standing, hidden, temporary)
    return version, entry, forms.of(standing, version.number)


def _served(store: MlflowClient, entry: ModelVersion, served: Chosen, temporary: Path, notice: Notice) -> Path | None:
    """The file by which the version is served in eight bits; None if it was lost, which is told."""
    try:
        folder = kept_forms.fetch(store, entry, served, temporary).folder
    except IntegrityError as error:
        notice(f"{error.what} It is made anew of the version's own file.")
        return None
    return folder / ONNX.file if folder else None


@dataclass(frozen=True)
class Source:
    """What is exported. model: the checked model folder. serving: its ONNX file, for that format alone; small:
    the same in eight bits, if it is served so. kept: rows by which the file is checked; about: model.json."""

    version: Version
    entry: ModelVersion
    model: Path
    serving: Path | None
    about: dict[str, Any]
    kept: list[rows.Row]
    small: Path | None = None


def _source(
    store: MlflowClient, version: Version, entry: ModelVersion, chosen: Format, temporary: Path, notice: Notice
) -> Source:
    model = version.fetched / "artifacts" / "model"
    about = json.loads((model / "model.json").read_text(encoding="utf-8"))
    if version.golden is None or not version.golden.num_rows:
        raise RequestError(
            f"Version {version.number} of {entry.name} was registered without rows by which a file could be checked.",
            "`ratchet run --force` makes a version that has some.",
        )
    kept = rows.golden(serving_files.with_every_column(version.golden, about), about)
    serving = None
    if chosen.write is None:
        found = deploy.own_files(store, entry, version, temporary, notice)
        if found.folder is None or found.runtime != "onnx":
            why = NotCarried(found.why or "it has no serving files")
            raise _refused(version, Wanted(entry.name, chosen.name, model), chosen, why)
        serving = found.folder / chosen.file
    return Source(version, entry, model, serving, about, kept)


def _made(
    source: Source, wanted: Wanted, chosen: Format, target: Path, temporary: Path, at: Steps
) -> tuple[dict[str, Any], Compared]:
    """Fill the folder, and let it answer. Raises NotCarried."""
    work = temporary / "work"
    work.mkdir()
    every = [*source.kept, *rows.planted(source.kept, source.about)]
    asked = work / "rows.json"
    asked.write_text(rows.text(every), encoding="utf-8")
    target.mkdir(mode=0o700)
    out = target / chosen.file
    at(f"writes the file for {chosen.runtime}" if chosen.write else "asks the model itself")
    name = chosen.name if chosen.write else ""
    model_hash = source.entry.tags["ratchet.model_hash"]
    expected = convert.run(Request(str(source.model), model_hash, name, wanted.int8, str(out), str(asked)), work, at)
    if source.serving is not None:
        out.write_bytes(_onnx(source, source.serving, wanted.int8))
    content = folder.Content(
        {"model": wanted.model, "version": source.version.number, "model_hash": model_hash},
        source.model,
        source.about,
        chosen,
        wanted.int8,
        rows.example(source.kept, source.version.sensitive),
    )
    folder.fill(target, content)
    at(f"lets {chosen.runtime} answer {len(every):,} rows in a process of its own")
    answered = fresh.answers(target, asked, work, chosen, source.about)
    checked = compare(expected, answered, len(source.kept), unit(architecture(source.model)), wanted.int8)
    checked.verdict()
    return folder.close(target, content, checked.content()), checked


def _onnx(source: Source, serving: Path, int8: bool) -> bytes:
    """The file for ONNX Runtime. Raises NotCarried."""
    if int8 and source.small is None:
        return quantized(serving.read_bytes())
    return (source.small or serving).read_bytes()


def _refused(version: Version, wanted: Wanted, chosen: Format, error: NotCarried) -> RatchetError:
    others = [name for name in convert.known() if name != chosen.name]
    small = "Leave --int8 out, or take" if wanted.int8 else "Take"
    return RatchetError(
        f"Version {version.number} of {wanted.model} is not written for {chosen.runtime}: {error}. Nothing was kept.",
        f"{small} another format: {', '.join(others)}.",
    )
