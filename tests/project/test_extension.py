"""A thing is added in one file: in a copy of the project a reader, a network and a metric are, and then used.

No file that was there is edited but the model's YAML.
"""

import pytest

from tests.support.clone import ROOT, clone, command

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
