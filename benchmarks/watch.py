"""What the watch of drift costs, and how often it is wrong.

    python benchmarks/watch.py cost [ROWS]      a log of ROWS (1,000,000) rows with 20 columns, in 50 days: the first
                                                watch, one when nothing is new, and one when seven days are
    python benchmarks/watch.py alarms [TIMES]   false alarms of 20 columns in a quarter whose rows are all of one kind,
                                                and the days until a moved column is noticed; TIMES (40) quarters each,
                                                an eighth of them where a quarter takes long

`cost` writes the log as lines and lets the server's own code close them. Seconds, and peak memory as the kernel counts
it of a process of its own. `alarms` is seeded.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from flows.monitoring.drift import compare, look, periods, rule  # noqa: E402
from flows.registry import reference  # noqa: E402
from flows.serving.log import closing  # noqa: E402
from flows.serving.log.layout import Part  # noqa: E402
from pipelines.config.data import Data  # noqa: E402
from pipelines.table.summary.columns import NUMBERS, WORDS, Column  # noqa: E402
from pipelines.table.summary.gather import Gathered  # noqa: E402
from tests.support.served import versions, watched  # noqa: E402

FIRST, DAYS, MORE = date(2026, 1, 1), 50, 7
NUMERIC, WORDED = 12, 8
SHARES = np.array([0.3, 0.2, 0.15, 0.1, 0.1, 0.08, 0.05, 0.02])
COLUMNS = {f"x{place}": "number" for place in range(NUMERIC)} | {f"w{place}": "category" for place in range(WORDED)}
DATA = Data(kind="table", task="classification", target="animal", columns=COLUMNS)  # type: ignore[arg-type]
QUARTER = 90
EFFECT = 0.1
JUDGED = NUMERIC + WORDED


# ------------------------------------------------------------------ cost


def cost(rows: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        state = Path(name)
        version(state)
        each = rows // DAYS
        started = time.perf_counter()
        for step in range(DAYS):
            day(state, step, each)
        size = sum(path.stat().st_size for path in state.rglob("*.parquet")) / 1e6
        seconds = time.perf_counter() - started
        print(f"{rows:,} rows, {len(COLUMNS)} columns: written and closed in {seconds:.0f} s, {size:.0f} MB")
        report("the first watch", state, DAYS)
        report("nothing new", state, DAYS)
        for step in range(DAYS, DAYS + MORE):
            day(state, step, each)
        report(f"{MORE} new days", state, DAYS + MORE)
        kept = [path.stat().st_size for path in (state / "watch").rglob("*.parquet")]
        print(f"summaries: {sum(kept) / len(kept) / 1e3:.0f} kB a day")


def report(what: str, state: Path, days: int) -> None:
    """A watch in a process of its own, with its imports."""
    command = [sys.executable, __file__, "once", str(state), str(days)]
    started = time.perf_counter()
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    print(f"{what}: {time.perf_counter() - started:.2f} s with imports, of these update {found['update']:.2f} s and "
          f"look {found['look']:.2f} s; {found['memory']:.0f} MB")  # fmt: skip


def once(state: Path, days: int) -> None:
    declared, project = watched.declared(DATA), watched.project(state)
    last = FIRST + timedelta(days - 1)
    started = time.perf_counter()
    look.update(project, declared, datetime(last.year, last.month, last.day, 6, tzinfo=UTC) + timedelta(1))
    updated = time.perf_counter()
    found = look.look(project, declared, last)
    assert len(found.columns) == len(COLUMNS) + 2, found.said
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"update": updated - started, "look": time.perf_counter() - updated, "memory": memory}))


def version(state: Path) -> None:
    """A live version of pets with these columns instead, and its reference."""
    folder = versions.promote(state)
    about = json.loads((folder / "model" / "model.json").read_text())
    about |= {"numbers": list(COLUMNS)[:NUMERIC], "categories": list(COLUMNS)[NUMERIC:], "dates": []}
    (folder / "model" / "model.json").write_text(json.dumps(about))
    lookups = [
        {"class_name": "StringLookup", "config": {"name": f"category_{place}", "vocabulary": ["", *"abcdefgh"]}}
        for place in range(WORDED)
    ]
    architecture = json.dumps({"config": {"layers": lookups}})
    (folder / "model" / "architecture.json").write_text(architecture)
    described = json.loads((folder / "columns.json").read_text())
    described["columns"] = [{"name": name, "role": role, "sensitive": False} for name, role in COLUMNS.items()]
    (folder / "columns.json").write_text(json.dumps(described))
    random = np.random.default_rng(0)
    stages = state / "stages"
    (stages / "model").mkdir(parents=True)
    (stages / "model" / "architecture.json").write_text(architecture)
    for split in ("train", "test"):
        table = {"row_id": [random.bytes(16).hex() for _ in range(20_000)]}
        pq.write_table(pa.table(table | {name: values.tolist() for name, values in drawn(random, 20_000)}),
                       stages / f"{split}.parquet")  # fmt: skip
    dogs = random.random(20_000)
    answers = {"actual": np.where(random.random(20_000) < dogs, "dog", "cat"), "prediction": ["dog"] * 20_000}
    pq.write_table(pa.table(answers | {"probability_cat": 1 - dogs, "probability_dog": dogs}),
                   stages / "predictions.parquet")  # fmt: skip
    reference.write(stages, DATA, {"categories": about["categories"]}, folder / reference.NAME)


def drawn(random: np.random.Generator, rows: int) -> Iterator[tuple[str, np.ndarray]]:
    for name, role in COLUMNS.items():
        yield name, random.normal(size=rows) if role == "number" else random.choice(list("abcdefgh"), rows, p=SHARES)


def day(state: Path, step: int, rows: int) -> None:
    """The rows of a day, as lines that the server's own code closes."""
    random = np.random.default_rng(step)
    at = FIRST + timedelta(step)
    columns = {name: values.tolist() for name, values in drawn(random, rows)}
    part = Part(state / "answers" / "pets", at, "0-000000000000")
    part.lines.parent.mkdir(parents=True, exist_ok=True)
    with part.lines.open("wb") as file:
        for place in range(rows):
            dog = float(random.random())
            answer = {"prediction": "dog", "probabilities": {"cat": 1 - dog, "dog": dog}, "unknown": []}
            line: dict[str, Any] = {"id": f"{step}-{place}", "at": f"{at}T12:00:00+00:00", "version": 1}
            line |= {"model_hash": "0" * 64, "answer": answer}
            line |= {"row": {name: values[place] for name, values in columns.items()}}
            file.write(orjson.dumps(line) + b"\n")
    closing.close(part)


# ------------------------------------------------------------------ false alarms


def alarms(times: int) -> None:
    print("false alarms a quarter, rows of one kind (largest of all quarters)")
    print("| reference | rows a day | training rows | the 7 days before |")
    print("|---:|---:|---:|---:|")
    for size in (1_000, 5_000, 50_000):
        for each in (50, 200, 2_000, 20_000):
            told = []
            for before in (0, 7) if each < 20_000 else (0,):
                quarters = times if each <= 2_000 and not before else max(1, times // 8)
                seeds = np.random.SeedSequence([size, each, before]).spawn(quarters)
                counts = [quarter(np.random.default_rng(seed), size, each, before)[0] for seed in seeds]
                told.append(f"{np.mean(counts):.2f} ({max(counts)})")
            print(f"| {size:,} | {each:,} | " + " | ".join([*told, ""][:2]) + " |", flush=True)
    print("\ndays until a column is noticed that moves by so many standard deviations (never: within 30 days)")
    print("| rows a day | 0.1 | 0.2 | 0.5 | 1.0 |\n|---:|---:|---:|---:|---:|")
    for each in (50, 200, 2_000):
        told = []
        for shift in (0.1, 0.2, 0.5, 1.0):
            seeds = np.random.SeedSequence([each, int(shift * 10)]).spawn(max(5, times // 4))
            found = [noticed(np.random.default_rng(seed), each, shift) for seed in seeds]
            told.append("never" if np.median(found) > 30 else f"{np.median(found):.0f}")
        print(f"| {each:,} | " + " | ".join(told) + " |", flush=True)


def quarter(random: np.random.Generator, size: int, each: int, before: int, days: int = QUARTER) -> tuple[int, int]:
    """The alarms of 20 columns in a quarter, and how many days have one. before: days that are the reference, or 0 for
    `size` training rows."""
    began = alarmed = 0
    for place in range(JUDGED):
        make = number if place < NUMERIC else word
        found = [*seen(make, random, size, each, before, days)]
        alarmed += sum(alarm for alarm, _ in found)
        began += sum(1 for _ in begins(found))
    return began, alarmed


def begins(found: list[tuple[bool, bool]]) -> Iterator[int]:
    """The days on which an alarm begins: it ends when the column is calm."""
    on = False
    for place, (alarm, calm) in enumerate(found):
        if alarm and not on:
            yield place
        on = alarm or (on and not calm)


def noticed(random: np.random.Generator, each: int, shift: float) -> int:
    moved = [*seen(lambda *about: number(*about, shift=shift), random, 5_000, each, 0, 31)]
    return next((place + 1 for place in begins(moved)), 31)


Make = Callable[[np.random.Generator, int, str], Column]


def seen(
    make: Make, random: np.random.Generator, size: int, each: int, before: int, days: int
) -> Iterator[tuple[bool, bool]]:
    """Of each day: whether a column is an alarm, and whether it is calm."""
    then = [make(random, size, "")]
    by_day = {FIRST + timedelta(step): [make(random, each, str(step))] for step in range(-before, days)}
    known: dict[tuple[date, date], bool] = {}
    for step in range(days):
        now, earlier = periods.two(by_day, FIRST + timedelta(step))
        looks = []
        for one in filter(None, (now, earlier)):
            key = (one.first, one.last)
            if before or key not in known:
                against = periods.before(by_day, earlier or one, before) if before else then
                known[key] = bool(against) and rule.differs(compare.apart(against, one.lines), JUDGED + 2, EFFECT)
            looks.append(known[key])
        yield rule.drifted(looks), not any(looks)


def number(random: np.random.Generator, rows: int, day: str, shift: float = 0.0) -> Column:
    """shift: of the days; the reference has the mean 0."""
    gathered = Gathered(day, "x", NUMBERS)
    gathered.add_numbers(random.normal(shift if day else 0.0, 1, rows))
    return next(gathered.columns())


def word(random: np.random.Generator, rows: int, day: str) -> Column:
    gathered = Gathered(day, "w", WORDS, named=list("abcdefgh"))
    counts = random.multinomial(rows, SHARES)
    gathered.add_words(dict(zip("abcdefgh", counts.tolist(), strict=True)), 0)
    return next(gathered.columns())


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["cost", *rows]:
            cost(int(rows[0]) if rows else 1_000_000)
        case ["alarms", *times]:
            alarms(int(times[0]) if times else 40)
        case ["once", state, days]:
            once(Path(state), int(days))
        case _:
            sys.exit(__doc__)
