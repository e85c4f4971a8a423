"""The serving files of a version are compared where its own run made them, and left out where they were made later."""

import hashlib

import pytest
from mlflow.entities.model_registry import ModelVersion, ModelVersionTag

from flows.deployment import serving_files
from flows.verify import serving
from tests.support.world import ROOT

TEXT = '{"format": 1}'
DIGEST = hashlib.sha256(TEXT.encode()).hexdigest()


def version(**tags: str) -> ModelVersion:
    return ModelVersion(
        "digits", "1", 0, tags=[ModelVersionTag(f"ratchet.{name}", text) for name, text in tags.items()]
    )


MADE = version(serving_made=serving_files.WITH_RUN, serving_hash=DIGEST)


@pytest.fixture
def data(tmp_path):
    """data/digits of a rebuild."""
    (tmp_path / "serving").mkdir()
    (tmp_path / "serving" / "serving.json").write_text(TEXT)
    return tmp_path


def test_the_stage_that_made_them_is_run_again_and_compared(data):
    assert serving.stages(ROOT, MADE) == ["export@digits"]
    (same,) = serving.outputs(MADE, data)
    assert (same.stage, same.path, same.equal) == ("export", "data/digits/serving", True)
    (data / "serving" / "serving.json").write_text("{}")
    assert not serving.outputs(MADE, data)[0].equal
    (data / "serving" / "serving.json").unlink()
    assert serving.outputs(MADE, data)[0].rebuilt == ""


def test_explanations_that_were_made_with_the_run_are_made_again_too(data):
    (data / "explanations").mkdir()
    (data / "explanations" / "explanations.json").write_text(TEXT)
    explained = version(explanations_made="with the run", explanations_hash=DIGEST)
    assert serving.stages(ROOT, explained) == ["explain@digits"]
    (same,) = serving.outputs(explained, data)
    assert (same.stage, same.path, same.equal) == ("explain", "data/digits/explanations", True)
    (data / "explanations" / "explanations.json").write_text("{}")
    assert not serving.outputs(explained, data)[0].equal


@pytest.mark.parametrize(
    "other",
    [version(), version(serving_made=serving_files.LATER, serving_hash=DIGEST), version(serving_made="with the run")],
    ids=["none", "made later", "publication was interrupted"],
)
def test_what_cannot_be_made_again_is_left_out(data, other):
    assert (serving.stages(ROOT, other), serving.outputs(other, data)) == ([], [])
