"""What stands in a package: the version's files, the server's modules, its pins, and what starts it."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from flows.package import closure, lock_subset
from flows.report import pages
from pipelines.errors import RequestError

START = "flows.serving.__main__"
LEFT_OUT = ("flows.serving.log.closing", "flows.serving.explaining.child")  # a package has no log, pyarrow or pandas
BY_NAME = ("httptools", "uvloop")  # what uvicorn loads by itself if it is there
NO_LOG = {"log": False}
NAMED, WATCHED = "files.json", "reference.parquet"  # of the folder of a version: flows/deployment/version_folder.py
FILES = Path(__file__).parent / "files"
IGNORED = "tokens.json\n.venv\n**/__pycache__\n"  # by `docker build`: a token's hash belongs into no image


@dataclass(frozen=True)
class Version:
    """A version that is ready to be served: what live.json says of it, and the files of its folder."""

    live: Mapping[str, Any]
    folder: Path

    @property
    def name(self) -> str:
        """Of image, deployment and service."""
        return f"ratchet-{self.live['model'].replace('_', '-')}"


def fill(target: Path, root: Path, version: Version) -> dict[str, Any]:
    """Write a whole package into an empty folder; returns its manifest.

    root: of the project, whose modules and pins are taken. The bytes depend on the version and the project alone.
    Raises RequestError if a library is not pinned or not installed.
    """
    server = closure.of(root, START, LEFT_OUT)
    libraries = lock_subset.distributions(server.libraries) | set(BY_NAME)
    pinned = lock_subset.closure(libraries)
    lock = lock_subset.text((root / "requirements.lock").read_text(encoding="utf-8"), pinned)
    _write(target / "requirements.lock", lock)
    for path in server.files:
        _copy(root / path, target / path)
    _copy(root / "LICENSE", target / "LICENSE")
    _copy(Path(__file__).with_name("serve.py"), target / "serve.py")
    _copy_version(target / "serving" / version.live["model"], version)
    values = _values(version, len(pinned))
    for source in sorted(FILES.iterdir()):
        _write(target / source.name, Template(source.read_text(encoding="utf-8")).substitute(values))
    _write(target / ".dockerignore", IGNORED)
    _write(target / "README.md", pages.render("package.md.j2", **values))
    columns = json.loads((version.folder / "columns.json").read_text(encoding="utf-8"))
    _write(target / "example.json", json.dumps(columns["example"], ensure_ascii=False, indent=1) + "\n")
    return _write_manifest(target, version)


def _copy_version(target: Path, version: Version) -> None:
    """All but the distributions of its training rows: only `ratchet watch` needs them, and there are values in them."""
    place = target / version.live["folder"]
    for path in version.folder.rglob("*"):
        if path.is_file() and (name := path.relative_to(version.folder).as_posix()) != WATCHED:
            _copy(path, place / name)
    about, told = json.loads((place / NAMED).read_text(encoding="utf-8")), {"serve": NO_LOG, "problem": ""}
    if about["files"].pop(WATCHED, None):
        content = json.dumps(about, indent=1, ensure_ascii=False)
        _write(place / NAMED, content)
        told |= {"files_hash": hashlib.sha256(content.encode()).hexdigest()}
    _write(target / "live.json", json.dumps({**version.live, **told}, indent=2))


def _values(version: Version, libraries: int) -> dict[str, Any]:
    live = version.live
    facts = {
        "model": live["model"],
        "version": str(live["version"]),
        "model hash": live["model_hash"],
        "serving hash": live["serving_hash"],
    }
    rows = [{"fact": name, "value": value} for name, value in facts.items()]
    about = {key: live[key] for key in ("model", "version", "model_hash")}
    return about | {"name": version.name, "libraries": libraries, "facts": rows}


def _write_manifest(target: Path, version: Version) -> dict[str, Any]:
    files = {
        path.relative_to(target).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(target.rglob("*"))
        if path.is_file()
    }
    about = {key: version.live[key] for key in ("model", "version", "model_hash", "serving_hash")}
    manifest = {"format": 1, **about, "files": files}
    _write(target / "manifest.json", json.dumps(manifest, indent=1) + "\n")
    return manifest


def _copy(source: Path, target: Path) -> None:
    """Without its rights: an image's user, who is another one, has to read it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def check_onnx(version: Version) -> None:
    """Raises RequestError for a version that only TensorFlow can answer with."""
    live = version.live
    if live["runtime"] != "onnx":
        raise RequestError(
            f"Version {live['version']} of {live['model']} has no ONNX file, so it needs TensorFlow to answer: "
            f"{live['why'] or 'it was not exported'}.",
            "`ratchet serve` serves it here; or train a network whose layers ONNX has, and package that version.",
        )
