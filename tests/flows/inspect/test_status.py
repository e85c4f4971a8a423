"""Status: what is told of schedule and ticks, with a scheduler and without, of sound files and broken ones."""

import pytest

from flows.cli.commands.inspect import status_text
from flows.inspect import status
from flows.project.environment import Project
from flows.records import attempts
from flows.records.attempts import Tick

SERVED = {"format": 1, "pid": 1, "branch": "main", "models": {"pets": "0 3 * * * UTC"}}


@pytest.fixture
def project(world):
    (world.root / ".ratchet" / "locks").mkdir(parents=True)
    return Project(world.root, world.root / ".ratchet", "", "")


def ticking(project, served=None, coming=None):
    return status._ticking(project, "pets", served or {}, coming or {})


def test_without_a_scheduler_the_schedule_is_that_of_the_file(world, project):
    assert ticking(project)["schedule"] == ""
    world.declare(schedule={"every_seconds": 90})
    assert ticking(project)["schedule"] == "every 90 s"
    world.declare(schedule={"cron": "0 3 * * *", "timezone": "Europe/Berlin"})
    assert ticking(project)["schedule"] == "0 3 * * * Europe/Berlin"


def test_a_broken_file_is_said_and_is_no_error(world, project):
    world.declare(schedule={"cron": "0 25 * * *"})
    assert ticking(project)["schedule"].startswith("not scheduled: models/pets.yaml: schedule: ")
    (world.root / "models" / "pets.yaml").write_text("format: 1\nschedule: [")
    assert ticking(project)["schedule"].startswith("not scheduled: models/pets.yaml is not valid YAML")


def test_with_a_scheduler_it_is_what_is_served_and_when(project):
    found = ticking(project, SERVED, {"pets": "2026-11-25T03:00:00Z"})
    assert (found["schedule"], found["next_run"]) == ("0 3 * * * UTC", "2026-11-25T03:00:00Z")


def test_the_last_tick_is_the_last_that_was_decided(project):
    tick = Tick("pets", "skipped", "no new rows", "schedule", "run", "/here")
    attempts.write(project, tick)
    attempts.write(project, Tick("pets", "began", "5 new rows", "schedule", "other", "/here"))
    found = ticking(project)
    assert (found["tick"], found["tick_reason"], found["running"]) == ("skipped", "no new rows", False)


@pytest.mark.parametrize("scheduler", [{}, SERVED])
def test_people_read_a_long_reason_below_the_table(project, scheduler):
    reason = "models/pets.yaml: " + "something is wrong here, " * 12
    entry = {"model": "pets", "champion": None, "metrics": {}, "age": "", "data_hash": "", "version": None}
    entry |= {"decision": "", "reason": "", "next": "", "worn": "", "held": False, "problem": ""}
    ticked = ticking(project) | {"schedule": f"not scheduled: {reason}"}
    table, problem = status_text({"scheduler": scheduler, "models": [entry | ticked]}).split("!! ")
    assert "not scheduled" in table
    assert "something" not in table
    assert problem == f"pets is not scheduled: {reason}"


def test_a_version_that_waits_is_told_below_the_table_until_it_is_champion(project):
    entry = {"model": "pets", "champion": 1, "metrics": {}, "age": "", "data_hash": "", "version": 2, "held": False}
    entry |= {"decision": "waits", "reason": "", "next": "commit and run again", "worn": "", "problem": ""} | ticking(
        project
    )
    told = status_text({"scheduler": {}, "models": [entry]})
    assert told.endswith("\n\npets: version 2 waits: commit and run again")
    assert "waits: version 2" in told
    told = status_text({"scheduler": {}, "models": [entry | {"champion": 2, "next": ""}]})
    assert "waited: version 2" in told
    assert "commit" not in told
