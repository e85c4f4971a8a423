"""Doctor names each model whose file or data stop it."""

import pytest

from flows.inspect import doctor
from flows.project.environment import Project
from flows.records import attempts
from flows.records.attempts import Tick


@pytest.fixture
def project(world):
    (world.root / ".ratchet").mkdir()
    return Project(world.root, world.root / ".ratchet", "", "")


def test_a_schedule_that_cannot_be_followed_is_named_with_its_repair(world, project):
    (fine,) = doctor._declarations(project)
    assert fine.ok
    world.declare(schedule={"cron": "0 5 * * abc"})
    (wrong,) = doctor._declarations(project)
    assert not wrong.ok
    assert wrong.found.startswith("models/pets.yaml: schedule: Invalid cron string")
    assert wrong.fix


def test_a_model_that_was_refused_is_named_until_it_runs(project):
    assert list(doctor._refused(project)) == []
    attempts.write(project, Tick("pets", "refused", "501 rows are wrong", "command", "run", "/here"))
    (found,) = doctor._refused(project)
    assert (found.ok, found.found.startswith("pets was refused on 20")) == (False, True)
    attempts.write(project, Tick("pets", "unchanged", "", "command", "run", "/here"))
    assert list(doctor._refused(project)) == []
