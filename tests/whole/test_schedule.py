"""The schedule, with real processes: portions arrive, ticks come, the scheduler is killed, and everything agrees."""

import asyncio
import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import filelock
import mlflow
import pandas as pd
import psutil
import pytest
import requests
from mlflow.tracking import MlflowClient
from prefect.server.schemas.schedules import CronSchedule

from flows.data import pin_file
from flows.graph import worktree
from flows.project.environment import Project
from flows.records import attempts, ledger
from flows.records.attempts import Tick
from flows.records.champion_state import stand
from flows.run import rhythm
from flows.run.rhythm import ANCHOR
from pipelines.readers import sources
from pipelines.sections.schedule import Schedule
from tests.support.clone import answer, clone, edit, git, prefect, ratchet
from tests.support.world import PATIENCE, until

MODEL = "breast_cancer"
BERLIN = ZoneInfo("Europe/Berlin")
EVERY = 6  # seconds


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"cron": "0 3 * * *", "timezone": "Europe/Berlin"}, {"cron": "0 3 * * *", "timezone": "Europe/Berlin"}),
        ({"every_seconds": 90}, {"interval": timedelta(seconds=90), "anchor_date": ANCHOR, "timezone": "UTC"}),
        ({"rrule": "FREQ=WEEKLY;BYDAY=MO"}, {"rrule": "FREQ=WEEKLY;BYDAY=MO", "timezone": "UTC"}),
    ],
)
def test_each_kind_of_schedule_is_prefects(rules, expected):
    found = rhythm.of(Schedule.model_validate(rules))
    assert {name: getattr(found, name) for name in expected} == expected


def test_a_model_without_a_schedule_has_none():
    assert rhythm.of(Schedule.model_validate({})) is None


@pytest.mark.parametrize("cron", ["30 2 * * *", "0 2 * * *", "0 3 * * *", "0 0 * * *"])
@pytest.mark.parametrize("first", [datetime(2027, 3, 26, tzinfo=BERLIN), datetime(2027, 10, 29, tzinfo=BERLIN)])
def test_a_day_of_23_or_25_hours_has_one_run(cron, first):
    """In March the clock leaves out the hour from 2 to 3, in October it shows it twice."""
    found = rhythm.of(Schedule.model_validate({"cron": cron, "timezone": "Europe/Berlin"}))
    dates = asyncio.run(CronSchedule(cron=found.cron, timezone=found.timezone).get_dates(n=6, start=first))
    days = [(first + timedelta(days=day)).date() for day in range(6)]
    assert [date.astimezone(BERLIN).date() for date in dates] == days


class Shop:
    """A clone whose model retrains every few seconds on rows that arrive in portions."""

    def __init__(self, root: Path):
        self.root = clone(root)
        self.rows = sources.breast_cancer().to_pandas()
        self.incoming.mkdir(parents=True)
        yaml = self.root / "models" / f"{MODEL}.yaml"
        edit(yaml, '"builtin:breast_cancer"', f"data/incoming/{MODEL}\n  quiet: 3600.0")
        edit(yaml, 'cron: "0 4 * * 1", timezone: UTC', f"every_seconds: {EVERY}, champion_days: 30")
        edit(yaml, "hidden: [32], epochs: 25", "hidden: [16], epochs: 12")
        edit(yaml, "margin: 0.05", "margin: 0.15")
        git(self.root, "commit", "-qam", "rows of our own")
        self.project = Project(self.root, self.root / ".ratchet", "", "")

    @property
    def incoming(self) -> Path:
        return self.root / "data" / "incoming" / MODEL

    def arrive(self, name: str, rows: pd.DataFrame) -> None:
        """As a careful sender does it: under a hidden name, then renamed."""
        partial = self.incoming / f".{name}.partial"
        rows.to_csv(partial, index=False)
        partial.rename(self.incoming / name)

    def ticks(self) -> list[Tick]:
        return attempts.read(self.project, MODEL)

    def until(self, wanted: Callable[[Tick], bool], after: int = 0) -> Tick:
        """The first tick, of those after the first so many, that is wanted."""
        return until(
            lambda: next((tick for tick in self.ticks()[after:] if wanted(tick)), None), lambda: self.ticks()[after:]
        )

    @property
    def scheduler(self) -> psutil.Process:
        return psutil.Process(json.loads((self.root / ".ratchet" / "schedule.json").read_text())["pid"])

    def prefect(self, path: str, **content: Any) -> Any:
        return self.post(path, **content).json()

    def start(self, **parameters: Any) -> requests.Response:
        """A run of the model's deployment, as Prefect's page starts it."""
        found = self.prefect("deployments/filter", deployments={"name": {"any_": [MODEL]}})
        return self.post(f"deployments/{found[0]['id']}/create_flow_run", parameters=parameters)

    def post(self, path: str, **content: Any) -> requests.Response:
        def ask() -> list[requests.Response]:
            found = prefect(self.root, path, content=content)
            return [found] if found.status_code != 503 else []  # its database is busy

        (found,) = until(ask)
        return found

    def runs(self) -> list[dict[str, Any]]:
        """Of Prefect, the newest first, those that have begun."""
        found = self.prefect("flow_runs/filter", sort="START_TIME_DESC", limit=200)
        return [run for run in found if run["start_time"]]


def outcome(*words: str) -> Callable[[Tick], bool]:
    return lambda tick: tick.outcome in words


@pytest.mark.long
def test_portions_arrive_and_the_scheduler_is_killed_and_all_that_is_recorded_agrees(tmp_path):
    shop = Shop(tmp_path / "clone")
    heard = tmp_path / "heard.jsonl"
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\ncat >> {heard}\necho >> {heard}\n")
    hook.chmod(0o700)
    head = git(shop.root, "rev-parse", "HEAD")
    shop.arrive("a.csv", shop.rows[:250])
    try:
        found = answer(shop.root, "up", "--no-serve", RATCHET_HOOK=str(hook))
        assert found["schedule"]["models"][MODEL] == f"every {EVERY} s"

        # the first tick: there is no model yet
        first = shop.until(outcome("accepted"))
        assert first.trigger == "schedule"

        # nothing new
        after = len(shop.ticks())
        skipped = shop.until(lambda tick: tick.reason.startswith("no new rows since"), after)
        assert "champion 0 days old, limit 30" in skipped.reason

        # an event, and a run from Prefect's page with its form, which is typed
        after = len(shop.ticks())
        assert answer(shop.root, "data", MODEL, "--changed")["event"] == "ratchet.dataset.changed"
        shop.until(lambda tick: (tick.trigger, tick.outcome) == ("event", "skipped"), after)
        form = {"model": MODEL, "force": True, "reason": "to see it"}
        assert shop.start(**form | {"force": "perhaps"}).status_code == 409
        assert shop.start(**form).status_code == 201
        forced = shop.until(lambda tick: tick.trigger == "page" and tick.outcome != "began", after)
        assert forced.outcome == "unchanged"

        # a half-written portion is not picked up
        text = shop.rows[250:330].to_csv(index=False)
        (shop.incoming / "b.csv").write_text(text[:-20])
        after = len(shop.ticks())
        skipped = shop.until(outcome("skipped"), after + 1)
        assert skipped.data == first.data
        assert "b.csv is not picked up" in skipped.reason

        # new rows; the scheduler and all that it has started are killed while it trains, and started again
        after = len(shop.ticks())
        (shop.incoming / "b.csv").write_text(text)
        began = shop.until(outcome("began"), after)
        assert "80 new rows since" in began.reason
        until(lambda: list((shop.root / ".ratchet" / "logs" / "runs" / began.flow_run).glob("train")))
        died = [shop.scheduler, *shop.scheduler.children(recursive=True)]
        for process in died:
            process.kill()
        psutil.wait_procs(died, timeout=PATIENCE)
        time.sleep(2.5 * EVERY)  # ticks that nobody hears
        answer(shop.root, "up", "--no-serve", RATCHET_HOOK=str(hook))
        again = shop.until(lambda tick: tick.outcome == "began" and tick.flow_run != began.flow_run, after)
        assert again.reason == "the last run died"
        second = shop.until(outcome("accepted", "undecided"), after)
        assert second.rows == 330
        states = {run["id"]: run["state"]["name"] for run in shop.runs()}
        assert states[began.flow_run] == "Crashed"
        coalesced = shop.prefect("flow_runs/filter", flow_runs={"state": {"name": {"any_": ["Coalesced"]}}})
        assert coalesced  # and only one of the missed ticks has run
        between = [t for t in shop.ticks()[after:] if began.at < t.at < again.at]
        assert between == []

        # a portion that fails a rule: refused, once; the pin stays; then it is withdrawn
        after = len(shop.ticks())
        wrong = shop.rows[330:360].assign(diagnosis="perhaps")
        shop.arrive("c.csv", wrong)
        refused = shop.until(outcome("refused"), after)
        assert "expect_column_values_to_be_in_set" in refused.reason
        skipped = shop.until(outcome("skipped"), len(shop.ticks()))
        assert skipped.data == second.data
        assert "was refused, so the pin before it stays" in skipped.reason
        (shop.incoming / "c.csv").unlink()

        # a portion that makes the model worse
        after = len(shop.ticks())
        swapped = {"benign": "malignant", "malignant": "benign"}
        shop.arrive("d.csv", shop.rows[330:].assign(diagnosis=shop.rows.diagnosis.map(swapped), mean_radius=30.0))
        rejected = shop.until(outcome("rejected"), after)
        assert rejected.data != second.data

        # it is withdrawn, and a good one arrives
        after = len(shop.ticks())
        shop.arrive("e.csv", shop.rows[330:])
        (shop.incoming / "d.csv.withdrawn").touch()
        (shop.incoming / "d.csv").unlink()
        last = shop.until(outcome("accepted"), after)
        assert last.rows == len(shop.rows)
        until(lambda: not busy(shop))
        status = {entry["model"]: entry for entry in answer(shop.root, "status")["models"]}[MODEL]
        assert status["next_run"]
        assert status["schedule"] == f"every {EVERY} s"
        listed = answer(shop.root, "data", MODEL)["data"]
    finally:
        until(lambda: ratchet(shop.root, "down").returncode == 0)
    agree(shop, listed, head, heard)


def busy(shop: Shop) -> bool:
    lock = filelock.FileLock(shop.root / ".ratchet" / "locks" / f"model-{MODEL}.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        return True
    lock.release()
    return False


def agree(shop: Shop, listed: list[dict[str, Any]], head: str, heard: Path) -> None:
    """Ledger, registry, MLflow's runs, DVC's history and what people were told: one story."""
    lines = ledger.of(shop.project).lines(MODEL)
    concluded = [tick for tick in shop.ticks() if tick.outcome in attempts.CONCLUDED]
    uri = f"sqlite:///{shop.project.mlflow_database}"
    mlflow.set_tracking_uri(uri)
    store = MlflowClient(uri, uri)
    versions = {int(version.version): version for version in store.search_model_versions(f"name = '{MODEL}'")}
    experiment = store.get_experiment_by_name(MODEL).experiment_id
    runs = store.search_runs([experiment])

    # the ledger is whole, has a line for each decision, and the alias is where it says
    assert ledger.broken(lines) == ""
    assert [line.action for line in lines] == [tick.outcome for tick in concluded if tick.outcome != "unchanged"]
    champion = stand(lines).champion
    assert int(store.get_model_version_by_alias(MODEL, "champion").version) == champion == max(versions)
    assert set(versions) == {line.version for line in lines}

    # each run of MLflow has ended, is published, says what started it and on which data
    refused = [run for run in runs if "ratchet.refused" in run.data.tags]
    runs = [run for run in runs if run not in refused]
    assert {run.info.status for run in refused} == {"FAILED"}
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {run.data.tags["ratchet.published"] for run in runs} == {"true"}
    assert {run.data.tags["ratchet.trigger"] for run in runs} == {"schedule"}
    assert {run.data.tags["ratchet.schedule"] for run in runs} == {f"every {EVERY} s"}
    assert {run.data.tags["ratchet.pin"] for run in runs} == {tick.data for tick in concluded}

    # the branch has the pin of each, the newest last, and DVC's cache still has the rows
    commits = git(shop.root, "log", "--reverse", "--format=%H", f"main..{worktree.BRANCH}").splitlines()
    pins = [json.loads(git(shop.root, "show", f"{commit}:data/{MODEL}/pin.json")) for commit in commits]
    assert [pin_file.version(pin) for pin in pins] == list(dict.fromkeys(tick.data for tick in concluded))
    assert [one["rows"] for one in listed] == [pin_file.rows(pin) for pin in pins]
    assert all(one["cached"] for one in listed)
    assert {number for one in listed for number in one["versions"]} == set(versions)
    assert listed[-1]["champion"]

    # nobody's folder was touched, and no process is left
    assert git(shop.root, "rev-parse", "HEAD") == head
    assert git(shop.root, "status", "--porcelain") == ""
    assert not [p for p in psutil.process_iter() if inside(p, shop.root)]

    # people were told of every promotion, rejection and failure, once each
    told = [json.loads(line)["what"] for line in heard.read_text().splitlines() if line]
    expected = {"accepted": "promoted", "rejected": "rejected", "refused": "failed"}
    outcomes = [tick.outcome for tick in shop.ticks()]
    assert [what for what in told if what != "failed"] == [
        expected[o] for o in outcomes if o in ("accepted", "rejected")
    ]
    assert told.count("failed") == outcomes.count("refused") + 1  # the run that died


def inside(process: psutil.Process, folder: Path) -> bool:
    try:
        return Path(process.cwd()).is_relative_to(folder) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
