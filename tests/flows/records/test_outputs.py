"""What changed after the stages had made it is neither published nor judged."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from flows.project.environment import Project
from flows.records.outputs import StageOutputs
from flows.tracking import publish
from pipelines import model_file
from pipelines.errors import IntegrityError
from pipelines.process import seal
from tests.support.world import World


@pytest.fixture
def found(world: World) -> StageOutputs:
    path = world.root / "data" / "pets" / "test.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"rows")
    return StageOutputs(path.parent, {}, {}, "d", "m", "i", seal.sign([path]))


def rewritten(path: Path) -> None:
    """With the same bytes and time: who knows what was there meanwhile."""
    status = path.stat()
    path.write_bytes(b"rows")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_it_is_checked_by_what_the_kernel_keeps(found):
    found.check()
    rewritten(found.folder / "test.parquet")
    with pytest.raises(IntegrityError, match=r"test\.parquet changed after its stage made it"):
        found.check()
    replace(found, signed={}).check()


def test_nothing_of_it_is_published(found, world):
    rewritten(found.folder / "test.parquet")
    project = Project(root=world.root, state=world.root / ".ratchet", tracking="", prefect="")
    with pytest.raises(IntegrityError, match=r"test\.parquet changed after its stage made it"):
        publish.publish(project, model_file.check("pets"), found, {}, "")
    assert not project.mlflow_database.exists()
