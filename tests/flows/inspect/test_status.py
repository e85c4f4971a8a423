"""Status: what is told of schedule and ticks, with a scheduler and without, of sound files and broken ones."""

from datetime import UTC, datetime

import pytest

from flows.cli.status_text import status_text
from flows.deployment import live_file
from flows.deployment.live_file import Live
from flows.inspect import status
from flows.monitoring import last
from flows.project.environment import Project
from flows.records import attempts
from flows.records.attempts import Tick
from flows.records.ledger import Line

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


def test_a_refusal_stays_until_a_run_comes_to_an_end(project):
    def tick(outcome: str, reason: str = "") -> dict:
        attempts.write(project, Tick("pets", outcome, reason, "schedule", "run", "/here"))
        return ticking(project)

    tick("accepted")
    assert tick("began")["refused"] is None
    tick("refused", "501 rows are wrong")
    for outcome in ("skipped", "failed", "began"):
        found = tick(outcome, "the server is away")
        assert found["refused"]["reason"] == "501 rows are wrong"
    assert found["failed"]["reason"] == "the server is away"
    for outcome in attempts.CONCLUDED:
        tick("refused", "again")
        found = tick(outcome)
        assert (found["refused"], found["failed"]) == (None, None)


def test_a_move_by_hand_is_said_until_the_gate_decides_again():
    def line(number: int, action: str, before: int | None, after: int | None) -> Line:
        return Line("pets", number, action, after, before, after, 1, f"{action} because", actor="anna", at="2026-11-29")

    accepted, back = line(1, "accepted", None, 1), line(2, "rolled back", 2, 1)
    assert status._by_hand(accepted, accepted) is None
    moved = status._by_hand(back, accepted)
    assert (moved["action"], moved["from"], moved["to"], moved["actor"]) == ("rolled back", 2, 1, "anna")
    assert status._by_hand(back, line(3, "rejected", 1, 1)) is None
    assert status._by_hand(None, None) is None


def entry(project, **more):
    told = {"model": "pets", "champion": None, "metrics": {}, "age": None, "data_hash": "", "version": None}
    told |= {"decision": "", "reason": "", "next": "", "worn": "", "held": False, "problem": "", "moved": None}
    told |= {"live": None, "event": "", "events": []}
    return told | ticking(project) | more


FULL = {
    "champion": 2,
    "metrics": {"roc_auc": 0.7695, "balanced_accuracy": 0.7387},
    "age": 1500,
    "data_hash": "49cb6e7a1122",
    "version": 3,
    "decision": "rejected",
    "held": True,
    "schedule": "0 4 * * * Europe/Berlin",
    "next_run": "2026-11-29T04:00:00+00:00",
    "refused": {"at": "2026-11-29T04:00:00+00:00", "reason": "1,000 rows of customers.csv are wrong", "data": ""},
    "moved": {"action": "rolled back", "from": 2, "to": 1, "reason": "bad news", "actor": "anna", "at": "2026-11-29"},
    "worn": "the rows are used up",
}


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_no_line_is_wider_than_the_terminal_and_no_word_is_cut(project, width):
    models = [entry(project, **FULL), entry(project, **FULL) | {"model": "a_model_with_a_rather_long_name"}]
    text = status_text({"scheduler": SERVED, "models": models}, width)
    assert max(map(len, text.splitlines())) <= width
    for words in ("version 2, 25 min old", "balanced_accuracy 0.7387", "49cb6e7a", "2026-11-29 04:00", "Europe/Berlin"):
        assert text.replace(",", "").split().count(words.split()[-1]) >= 2
    assert "1,000 rows of customers.csv are wrong" in " ".join(text.split())
    assert "pets: rolled back to version 1 by anna on 2026-11-29: bad news" in " ".join(text.split())


def test_what_no_run_changed_is_not_repeated_below_the_table(project):
    attempts.write(project, Tick("pets", "skipped", "no new rows", "schedule", "run", "/here"))
    assert "no new rows" not in status_text({"scheduler": SERVED, "models": [entry(project)]}, 80)


@pytest.mark.parametrize("scheduler", [{}, SERVED])
def test_people_read_a_long_reason_below_the_table(project, scheduler):
    reason = "models/pets.yaml: " + "something is wrong here, " * 12
    told = entry(project, schedule=f"not scheduled: {reason}")
    table, problem = status_text({"scheduler": scheduler, "models": [told]}).split("!! ")
    assert "not scheduled" in table
    assert "something" not in table
    assert " ".join(problem.split()) == f"pets is not scheduled: {reason}".strip()


def test_a_version_that_waits_is_told_below_the_table_until_it_is_champion(project):
    waits = entry(project, champion=1, version=2, age=5, decision="waits", next="commit and run again")
    told = status_text({"scheduler": {}, "models": [waits]})
    assert told.endswith("\npets: version 2 waits: commit and run again")
    assert "waits: version 2" in told
    told = status_text({"scheduler": {}, "models": [waits | {"champion": 2, "next": ""}]})
    assert "waited: version 2" in told
    assert "commit" not in told


LIVE = {"version": 2, "since": "2026-11-29T04:00:00+00:00", "variant": "", "runtime": "onnx", "why": "", "problem": ""}


def test_what_is_live_is_told_with_its_runtime_and_why_it_is_not_onnx(project):
    told = status_text({"scheduler": {}, "models": [entry(project, champion=2, age=5, live=LIVE)]}, 200)
    assert "live by ONNX" in told
    assert "Keras" not in told
    slow = LIVE | {"runtime": "keras", "why": "ONNX has no layer like `odd`"}
    told = status_text({"scheduler": {}, "models": [entry(project, champion=2, age=5, live=slow)]}, 200)
    assert "live by Keras" in told
    assert told.endswith("\npets: version 2 is answered by Keras, because ONNX has no layer like `odd`")


def test_a_champion_that_is_not_live_is_a_problem_and_an_alias_is_told_once(project):
    live_file.write(project, Live("pets", version=1, since=LIVE["since"], runtime="onnx"))
    late = entry(project, champion=2, age=5)
    late["live"] = status._live(project, late)
    told = status_text({"scheduler": {}, "models": [late]}, 200)
    assert "!! pets: not served as it should be: version 2 is champion, and not live yet" in told
    moved = entry(project, champion=1, age=5, problem="The alias was changed outside Ratchet")
    moved["live"] = status._live(project, moved)
    assert moved["live"]["problem"] == moved["problem"]
    assert status_text({"scheduler": {}, "models": [moved]}, 200).count("outside Ratchet") == 1
    assert status._live(project, entry(project) | {"model": "never_live"}) is None


EVENT = {"kind": "quality", "subject": "accuracy", "day": "2026-11-28", "said": "live quality: worse by 0.1"}


def test_an_open_event_has_a_word_in_the_table_and_a_line_below_it(project):
    told = entry(project, champion=2, age=5, event="worse", events=[EVENT])
    text = status_text({"scheduler": {}, "models": [told]}, 120)
    assert "live: worse" in text
    assert text.endswith("\npets: since 2026-11-28: live quality: worse by 0.1")


def test_a_reason_that_could_not_be_answered_is_told_and_a_watch_that_failed_too(project):
    reason = "not retrained: nothing new to learn since 2026-11-28 03:00; age has drifted"
    attempts.write(project, Tick("pets", "skipped", reason, "schedule", "run", "/here"))
    last.note(project, "pets", datetime(2026, 11, 29, tzinfo=UTC), [], ["quality: MLflow is away"])
    text = status_text({"scheduler": {}, "models": [entry(project)]}, 120)
    assert f"pets: {reason}" in text
    assert "!! pets: not watched as it should be: quality: MLflow is away" in text
