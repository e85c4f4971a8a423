"""The versions that a candidate is compared with, and their predictions for the current test rows."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from flows.project.environment import Project
from flows.promotion import trial
from flows.promotion.rivals import across_readers, matching
from flows.promotion.rivals.across_readers import Known
from flows.promotion.rivals.matching import Recorded
from flows.records.champion_state import Standing
from flows.registry import model_registry
from flows.registry.model_registry import ModelVersion
from flows.tracking import evidence_files
from flows.tracking.evidence_files import Kept
from flows.tracking.mlflow_runs import MlflowClient
from pipelines.config import settings
from pipelines.config.data import Data
from pipelines.errors import IntegrityError, RatchetError
from pipelines.model_file import Declaration

OF_WINDOWS = ("window", "horizon", "step", "series", "seasons")  # what a window is made of, beside the columns


@dataclass(frozen=True)
class Rival:
    """A version that the candidate is compared with; failure: why that is impossible.

    across: the test rows as it knows them, where it has another reader.
    """

    role: str  # champion or reference
    version: ModelVersion
    folder: Path = Path()
    kept: Kept | None = None
    predictions: pd.DataFrame | None = None  # for all current test rows
    failure: str = ""
    windows: dict[str, Any] = field(default_factory=dict)  # its section `data`, where it sees other windows
    across: Known | None = None

    @property
    def name(self) -> str:
        return f"version {self.version.version}"


def rivals(
    project: Project, store: MlflowClient, declared: Declaration, standing: Standing, test: Path, place: Path
) -> list[Rival]:
    """The reference, if it is another version, and the champion, each with the files kept with it.

    test: the candidate's test split, whose rows are compared; place: a folder for what is fetched.
    """
    model = declared.model
    roles = {"reference": standing.reference, "champion": standing.champion}
    if standing.reference == standing.champion:
        del roles["reference"]
    result = []
    for role, number in roles.items():
        if number is None:
            continue
        version = model_registry.version(store, model, number)
        if version is None:
            raise IntegrityError(
                f"Version {number} of {model}, the {role}, is no longer in the registry.",
                f"Choose another champion: `ratchet promote {model} VERSION --reason ...`.",
            )
        try:
            recorded = standing.artifacts.get(number)
            known = evidence_files.read(store, version, place, recorded)
            about = matching.recorded_of(store, model, version)
            across = across_readers.known(declared, version, test, place)
            there = matching.kept(project, declared, version, about, known, across.test if across else test)
            known = across.kept(known) if across and there is known else there
            folder = model_registry.fetch(store, version, place, recorded) / "artifacts" / "model"
            result.append(Rival(role, version, folder, known, windows=_windows(about, declared), across=across))
        except (RatchetError, OSError) as error:
            result.append(Rival(role, version, failure=str(error)))
    return result


def _windows(recorded: Recorded | None, declared: Declaration) -> dict[str, Any]:
    """The section `data` of a rival whose windows are not those of the candidate; {} where they are."""
    if recorded is None or declared.data.kind != "sequence":
        return {}
    there, here = settings.parse(declared.model, "data", recorded.section, Data), declared.data
    return {} if all(getattr(there, name) == getattr(here, name) for name in OF_WINDOWS) else recorded.section


def tried(
    declared: Declaration, artifact: Path | None, found: list[Rival], mine: pd.DataFrame, device: str, place: Path
) -> tuple[list[Rival], dict[str, Any]]:
    """The rivals with their predictions for the rows of `mine`, and the answer of the trial (flows/promotion/trial.py).

    artifact: the files of the candidate, which is tried, too; None to try the rivals alone.
    device: the one that computed `mine`. A model predicts again only rows without its prediction from this kind of
    device: another rounding is no merit of a model.
    """
    known = {r.role for r in found if r.kept and r.kept.device == device and _covers(r.kept, mine)}
    score = {rival.role: str(rival.folder) for rival in found if rival.kept and rival.role not in known}
    windows = {rival.role: rival.windows for rival in found if rival.role in score and rival.windows}
    timed = {}
    champion = [rival for rival in found if rival.role == "champion" and not rival.failure]
    if artifact and declared.promote.slowdown and champion:
        timed = {"candidate": str(artifact / "artifacts" / "model"), "champion": str(champion[0].folder)}
    tests = {rival.role: str(rival.across.test) for rival in found if rival.across}
    asked = trial.Request(declared.model, str(artifact or ""), score, timed, windows=windows, tests=tests)
    answer = trial.run(asked, place) if artifact or score else {"failed": {}}
    result = []
    for rival in found:
        failure, predictions = rival.failure or answer["failed"].get(rival.role, ""), None
        if not failure and rival.kept:
            predictions = rival.kept.predictions
            if rival.role in score:
                predictions = pd.read_parquet(place / f"{rival.role}.parquet")
            if rival.across:
                predictions = across_readers.translated(predictions, declared)
        result.append(replace(rival, predictions=predictions, failure=failure))
    return result, answer


def _covers(rival: Kept, mine: pd.DataFrame) -> bool:
    return bool(mine["row_id"].isin(rival.predictions["row_id"]).all())
