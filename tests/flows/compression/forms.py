"""A project with a real MLflow store and a real ledger, and one version of a model of one number, of which smaller
forms are made by hand: ONNX graphs of a logistic curve. Nothing of it needs TensorFlow."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from onnx import TensorProto, helper

from flows.compression import decide
from flows.deployment import serving_files
from flows.project.environment import Project
from flows.records import ledger
from flows.records.champion_state import Standing
from flows.records.ledger import Line
from flows.records.outputs import Published, StageOutputs
from flows.registry import model_registry
from flows.serving.engine.onnx import OnnxEngine
from flows.tracking import evidence_files, mlflow_runs
from pipelines import model_file
from pipelines.model import predictor
from tests.support import registered
from tests.support.registered import MODEL

CLASSES = ["no", "yes"]
THRESHOLD = 40.0
DECLARED = """
format: 1
data: {kind: table, task: classification, target: bought, columns: {x: number%s}}
ingest: {source: data/incoming/shop/sales.csv}
validate: {rules: []}
clean: {split: {by: hash, seed: 1%s}}
check: {overlap: 1.0}
train: {hidden: [8], epochs: 3, batch_size: 16, learning_rate: 0.01}
evaluate: {metrics: [accuracy]}
promote: {metric: accuracy, at_least: 0.6, margin: 0.03}
schedule: {}
compress: {%s}
"""


def graph(threshold: float = THRESHOLD, slope: float = 1.0, padding: int = 0) -> bytes:
    """model.onnx: above the threshold `yes`. padding: bytes that say nothing."""
    nodes = [
        helper.make_node("Sub", ["numbers", "threshold"], ["apart"]),
        helper.make_node("Mul", ["apart", "slope"], ["steep"]),
        helper.make_node("Sigmoid", ["steep"], ["yes"]),
        helper.make_node("Sub", ["one", "yes"], ["no"]),
        helper.make_node("Concat", ["no", "yes"], ["both"], axis=1),
        helper.make_node("Cast", ["both"], ["answer"], to=TensorProto.FLOAT),
    ]
    constants = {"threshold": threshold, "slope": slope, "one": 1.0}
    made = helper.make_model(
        helper.make_graph(
            nodes,
            "logistic",
            [helper.make_tensor_value_info("numbers", TensorProto.DOUBLE, [None, 1])],
            [helper.make_tensor_value_info("answer", TensorProto.FLOAT, [None, 2])],
            [helper.make_tensor(name, TensorProto.DOUBLE, [], [value]) for name, value in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    made.ir_version = 9
    if padding:
        helper.set_model_props(made, {"padding": "x" * padding})
    return bytes(made.SerializeToString())


def wrong(threshold: float) -> bytes:
    """The same, but `yes` below the threshold: flipped weights."""
    return graph(threshold, slope=-1.0)


def answers(content: bytes, rows: pd.DataFrame) -> pd.DataFrame:
    """A table of predictions for test rows."""
    found = OnnxEngine(content).answers({"numbers": rows[["x"]].to_numpy(np.float64)})
    table = pd.DataFrame({"row_id": rows["row_id"], "actual": rows["bought"]})
    table["prediction"] = np.array(CLASSES)[found.argmax(axis=1)]
    return table.assign(**{f"probability_{name}": found[:, at] for at, name in enumerate(CLASSES)})


def write_serving(folder: Path, content: bytes, model_hash: str, **more: Any) -> str:
    """serving.json and model.onnx; returns the serving_hash."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(content)
    files = {"model.onnx": hashlib.sha256(content).hexdigest()}
    about = {"format": 1, "runtime": "onnx", "why": "", "model_hash": model_hash, "files": files} | more
    (folder / "serving.json").write_text(json.dumps(about))
    return predictor.file_hash(folder / "serving.json")


@dataclass
class Forms:
    """A version that is champion, and what is made of it."""

    project: Project
    found: StageOutputs
    published: Published
    rows: pd.DataFrame  # of the test split

    @property
    def folder(self) -> Path:
        return self.found.folder

    @property
    def store(self) -> mlflow_runs.MlflowClient:
        return mlflow_runs.client(self.project)

    @property
    def standing(self) -> Standing:
        return registered.standing(self.project)

    @property
    def lines(self) -> list[Line]:
        return ledger.of(self.project).lines(MODEL)

    @property
    def version(self) -> model_registry.ModelVersion:
        return self.store.get_model_version(MODEL, str(self.published.version))

    def make(self, smaller: float = 1.5, **contents: bytes) -> None:
        """What the stage `compress` would leave: these forms, by name."""
        place = self.folder / "compressed"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        entries = {}
        for name, content in contents.items():
            digest = write_serving(place / name, content, self.found.model_hash, variant=name)
            answers(content, self.rows).to_parquet(place / name / "predictions.parquet", index=False)
            entries[name] = {"kind": "serving", "why": "", "serving_hash": digest, "largest": 0.0}
        about = {"format": 1, "model_hash": self.found.model_hash, "variants": entries}
        (place / "compressed.json").write_text(json.dumps(about))
        names = ", ".join(name for name in contents if name in ("int8", "float16")) or "int8"
        self.declare(f"quantize: [{names}], smaller: {smaller}" if contents else "")

    def declare(self, compress: str, more: str = "", key: str = "") -> None:
        (self.project.root / "models" / f"{MODEL}.yaml").write_text(DECLARED % (more, key, compress))

    def decide(self) -> dict[str, Any]:
        return decide.decide(self.project, model_file.check(MODEL), self.found, self.published)

    def publish_own(self) -> None:
        """Keep the version's own files for serving."""
        serving_files.publish(self.store, self.version, self.folder / "serving", serving_files.WITH_RUN)


def table(count: int, start: int = 0) -> pd.DataFrame:
    """Rows of one number, of which about one in ten is labelled wrongly."""
    random = np.random.default_rng(start)
    x = random.uniform(0, 80, count)
    bought = np.where((x > THRESHOLD) ^ (random.random(count) < 0.1), "yes", "no")
    ids = [hashlib.sha256(f"{start} {place}".encode()).hexdigest() for place in range(count)]
    return pd.DataFrame({"row_id": ids, "x": x, "bought": bought})


def project(folder: Path, temporary: Path, count: int = 400, better: bool = True) -> Forms:
    """count: test rows. better: whether the champion is its own reference."""
    found = registered.project(folder)
    rows = table(count)
    data = found.data(MODEL)
    data.mkdir(parents=True)
    rows.to_parquet(data / "test.parquet", index=False)
    for place, split in enumerate(("train", "validation"), 1):
        table(50, place).to_parquet(data / f"{split}.parquet", index=False)
    made = Forms(found, _outputs(found, data, "one"), Published(0, "", "", fresh=True), rows)
    made.declare("")
    made.published = _register(made, "one", graph())
    write_serving(data / "serving", graph(padding=20_000), made.found.model_hash)
    registered.accept(found, made.published.version, better)
    return made


def _outputs(found: Project, data: Path, words: str) -> StageOutputs:
    shutil.rmtree(data / "model", ignore_errors=True)
    folder = registered.model_folder(data / "model", words)
    about = {"task": "classification", "target": "bought", "kind": "table", "numbers": ["x"], "categories": []}
    about |= {"classes": CLASSES, "batch_size": 32, "words": words, "label": "text"}
    (folder / "model.json").write_text(json.dumps(about))
    predictor.write_manifest(folder)
    splits = {"test": {"hash": "the test rows"}}
    (data / "clean.json").write_text(json.dumps({"splits": splits}))
    return StageOutputs(data, {"accuracy": 0.9}, splits, "d", predictor.model_hash(folder), f"inputs of {words}")


def _register(made: Forms, words: str, content: bytes) -> Published:
    """A version of what lies in the folder of the stages. content: the graph that answers as it does."""
    store, found = made.store, made.found
    answers(content, made.rows).to_parquet(found.folder / "predictions.parquet", index=False)
    place = mlflow_runs.experiment(made.project, store, MODEL)
    run = mlflow_runs.take_up(store, place, found.inputs_hash, words, made.project.clone)
    store.set_terminated(run.info.run_id)
    declared = model_file.check(MODEL)
    version = model_registry.register(
        store,
        MODEL,
        found.folder / "model",
        lambda target: evidence_files.write(found, declared.data, target),
        run.info.run_id,
        place,
        None,
        {"ratchet.model_hash": found.model_hash},
    )
    return Published(int(version.version), run.info.run_id, place, fresh=True)


def another(made: Forms, content: bytes | None = None, better: bool = True) -> Forms:
    """A newer version, which becomes champion. content: the graph that answers as it does."""
    shutil.rmtree(made.folder / "compressed", ignore_errors=True)
    other = Forms(made.project, _outputs(made.project, made.folder, "two"), made.published, made.rows)
    other.published = _register(other, "two", content or graph())
    write_serving(made.folder / "serving", graph(padding=20_000), other.found.model_hash)
    registered.accept(made.project, other.published.version, better)
    return other
