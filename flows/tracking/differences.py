"""Differences between a run's records and its rebuild, output by output, and their causes."""

import json
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from flows.graph.lockfile import Entries, is_numeric
from pipelines.model.predictor import file_hash

HARDWARE = ("processor", "machine", "instructions", "device", "cores")


@dataclass(frozen=True)
class Output:
    stage: str
    path: str  # in the project
    recorded: str  # DVC's hash
    rebuilt: str  # the rebuild's hash, or "" if it has no such output

    @property
    def equal(self) -> bool:
        return self.recorded == self.rebuilt


def order(entries: Entries) -> list[str]:
    """The stages of a model, each after those whose outputs it reads."""
    maker = {out["path"]: name for name, entry in entries.items() for out in entry.get("outs", [])}
    needs = {name: {maker[d["path"]] for d in e.get("deps", []) if d["path"] in maker} for name, e in entries.items()}
    return list(TopologicalSorter(needs).static_order())


def leaves(entries: Entries) -> list[str]:
    """The stages whose outputs no other stage reads."""
    read = {dep["path"] for entry in entries.values() for dep in entry.get("deps", [])}
    return [name for name in order(entries) if not read & {out["path"] for out in entries[name].get("outs", [])}]


def outputs(recorded: Entries, rebuilt: Entries) -> list[Output]:
    """Every output of every stage, in order."""
    found = {out["path"]: out["md5"] for entry in rebuilt.values() for out in entry.get("outs", [])}
    return [
        Output(name.partition("@")[0], out["path"], out["md5"], found.get(out["path"], ""))
        for name in order(recorded)
        for out in recorded[name].get("outs", [])
    ]


def only_numeric(found: list[Output]) -> bool:
    """Whether all differences are in outputs that depend on the last bits of arithmetic."""
    return all(output.equal for output in found if not is_numeric(output.stage))


def files(registered: Path, rebuilt: Path) -> list[str]:
    """The names of the files of a model folder that differ, the weights first."""
    names = sorted({path.name for folder in (registered, rebuilt) for path in folder.glob("*")} - {"__pycache__"})
    different = [name for name in names if _hash(registered / name) != _hash(rebuilt / name)]
    return sorted(different, key=lambda name: name == "manifest.json")


def _hash(path: Path) -> str:
    return file_hash(path) if path.is_file() else ""


def causes(
    recorded: Entries, rebuilt: Entries, machine: dict[str, Any], present: dict[str, Any]
) -> dict[str, list[str]]:
    """What has changed since the run, by kind: code, data, settings, hardware, threads, packages, python.

    machine, present: provenance.machine, then and now.
    """
    made = {out["path"] for entry in recorded.values() for out in entry.get("outs", [])}
    before, after = _read(recorded, made), _read(rebuilt, made)
    moved = sorted(path for path in before if path in after and before[path] != after[path])
    asked = [name for name in recorded if name in rebuilt and _asked(recorded[name]) != _asked(rebuilt[name])]
    found = {
        "code": [path for path in moved if _is_code(path)],
        "data": [path for path in moved if not _is_code(path)],
        "settings": [f"those of {name}" for name in asked],
        "hardware": [_told(key, machine, present) for key in HARDWARE if machine.get(key) != present.get(key)],
        "threads": [_told("hardware", machine, present)] if machine["hardware"] != present["hardware"] else [],
        "packages": _packages(machine["packages"], present["packages"]),
        "python": [_told("python", machine, present)] if machine["python"] != present["python"] else [],
    }
    return {kind: words for kind, words in found.items() if words}


def _read(entries: Entries, made: set[str]) -> dict[str, str]:
    deps = [dep for entry in entries.values() for dep in entry.get("deps", [])]
    return {dep["path"]: dep["md5"] for dep in deps if dep["path"] not in made}


def _is_code(path: str) -> bool:
    """Whether a dependency is a module or, since dvc.yaml lists whole packages too, a folder of them."""
    return path.endswith(".py") or path.startswith("pipelines/")


def _asked(entry: dict[str, Any]) -> Any:
    return entry["cmd"], entry.get("params")


def _told(key: str, before: dict[str, Any], after: dict[str, Any]) -> str:
    old, new = before.get(key), after.get(key)
    if isinstance(old, list) and isinstance(new, list):
        return f"{key}: {', '.join(sorted({*old} ^ {*new}))} on one side only"
    return f"{key}: {_plain(old)} -> {_plain(new)}"


def _plain(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict) else str(value)


def _packages(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return [
        f"{name} {before.get(name, '(absent)')} -> {after.get(name, '(absent)')}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name) and name != "ratchet"
    ]


def largest(recorded: Path, rebuilt: Path) -> dict[str, float]:
    """How far two tables of predictions differ: rows with another answer, and the largest difference.

    The difference is of a probability, or for a regression a share of the target's standard deviation. Raises
    ValueError if they are not about the same rows.
    """
    import numpy as np
    import pandas as pd

    before, after = (pd.read_parquet(path).sort_values("row_id", ignore_index=True) for path in (recorded, rebuilt))
    if not before["row_id"].equals(after["row_id"]):
        raise ValueError("the predictions are not about the same rows")
    names = [name for name in before if str(name).startswith("probability_")]
    changed = int((before["prediction"] != after["prediction"]).sum())
    if names:
        apart = np.abs(before[names].to_numpy() - after[names].to_numpy())
        return {"answers_changed": changed, "largest": float(apart.max())}
    spread = float(before["actual"].std()) or 1.0
    return {"largest": float(np.abs(before["prediction"] - after["prediction"]).max()) / spread}
