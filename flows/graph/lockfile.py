"""dvc.lock belongs to the user: a run changes it only for a reason that can be committed.

On another processor, or with other packages, `train` gives other last bits, and dvc.lock would differ although nobody
changed anything. Then this machine's entries are kept in the state folder. DVC gets them for the run, and the committed
ones are put back at its end.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from flows.graph import pins, provenance
from flows.graph.pipeline import Graph, is_after_gate
from flows.project import whole_files
from flows.project.environment import Project
from pipelines.config.stages import STAGES
from pipelines.hardware import fingerprint

Entries = dict[str, Any]


def entries(project: Project, model: str) -> Entries:
    """A model's entries in dvc.lock, as they are; {} if there are none."""
    path = project.root / "dvc.lock"
    if not path.exists():
        return {}
    stages = YAML(typ="safe").load(path.read_text(encoding="utf-8")).get("stages", {})
    return {name: entry for name, entry in stages.items() if name.partition("@")[2] == model}


@contextmanager
def kept(project: Project, graph: Graph) -> Iterator[None]:
    """Run the stages of a run. Afterwards dvc.lock has changed only if something other than the machine has."""
    model, recorded = graph.model, fingerprint.recorded(graph.model)
    if recorded == fingerprint.present():
        yield
        return
    if recorded is None:
        yield
        fingerprint.record(model)
        return
    saved = _saved(project, model)
    committed = _lend(project, graph, saved)
    _save(project, model, committed, entries(project, model), provenance.head(project))
    try:
        yield
    finally:
        found = entries(project, model)
        if found != committed:
            _take_back(project, graph, committed, found)
        elif saved and not saved.get("lent"):
            _save(project, model, saved["committed"], saved["local"])
        else:
            _path(project, model).unlink()


def effective(project: Project, model: str) -> Entries:
    """The entries that this machine made: its own if they are kept apart, else those of dvc.lock."""
    saved, committed = _saved(project, model), entries(project, model)
    return saved["local"] if saved and saved["committed"] == committed else committed


def deciding(found: Entries) -> Entries:
    """The entries of the stages that a decision depends on: without those after the gate."""
    return {name: entry for name, entry in found.items() if not is_after_gate(name)}


def later(found: Entries) -> Entries:
    """The entries of the stages after the gate."""
    return {name: entry for name, entry in found.items() if is_after_gate(name)}


def digests(found: Entries) -> dict[str, str]:
    """DVC's own hash of every output that entries name: path -> md5."""
    return {out["path"]: out["md5"] for entry in found.values() for out in entry.get("outs", [])}


def torn(found: Entries) -> list[str]:
    """Files that a stage read with another content than the stage before it had made."""
    made = digests(found)
    read = [dep for entry in found.values() for dep in entry.get("deps", [])]
    return sorted({dep["path"] for dep in read if made.get(dep["path"], dep["md5"]) != dep["md5"]})


def restore(project: Project, graph: Graph, recorded_files: dict[str, Path]) -> None:
    """Bring pin, entries and outputs back to what a run recorded.

    recorded_files: its dvc.lock, pin.json and, if it has one, source.dvc (flows/registry/definition.py).
    """
    recorded = YAML(typ="safe").load(recorded_files["dvc.lock"].read_text(encoding="utf-8"))["stages"]
    committed, saved = entries(project, graph.model), _saved(project, graph.model)
    folder, named = project.data(graph.model), {"pin.json", "source.dvc"} & set(recorded_files)
    before = {path: path.read_bytes() if path.exists() else None for path in (folder / name for name in named)}
    for name in named:
        shutil.copyfile(recorded_files[name], folder / name)
    try:
        graph.checkout(recorded)
    except BaseException:
        for path, content in before.items():
            path.write_bytes(content) if content is not None else path.unlink(missing_ok=True)
        graph.write_lock_entries(committed)
        raise
    pins.note(project, graph.model)
    if saved and saved["committed"] == committed and saved["local"] == recorded:
        graph.write_lock_entries(committed)


def _lend(project: Project, graph: Graph, saved: dict[str, Any] | None) -> Entries:
    """Put this machine's entries in place, if they belong to the committed ones; returns the committed ones."""
    current = entries(project, graph.model)
    if not saved:
        return current
    if saved.get("lent") == provenance.head(project) or current == saved["local"]:
        return dict(saved["committed"])  # an earlier run died before it could put them back
    if current == saved["committed"]:
        graph.write_lock_entries(saved["local"])
    return current


def _take_back(project: Project, graph: Graph, committed: Entries, found: Entries) -> None:
    if numeric_only(committed, found):
        _save(project, graph.model, committed, found)
        graph.write_lock_entries(committed)
    else:
        _path(project, graph.model).unlink(missing_ok=True)
        fingerprint.record(graph.model)


def _save(project: Project, model: str, committed: Entries, local: Entries, lent: str = "") -> None:
    """lent: the commit on which dvc.lock holds this machine's entries during a run; "" if it does not hold them."""
    content = {"format": 1, "committed": committed, "local": local} | ({"lent": lent} if lent else {})
    whole_files.write(_path(project, model), json.dumps(content))


def numeric_only(before: Entries, after: Entries) -> bool:
    """Whether two sets of entries differ only in the outputs of train and evaluate, and in stages that read these."""
    return bool(before) and _comparable(before) == _comparable(after)


def _comparable(found: Entries) -> Entries:
    numeric = {out["path"] for name in found if is_numeric(_stage(name)) for out in found[name].get("outs", [])}
    return {
        name: {
            "cmd": entry["cmd"],
            "params": entry.get("params"),
            "deps": {dep["path"]: dep["path"] in numeric or dep["md5"] for dep in entry.get("deps", [])},
            "outs": {out["path"]: out["path"] in numeric or out["md5"] for out in entry.get("outs", [])},
        }
        for name, entry in found.items()
    }


def is_numeric(stage: str) -> bool:
    """Whether the bytes of a stage's outputs depend on the machine. False for a stage that no longer exists."""
    return stage in STAGES and STAGES[stage].numeric


def _stage(name: str) -> str:
    return name.partition("@")[0]


def _path(project: Project, model: str) -> Path:
    """One file for each working tree, since its content belongs to that tree's dvc.lock."""
    tree = "" if project.root == project.home else f"-{project.root.name}"
    return project.state / f"dvc-lock-{model}{tree}.json"


def _saved(project: Project, model: str) -> dict[str, Any] | None:
    try:
        return dict(json.loads(_path(project, model).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None
