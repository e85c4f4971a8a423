"""Try registered models in a fresh process: python -m flows.promotion.trial REQUEST

Only a fresh process can answer three questions. Does a registered artifact, loaded as a user would load it, give the
evaluated predictions (the check for skew)? What does an older model predict for the current test rows? How long does
each model take? REQUEST is a JSON file; the answer is written beside it.
"""

import json
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flows.processes import fresh_process
from flows.promotion.statistics import membership
from pipelines import clean, evaluate
from pipelines.config import settings, user_code
from pipelines.config.data import Data
from pipelines.errors import DataError, RatchetError
from pipelines.hardware import device
from pipelines.model.metrics import Answers
from pipelines.model.predictor import Predictor, check_manifest
from pipelines.process import fork_server
from pipelines.process.lifeline import follow
from pipelines.table import id_sets, row_groups
from pipelines.table import rows as table_rows
from pipelines.table.series import windows
from pipelines.train import Train

TOLERANCE = 1e-5  # of a probability, or of a number in parts of itself: another batch may round the last bits
ACROSS = {"float32": 1e-4, "mixed_bfloat16": 0.03, "mixed_float16": 0.005}  # the same, on another kind of device
SINGLES, BATCHES, BATCH_ROWS = 50, 10, 1000


@dataclass(frozen=True)
class Request:
    """artifact: a registered version as downloaded, or "" for no check for skew; score, time: name -> model folder.

    rows: a table of raw rows to time them with, or "" for the test split. windows: name -> section `data`, of models
    that see other windows of a sequence than those of the test split. tests: name -> the test split as that model
    reads it, where it has another reader.
    """

    model: str
    artifact: str = ""
    score: dict[str, str] = field(default_factory=dict)
    time: dict[str, str] = field(default_factory=dict)
    rows: str = ""
    windows: dict[str, dict[str, Any]] = field(default_factory=dict)
    tests: dict[str, str] = field(default_factory=dict)


def run(request: Request, folder: Path) -> dict[str, Any]:
    """Start the process and read its answer; a table of predictions lies in `folder` for each name in `score`.

    golden: rows, largest (difference), changed (labels); device: cpu or gpu; failed: name -> why it cannot be scored;
    seconds: name -> single, batch; timed_rows: of a batch; membership: fields of Membership, or None. Raises
    RatchetError if the process itself fails.
    """
    failed = f"The models of {request.model} cannot be tried in a fresh process"
    return fresh_process.run("flows.promotion.trial", vars(request), folder, _environment(request), failed)


def _environment(request: Request) -> dict[str, str]:
    """Without the run's warm process, if its TensorFlow was imported for another arithmetic than these models need."""
    environment = dict(os.environ)
    declared = settings.load(request.model, "train", Train)  # as that process has been told
    try:
        fits = device.variables(declared).items() >= device.variables(_hardware(request)).items()
    except (OSError, ValueError, KeyError):  # told by the process itself
        fits = True
    if not fits:
        environment.pop(fork_server.VARIABLE, None)
    return environment


def main(path: Path) -> None:
    follow(os.environ.get("RATCHET_LIFELINE"))
    request, folder = Request(**json.loads(path.read_text(encoding="utf-8"))), path.parent
    data = settings.load(request.model, "data", Data)
    used = _prepare(request)
    rows = Path("data") / request.model / "test.parquet"
    answer: dict[str, Any] = {"golden": {}, "failed": {}, "seconds": {}, "device": used, "membership": None}
    if request.artifact:
        answer["golden"] = _golden(Path(request.artifact), data, rows)
        answer["membership"] = _membership(Path(request.artifact) / "artifacts" / "model", data, rows.parent, folder)
    for name, place in request.score.items():
        try:
            check_manifest(Path(place))
            device.of_model(Path(place), "auto")  # refuses what would end the process
            there = Data.model_validate(request.windows[name]) if name in request.windows else data
            own = Path(request.tests.get(name, rows))
            seen = own if there is data else _other_windows(request.model, rows, there, folder / f"{name}-rows.parquet")
            evaluate.predict(Predictor(Path(place)), seen, there).to_parquet(folder / f"{name}.parquet", index=False)
        except Exception as error:  # any error of an old model is reported, and the gate decides
            answer["failed"][name] = f"{type(error).__name__}: {error}"
    if request.time:
        table = next(row_groups.batches(Path(request.rows) if request.rows else rows)).slice(0, BATCH_ROWS).to_pandas()
        table = table.reindex(columns=[*table, *(name for name in data.features if name not in table)])
        answer["timed_rows"] = len(table)
        answer["seconds"] = _seconds({name: Predictor(Path(place)) for name, place in request.time.items()}, table)
    (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


def _membership(place: Path, data: Data, splits: Path, folder: Path) -> dict[str, Any] | None:
    """What the losses of a model tell of its training rows; None if that cannot be measured, which stops nothing."""
    try:
        predictor, found = Predictor(place), []
        for split, most in (("train", 2 * membership.MOST), ("test", membership.MOST)):
            some = _some(splits / f"{split}.parquet", most, folder / f"some-{split}.parquet")
            found.append(membership.losses(Answers.read(evaluate.predict(predictor, some, data), data.label)))
        told = membership.measured(*found)
    except Exception:  # a class that was not trained on, or no rows
        return None
    return None if told is None else asdict(told)


def _some(path: Path, most: int, target: Path) -> Path:
    """About so many rows of a split, chosen by their identities: by chance, and always the same."""
    there = row_groups.rows(path)
    if there <= most:
        return path
    below = pa.scalar(f"{int(most / there * 2**32):08x}")
    with row_groups.Writer(target, pq.read_schema(path)) as out:
        for batch in row_groups.batches(path):
            out.write(batch.filter(pc.less(pc.utf8_slice_codeunits(batch["row_id"], 0, 8), below)))
    return target


def _other_windows(model: str, rows: Path, data: Data, path: Path) -> Path:
    """The rows of a test split as the windows that another declaration makes of the raw rows, in a file.

    Raises DataError if they lack a column, lie off its grid, or a row has no such window.
    """
    folder, raw, schema = rows.parent, rows.parent / "raw.parquet", table_rows.split_schema(data)
    wanted = pq.read_table(rows, columns=["row_id"])["row_id"].combine_chunks()
    names = table_rows.raw_schema(data).names
    if absent := sorted(set(names) - set(pq.read_schema(raw).names)):
        raise DataError(f"the rows lack the columns {absent}")
    here, config = settings.load(model, "data", Data), settings.load(model, "clean", clean.Clean)
    marked = id_sets.marked(raw, folder / "quarantine.parquet"), id_sets.survey(raw)[1]
    leaving = clean.Leaving(marked, user_code.chooser(model))

    def used() -> Iterator[pa.RecordBatch]:
        part = clean.alone(raw, here, config, leaving, Counter(), ("missing target", "missing value"))
        return (batch.select(names) for batch in part)

    with row_groups.Writer(path, schema) as out:
        for table in windows.windows(used, data, path.parent, Counter()):
            for batch in table.filter(pc.is_in(table["row_id"], wanted)).combine_chunks().to_batches():
                out.write(batch)
    if row_groups.rows(path) < len(wanted):
        raise DataError(
            f"{len(wanted) - row_groups.rows(path):,} of the test rows have no window of {data.window} rows"
        )
    return path


def _prepare(request: Request) -> str:
    """Settle precision and device of the models; returns the kind of device."""
    return device.prepare(_hardware(request), seed=0).device


def _hardware(request: Request) -> device.Hardware:
    """The arithmetic of the first model, on the device that evaluations choose."""
    folders = [Path(request.artifact) / "artifacts" / "model"] if request.artifact else []
    folders += [Path(place) for place in (*request.score.values(), *request.time.values())]
    wanted = settings.load(request.model, "evaluate", evaluate.Evaluate).device
    first = device.of_model(folders[0], wanted)
    mixed = [name for name in map(_precision, folders) if name != "float32"]  # for which oneDNN has to be off
    return first.model_copy(update={"precision": mixed[0]}) if mixed else first


def _precision(folder: Path) -> str:
    """The precision of a model; float32 if it names none. Its scoring reports any error."""
    try:
        return device.of_model(folder, "auto").precision
    except (OSError, ValueError, KeyError, RatchetError):
        return "float32"


def tolerance(precision: str, one: str, other: str) -> float:
    """How far predictions of the same model may differ between these two kinds of device."""
    return TOLERANCE if one == other else ACROSS[precision]


def _whole(golden: Any, data: Data, rows: Path) -> Any:
    """Golden rows with their sensitive values, which are not kept: they come from the first rows of the test split."""
    absent = [name for name in data.features if name not in golden]
    if not absent:
        return golden
    first = next(row_groups.batches(rows, ["row_id", *absent])).slice(0, len(golden)).to_pandas()
    return golden.merge(first.drop_duplicates("row_id"), on="row_id", how="left")


def _golden(artifact: Path, data: Data, rows: Path) -> dict[str, Any]:
    """Load the artifact with MLflow, predict the golden rows, and compare with the evaluation."""
    import mlflow.pyfunc
    import numpy as np
    import pandas as pd

    golden = _whole(pd.read_parquet(artifact / "evidence" / "golden.parquet"), data, rows)
    expected = pd.read_parquet(artifact / "evidence" / "predictions.parquet").head(len(golden))
    try:
        found = mlflow.pyfunc.load_model(str(artifact)).predict(golden.drop(columns="row_id"))
        numbers = [name for name in found if found[name].dtype.kind == "f"]
        apart = [
            np.abs(found[name].to_numpy() - expected[name].to_numpy())
            / np.maximum(1, np.abs(expected[name].to_numpy()))
            for name in numbers
        ]
        words = [name for name in found if name not in numbers]
        changed = sum(int((found[name].to_numpy() != expected[name].to_numpy()).sum()) for name in words)
        same = golden["row_id"].tolist() == expected["row_id"].tolist()
        return {"rows": len(golden), "largest": float(np.max(apart, initial=0)), "changed": changed, "same_rows": same}
    except Exception as error:
        return {"rows": len(golden), "failed": f"{type(error).__name__}: {error}"}


def _seconds(predictors: dict[str, Predictor], table: Any) -> dict[str, dict[str, float]]:
    """Median times of repeated calls with one row of a data frame and with all rows. The models take turns."""
    found = {}
    for kind, rows, times in (("single", table.head(1), SINGLES), ("batch", table, BATCHES)):
        taken: dict[str, list[float]] = {name: [] for name in predictors}
        for _ in range(times):
            for name, predictor in predictors.items():
                start = time.perf_counter()
                predictor.predict(rows)
                taken[name].append(time.perf_counter() - start)
        found[kind] = {name: statistics.median(values[1:]) for name, values in taken.items()}  # the first one warms up
    return {name: {kind: found[kind][name] for kind in found} for name in predictors}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
