"""Memory: where it is really short, a training in parts follows in the same process, and gives its usual bytes.

What TensorFlow may allocate on the CPU is limited (by its variable TF_MKL_ALLOC_MAX_BYTES, which oneDNN's allocator
reads; a processor without instructions for neural networks has that only where it is asked for). A batch takes more, a
row hardly anything: the batch has a prime number of rows, so that nothing is tried in between. Where the whole process
has no memory any more, for a thread, say, TensorFlow ends it (tests/flows/graph/test_stage_command.py).
"""

import json

import pytest

from tests.support.world import World, pets

OWN = """
import keras


def build(settings):
    start = keras.Input(settings.shape)
    one = keras.layers.Dense(1, name="one")(start)
    # with a bias oneDNN takes product and bias as one, and crashes where the result does not fit
    wide = keras.layers.Dense(200_000, "relu", use_bias=settings.values["bias"], name="wide")(one)
    return keras.Model(start, keras.layers.Dense(settings.outputs, "softmax", name="answer")(wide))
"""
ONEDNN = {"TF_ENABLE_ONEDNN_OPTS": "1"}
ROOM = ONEDNN | {"TF_MKL_ALLOC_MAX_BYTES": "200000000"}


def trained(world: World, bias: bool, environment: dict[str, str], **train: object) -> tuple[str, str]:
    """The hash of the model's weights, and what was said."""
    fixed = {"epochs": 2, "batch_size": 499, "device": "cpu", "learning_rate": 1e-5}
    world.declare(train={**fixed, "own": {"bias": bias}, **train})
    done = world.command("train", **environment)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    manifest = json.loads((world.root / "data/pets/model/manifest.json").read_text())
    return manifest["files"]["model.weights.h5"], done.stdout


@pytest.mark.long
@pytest.mark.parametrize(
    ("xla", "bias", "reason"),
    [
        ("auto", True, "Out of memory while trying to allocate 76"),
        ("off", False, "OOM when allocating tensor with shape[499,200000] and type float"),
    ],
)
def test_a_batch_that_does_not_fit_is_really_halved_and_gives_the_bytes_of_a_micro_batch(world, xla, bias, reason):
    """XLA once freed the variables twice then, and the process crashed or computed with what was left."""
    world.declare()
    (world.root / "models/pets.py").write_text(OWN)
    world.pin(pets(1000))
    for stage in ("ingest", "validate", "clean", "check"):
        done = world.command(stage)
        assert done.returncode == 0, done.stderr
    found, said = trained(world, bias, ROOM, xla=xla)
    assert f"note: 499 rows at once do not fit into memory: training again with 1 at once ({reason}" in said
    assert json.loads((world.root / "data/pets/model/model.json").read_text())["hardware"]["micro_batch"] == 1
    assert trained(world, bias, ONEDNN, xla=xla, micro_batch=1)[0] == found
