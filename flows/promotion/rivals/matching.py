"""Rows of a rival whose identities are made of other columns: matched over the columns that both versions know.

A row_id is a hash of all declared columns, so that with one column more every row has another. Which of the present
test rows a rival was fitted on is then found in its recorded splits, which DVC's cache has. Windows of a sequence are
matched by the time and the series of the row that they predict: where one of two versions does not tell the series
apart, a row counts as fitted if any row of that time was.

A column that one of the two versions hides (`ingest: private:`) and the other sees has no value that both know, and
neither can answer rows as the other reads them: they are not compared.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
from ruamel.yaml import YAML

from flows.graph import pipeline
from flows.project import scratch
from flows.project.environment import Project
from flows.registry import definition
from flows.registry.model_registry import ModelVersion
from flows.tracking.evidence_files import Kept
from flows.tracking.mlflow_runs import MlflowClient
from pipelines.config.data import Data
from pipelines.errors import IntegrityError
from pipelines.model_file import Declaration
from pipelines.readers.private import Private
from pipelines.table import row_groups, rows
from pipelines.table.splits import SPLITS


@dataclass(frozen=True)
class Recorded:
    """What a rival's run says of its data. splits: DVC's hash of each split file. hidden: as of `hidden`."""

    section: dict[str, Any]  # `data` of its YAML
    splits: dict[str, str]
    hidden: dict[str, Any] = field(default_factory=dict)

    @property
    def columns(self) -> dict[str, str]:
        """Name -> role."""
        return dict(self.section.get("columns", {}))

    @property
    def target(self) -> str:
        return str(self.section["target"])


def kept(
    project: Project, declared: Declaration, version: ModelVersion, recorded: Recorded | None, known: Kept, test: Path
) -> Kept:
    """What was kept with a rival, by the identities of the present rows.

    recorded: as of `recorded_of`; test: the candidate's test split. Raises IntegrityError if the recorded splits are
    gone, or the two have too little in common.
    """
    here = declared.data
    if recorded is not None and (changed := _hidden_otherwise(recorded, declared)):
        raise _unlike(declared.model, version, changed)
    if recorded is None or (recorded.columns, recorded.target) == (here.columns, here.target):
        return known
    if (common := _common(recorded, here)) is None:
        raise _lost(declared.model, version, "and such rows cannot be matched")
    mine = pd.DataFrame(_identities(test, common), columns=["common", "row_id"])
    found: dict[str, str] = {}
    for split in reversed(SPLITS):  # a row that stands in more than one counts as trained on
        path = pipeline.cached(project, recorded.splits[split])
        if path is None:
            raise _lost(declared.model, version, f"and DVC's cache no longer has its {split} rows to match them by")
        found |= dict.fromkeys((one for one, _ in _identities(path, common)), split)
    matched = mine.assign(split=mine["common"].map(found)).dropna(subset="split")
    return replace(known, rows=matched.set_index("row_id")["split"])


def _common(recorded: Recorded, here: Data) -> list[str] | None:
    """The columns by which rows of both versions are known; None if they have no such thing."""
    common = [name for name, role in here.columns.items() if recorded.columns.get(name) == role]
    if recorded.target != here.target or recorded.section["kind"] != here.kind:
        return None
    if here.kind != "sequence":
        return [*common, here.target] + (["image"] if here.kind == "image" else [])
    if here.time not in common or recorded.section["time"] != here.time:
        return None
    return [here.time, *(name for name in here.series if name in common and name in recorded.section.get("series", []))]


def hidden(rules: Private) -> dict[str, Any]:
    """The columns that are kept in another form, with how; of a hash with the fingerprint of its key."""
    return {name: [how, rules.hash_key] if how == "hash" else how for name, how in rules.hidden.items()}


def _hidden_otherwise(recorded: Recorded, declared: Declaration) -> list[str]:
    """The columns of both versions that one of them hides, or hides in another way."""
    now, common = hidden(declared.ingest), {*recorded.columns} & {*declared.data.columns}
    return sorted(name for name in common if recorded.hidden.get(name) != now.get(name))


def recorded_of(store: MlflowClient, model: str, version: ModelVersion) -> Recorded | None:
    """None for a version of before these files were recorded, whose identities are taken for those of today."""
    run = store.get_run(str(version.run_id))
    if "dvc.lock" not in definition.names(store, run):
        return None
    with scratch.folder("recorded") as place:
        text = definition.fetch(store, run, "dvc.lock", place).read_text(encoding="utf-8")
    stages: dict[str, Any] = YAML(typ="safe").load(text)["stages"]
    known = stages[f"ingest@{model}"]["params"][f"models/{model}.yaml"]
    rules = {name: known["ingest"][name] for name in Private.model_fields if name in known["ingest"]}
    outs = {Path(out["path"]).stem: out["md5"] for out in stages[f"clean@{model}"]["outs"]}
    splits = {split: outs[split] for split in SPLITS}
    return Recorded(dict(known["data"]), splits, hidden(Private.model_validate(rules)))


def _identities(path: Path, names: list[str]) -> Iterator[tuple[str, str]]:
    """(identity over some columns, row_id) of every row of a split."""
    for batch in row_groups.batches(path, ["row_id", *names]):
        found = rows.identify(batch, names)
        yield from zip((one.decode() for one in found.tolist()), batch["row_id"].to_pylist(), strict=True)


def _unlike(model: str, version: ModelVersion, changed: list[str]) -> IntegrityError:
    named = f"column{'s' * (len(changed) > 1)} {', '.join(changed)}"
    return IntegrityError(
        f"Version {version.version} read the {named} in another form than `ingest: private:` now says, so the two have "
        "no rows in common.",
        f"`ratchet promote {model} VERSION --reason ...` decides without a comparison.",
    )


def _lost(model: str, version: ModelVersion, why: str) -> IntegrityError:
    return IntegrityError(
        f"Version {version.version} was made of other columns, so its rows have other identities, {why}.",
        f"`ratchet promote {model} VERSION --reason ...` decides without a comparison.",
    )
