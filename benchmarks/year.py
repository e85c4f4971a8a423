"""A year of a city's air, through the real server: python benchmarks/year.py FOLDER --data pollution.csv [--weeks N]

In a clone of this repository in FOLDER a model of PM2.5 learns from 2010. Then each hour of 2011 is asked for on its
day, and its measurement becomes known a week later, with `ratchet label`. `ratchet up` runs all servers and the
scheduler, which ticks each Monday; every process shows the time of the replay (year/clock). Of every eight weeks the
server of answers, the scheduler and the run itself are each killed once (kill -9); what is missing is started again.

Printed, by quarter: answers, labels, what the ticks came to, the mean absolute error of the answers beside that of the
first model, and at the end whether log, labels, data, ledger, registry and what is live agree. The seed is printed.

    --weeks N      how many (default 52)
    --minutes N    after which it stops (default 28); the same command goes on where it stopped
"""

import argparse
import json
import os
import platform
import sys
import time
from collections import Counter
from contextlib import chdir
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from year import agree  # noqa: E402
from year.city import MODEL, TARGET, City, hours, wait  # noqa: E402

from flows.load import load_model  # noqa: E402
from tests.support.clone import environment  # noqa: E402

SEED = 26
START = datetime(2011, 1, 3, tzinfo=UTC)  # a Monday
KILLS = {3: ("flows.serving", "of the server"), 5: ("flows.schedule", "of the scheduler"), 7: ("", "of a run")}


@dataclass
class Week:
    """What happened: the answers that callers got, the hours whose label was told, and what the tick came to."""

    number: int
    answers: list[dict[str, Any]] = field(default_factory=list)
    labelled: list[str] = field(default_factory=list)
    killed: str = ""
    tick: str = ""


class Year:
    def __init__(self, city: City, weeks: int):
        self.city, self.weeks = city, weeks
        self.path = city.folder / "weeks.jsonl"
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        self.done = [Week(**json.loads(line)) for line in lines]

    def play(self, seconds: float) -> bool:
        """One week after the other; whether all are done."""
        end = time.monotonic() + seconds
        while len(self.done) < self.weeks:
            if time.monotonic() > end:
                return False
            week = self._week(len(self.done))
            self.done.append(week)
            with self.path.open("a") as file:
                file.write(json.dumps(asdict(week)) + "\n")
            print(f"week {week.number + 1}: {week.tick} {week.killed}", file=sys.stderr, flush=True)
        return True

    def _week(self, number: int) -> Week:
        """Seven days of answers, the labels of the week before, and the tick on Monday."""
        random, week = np.random.default_rng([SEED, number]), Week(number)
        monday = START + timedelta(weeks=number)
        kill, told = KILLS.get(number % 8, ("", ""))
        unlucky = int(random.integers(7))
        for day in range(7):
            self.city.set_clock(monday + timedelta(days=day, hours=12))
            if kill == "flows.serving" and day == unlucky and self.city.kill(kill, "serving"):
                week.killed = told
                self.city.up()
            rows = self._of(monday + timedelta(days=day))
            if len(rows):
                week.answers += self._asked(rows)
        week.labelled = self._labels(monday)
        if kill == "flows.schedule" and self.city.kill(kill):
            week.killed = told
            self.city.up()
        before = len(self.city.ticks())
        self.city.set_clock(monday + timedelta(days=7, hours=3, minutes=59, seconds=50))
        if told == "of a run":
            week.killed = told if self._kill_the_run(before, float(random.uniform(0, 6))) else ""
        week.tick = "killed" if week.killed == "of a run" else self._tick(before, monday)
        return week

    def _of(self, day: datetime, days: int = 1) -> pd.DataFrame:
        first, last = (f"{instant:%Y-%m-%dT%H}" for instant in (day, day + timedelta(days=days)))
        return self.city.hours[(self.city.hours["when"] >= first) & (self.city.hours["when"] < last)]

    def _asked(self, rows: pd.DataFrame) -> list[dict[str, Any]]:
        found = self.city.ask(rows)
        said = zip(rows["when"], rows[TARGET], found["answers"], strict=True)
        about = {"version": found["version"], "logged": found["logged"]}
        return [
            about | {"id": one["id"], "when": when, "true": true, "said": one["prediction"]} for when, true, one in said
        ]

    def _labels(self, monday: datetime) -> list[str]:
        """What was asked a week before is known now."""
        rows = self._of(monday - timedelta(days=7), 7)
        if monday == START or not len(rows):
            return []
        self.city.label(rows, self.city.now())
        return list(rows["when"])

    def _kill_the_run(self, before: int, after: float) -> bool:
        """kill -9 some seconds after a run has begun. False if it had nothing to do."""
        wait(lambda: self.city.ticks()[before:] or None, "a tick")
        if self.city.ticks()[-1].outcome != "began":
            return False
        running = wait(lambda: self.city.run() or self._ended(before), "a run, or its end")
        if not isinstance(running, int):
            return False
        time.sleep(after)
        return self.city.kill_run()

    def _tick(self, before: int, monday: datetime) -> str:
        """Its outcome."""
        return str(wait(lambda: self._ended(before), f"the tick after {monday:%Y-%m-%d}"))

    def _ended(self, before: int) -> str | None:
        """The outcome of the newest tick that has ended since; None if there is none."""
        new = self.city.ticks()[before:]
        return next((one.outcome for one in reversed(new) if one.outcome != "began"), None)

    def told(self) -> list[str]:
        """A table by quarter."""
        answers = pd.DataFrame([one for week in self.done for one in week.answers])
        answers["quarter"] = pd.to_datetime(answers["when"]).dt.tz_localize(None).dt.to_period("Q").astype(str)
        with chdir(self.city.root):
            first = load_model(MODEL, 1).predict(self._first(answers))["prediction"].to_numpy()
        answers["first"] = np.abs(first - answers["true"])
        answers["error"] = np.abs(answers["said"] - answers["true"])
        lines = [
            "| quarter | answers | versions | mean absolute error | of version 1 |",
            "| --- | ---: | ---: | ---: | ---: |",
        ]
        for name, part in answers.groupby("quarter"):
            cells = [name, f"{len(part):,}", part["version"].nunique()]
            lines.append(
                "| " + " | ".join(map(str, cells)) + f" | {part['error'].mean():.2f} | {part['first'].mean():.2f} |"
            )
        ticks = Counter(week.tick for week in self.done)
        killed = Counter(week.killed for week in self.done if week.killed)
        labels = sum(len(week.labelled) for week in self.done)
        lines.append(f"{labels:,} labels; ticks: {told(ticks)}; kills: {told(killed)}.")
        return lines

    def _first(self, answers: pd.DataFrame) -> pd.DataFrame:
        rows = self.city.hours.set_index("when").loc[answers["when"]].reset_index()
        return rows.drop(columns=TARGET)

    def problems(self) -> list[str]:
        logged = [one for week in self.done for one in week.answers if one["logged"]]
        labelled = {when for week in self.done for when in week.labelled}
        with chdir(self.city.root):
            return agree.problems(self.city, logged, labelled)


def told(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "none"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weeks", type=int, default=52)
    parser.add_argument("--minutes", type=float, default=28)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    city = City(asked.folder.resolve(), hours(asked.data))
    print(f"seed {SEED}, {asked.weeks} weeks, in {asked.folder}")
    begin = time.monotonic()
    os.environ |= environment()
    city.make(f"{START:%Y-%m-%d}")
    year = Year(city, asked.weeks)
    city.set_clock(START - timedelta(hours=1) + timedelta(weeks=len(year.done)))
    try:
        if not year.done:
            city.do("run", MODEL)
        city.up()
        whole = year.play(asked.minutes * 60)
    finally:
        city.down()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{date.today()}, {machine}, {time.monotonic() - begin:.0f} s, {len(year.done)} of {asked.weeks} weeks")
    print("\n".join(year.told()))
    found = year.problems()
    print("\n".join(found) or "Log, labels, data, ledger, registry and what is live agree; nothing is lost.")
    if not whole:
        print("The same command goes on.")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
