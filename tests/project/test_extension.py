"""A thing is added in one file: in a copy of the project one of each kind is, and then used.

No file that was there is edited, but for the block of a stage in dvc.yaml.
"""

import json

import pytest

from tests.support import golden
from tests.support.clone import ROOT, answer, clone, command, git, ratchet

ADDED = {
    "pipelines/readers/formats/pairs.py": '''
"""Lines of `key=value`, parted by spaces."""

import pyarrow as pa

from pipelines.readers.reader import Reader


def read(path, options):
    rows = [dict(cell.split("=") for cell in line.split()) for line in path.read_text().splitlines()]
    yield pa.RecordBatch.from_pylist(rows)


READER = Reader("pairs", read, (".pairs",), text=True)
''',
    "pipelines/model/architectures/twin.py": '''
"""Two dense branches, added."""

from pipelines.model.architecture import Architecture, Layers, dense


class Twin(Layers):
    branches: list[int] = []


def build(config, start, seed):
    from keras import layers

    found = [layers.Dense(units, name=f"branch_{n}")(start) for n, units in enumerate(config.branches)]
    return dense(config, layers.Concatenate(name="branches")(found), seed)


TWIN = Architecture("twin", Twin, build, layers="branches", exclusive=("branches",))
''',
    "pipelines/model/scores/largest_error.py": '''
"""The largest distance from the actual number."""

from pipelines.model.metric import REGRESS, Metric, of_labels

METRIC = Metric("largest_error", REGRESS, False, of_labels("max_error"))
''',
}
USED = """
from pathlib import Path

import numpy as np

from pipelines.model import networks
from pipelines.model.metrics import METRICS
from pipelines.readers import sources
from pipelines.train import Train

Path("rows.pairs").write_text("a=1 b=x\\na=2 b=y\\n")
print([batch.to_pylist() for batch in sources.read(Path("rows.pairs"), ",", "utf-8")])
config = Train.model_validate({"network": "twin", "branches": [3, 4], "hidden": [2]})
model = networks.network(config, (5,), 1, seed=0)
print(config.sizes, [layer.name for layer in model.layers])
print(METRICS["largest_error"].score(np.array([1.0, 2.0]), np.array([1.5, 5.0]), None, []))
"""


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    folder = clone(tmp_path_factory.mktemp("extended"))
    for name, content in ADDED.items():
        (folder / name).write_text(content.lstrip(), encoding="utf-8")
    return folder


def test_a_reader_a_network_and_a_metric_are_used_once_their_files_are_there(extended):
    (extended / "used.py").write_text(USED)
    done = command(extended, "used")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-3:] == [
        "[[{'a': '1', 'b': 'x'}, {'a': '2', 'b': 'y'}]]",
        "[3, 4, 2] ['normalised', 'branch_0', 'branch_1', 'branches', 'hidden_0', 'output']",
        "3.0",
    ]


def test_what_is_added_is_no_dependency_of_a_model_that_does_not_use_it(extended):
    assert not [name for name in ADDED if name in (extended / "dvc.yaml").read_text()]
    assert (extended / "dvc.yaml").read_bytes() == (ROOT / "dvc.yaml").read_bytes()


STAGE = '''
"""Count: how many rows are there to train on?

    python -m pipelines count diabetes
"""

import json
from pathlib import Path

import pyarrow.parquet as pq

from pipelines.config.stage import Stage

STAGE = Stage("count", after="clean")


def run(model):
    folder = Path("data") / model
    rows = pq.ParquetFile(folder / "train.parquet").metadata.num_rows
    (folder / "count.json").write_text(json.dumps({"rows": rows}))
'''
BLOCK = """
  count:
    foreach: ${models}
    do:
      cmd: python -m pipelines count ${item}
      deps:
        - pipelines/count.py
        - data/${item}/train.parquet
      outs:
        - data/${item}/count.json
"""
COMMAND = '''
"""ratchet count: how many rows a model was trained on."""

import json

from flows.cli.answer import LOOK, Debug, Json, Model, answer, command


@command(900, LOOK)
def count(model: Model, as_json: Json = False, debug: Debug = False) -> None:
    """Say how many rows a model was trained on."""
    answer(lambda project: do_count(project, model), lambda found: f"{found['rows']} rows", as_json, debug)


def do_count(project, model):
    return json.loads((project.data(model) / "count.json").read_text())
'''


def test_a_stage_and_a_command_are_used_once_their_files_and_the_block_in_dvc_yaml_are_there(tmp_path):
    """In a project in which everything else is done, and stays so."""
    golden.three(tmp_path)
    (tmp_path / "pipelines/count.py").write_text(STAGE.lstrip())
    (tmp_path / "flows/cli/commands/count.py").write_text(COMMAND.lstrip())
    with (tmp_path / "dvc.yaml").open("a") as file:
        file.write(BLOCK)
    git(tmp_path, "add", "pipelines", "flows", "dvc.yaml")
    git(tmp_path, "commit", "-qm", "a stage and a command")
    found = answer(tmp_path, "run", "diabetes")
    states = {stage["name"]: stage["state"] for stage in found["stages"]}
    names = ["ingest", "validate", "clean", "check", "count", "train", "evaluate", "export", "explain", "compress"]
    assert list(states) == names
    assert states.pop("count") == "Ran"
    assert set(states.values()) == {"Unchanged"}
    assert found["decision"] == "unchanged"
    rows = json.loads((tmp_path / "data/diabetes/count.json").read_text())["rows"]
    assert ratchet(tmp_path, "count", "diabetes").stdout == f"{rows} rows\n"
