"""Sets and order of rows beyond memory, ours beside duckdb: python benchmarks/beyond_memory.py [ROWS ...]

A table of 20 numbers, a text and a class, and a second one, of identities, a tenth of which it has. `survey` and
`marked` are those of pipelines/table/id_sets.py, `ordered` is pipelines/table/shuffled.py, `rows` and `columns` (of one
table) are flows/data/diff.py. Each runs three times in a process of its own, ours and duckdb in turn. duckdb may hold
what ours held, less what the libraries take. Of `ordered` the rows are compared, not the row groups.
"""

import hashlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from flows.data import diff  # noqa: E402
from pipelines.table import id_sets, row_groups, rows, shuffled  # noqa: E402

try:
    import duckdb
except ImportError:
    sys.exit("duckdb is missing. Install it elsewhere: pip install --target FOLDER duckdb, then PYTHONPATH=FOLDER.")

ROUNDS = 3
LIBRARIES = 145  # MB of a process that has imported everything, pandas too, and done nothing
NUMBERS = [f"x{index}" for index in range(20)]
SCHEMA = pa.schema([rows.ROW_ID, *((name, pa.float64()) for name in NUMBERS), ("text", pa.string()), ("y", pa.int64())])


def make(folder: Path, total: int) -> None:
    """raw.parquet, in which one row of a hundred comes twice, and other.parquet, a tenth of whose rows are in raw."""
    random = np.random.default_rng(0)
    step, first = row_groups.GROUP_ROWS, b""
    with (
        row_groups.Writer(folder / "raw.parquet", SCHEMA) as raw,
        row_groups.Writer(folder / "other.parquet", pa.schema([rows.ROW_ID])) as other,
    ):
        for start in range(0, total, step):
            count = min(step, total - start)
            one = random.bytes(16 * count)
            first = first or one
            ids = first[: 16 * (count // 100)] + one[16 * (count // 100) :]
            there = one[-16 * (count // 10) :] + random.bytes(16 * (count - count // 10))
            values = [*np.round(random.normal(size=(20, count)), 6), random.integers(0, 2, count)]
            text = pa.array([f"city {number}" for number in random.integers(0, 1000, count).tolist()])
            columns = [_column(ids), *map(pa.array, values[:-1]), text, pa.array(values[-1])]
            raw.write(pa.record_batch(columns, schema=SCHEMA))
            other.write(pa.record_batch([_column(there)], schema=other.schema))


def _column(ids: bytes) -> pa.Array:
    return rows.id_column(np.frombuffer(ids.hex().encode(), "S32"))


class Ours:
    def __init__(self, folder: Path, megabytes: int):
        self.raw, self.other, self.out = folder / "raw.parquet", folder / "other.parquet", folder / "out.parquet"
        id_sets.FOLDER = folder

    def survey(self) -> Any:
        digest, repeated = id_sets.survey(self.raw)
        return digest, _all(repeated)

    def marked(self) -> Any:
        return _all(id_sets.marked(self.raw, self.other))

    def rows(self) -> Any:
        return diff.rows(self.raw, self.other)

    def ordered(self) -> None:
        groups = len(row_groups.group_rows(self.raw))
        with shuffled.Ordered(self.out, SCHEMA, -(-groups // 2)) as out:
            for batch in row_groups.batches(self.raw):
                out.write(batch)

    def columns(self) -> Any:
        return [diff.statistics(self.raw, field) for field in list(SCHEMA)[1:]]


class Duckdb(Ours):
    """The smallest that gives the same. An identity is compared as a number of 128 bits, a UUID."""

    IDS = "SELECT row_id::UUID AS id, file_row_number AS place FROM read_parquet('{}', file_row_number=true)"

    def __init__(self, folder: Path, megabytes: int):
        super().__init__(folder, megabytes)
        spilled = {"temp_directory": str(folder / "duckdb"), "memory_limit": f"{megabytes}MB"}
        self.db = duckdb.connect(folder / "rows.duckdb", config=spilled)

    def survey(self) -> Any:
        digest, repeated, last = hashlib.sha256(), id_sets.Marks(row_groups.rows(self.raw)), np.zeros(1, "V16")
        query = f"SELECT id::BLOB AS id, place FROM ({self.IDS.format(self.raw)}) AS ids ORDER BY ids.id, place"
        for batch in self.db.sql(query).to_arrow_reader(row_groups.GROUP_ROWS):
            content = batch["id"].cast(pa.binary(16)).buffers()[1].to_pybytes()
            ids = np.concatenate([last, np.frombuffer(content, "V16", batch.num_rows)])
            repeated.add(batch["place"].to_numpy()[ids[1:] == ids[:-1]])
            digest.update(ids[1:].tobytes().hex().encode())
            last = ids[-1:]
        return digest.hexdigest(), _all(repeated)

    def marked(self) -> Any:
        found = id_sets.Marks(row_groups.rows(self.raw))
        known = f"SELECT id FROM ({self.IDS.format(self.other)})"
        query = self.db.sql(f"SELECT place FROM ({self.IDS.format(self.raw)}) WHERE id IN ({known})")
        for batch in query.to_arrow_reader(row_groups.GROUP_ROWS):
            found.add(batch["place"].to_numpy())
        return _all(found)

    def rows(self) -> Any:
        a, b = (f"(SELECT id, count(*) AS times FROM ({self.IDS.format(path)}) GROUP BY id)" for path in self._both())
        (both,) = self.db.sql(
            f"SELECT sum(least(a.times, b.times))::BIGINT FROM {a} AS a JOIN {b} AS b USING (id)"
        ).fetchall()[0]
        first, second = map(row_groups.rows, self._both())
        return {"only_a": first - both, "only_b": second - both, "both": both}

    def _both(self) -> tuple[Path, Path]:
        return self.raw, self.other

    def ordered(self) -> None:
        found = next(iter(row_groups.batches(self.raw)))
        self.db.register("batch", found.slice(0, 0))
        self.db.execute("CREATE TABLE waiting AS FROM batch")
        for batch in row_groups.batches(self.raw):
            self.db.register("batch", batch)
            self.db.execute("INSERT INTO waiting FROM batch")
        found = self.db.sql("FROM waiting ORDER BY row_id::UUID, rowid").to_arrow_reader(row_groups.GROUP_ROWS)
        row_groups.write(self.out, SCHEMA, (batch.cast(SCHEMA) for batch in found))

    def columns(self) -> Any:
        return [self._statistics(field.name, field.type) for field in list(SCHEMA)[1:]]

    def _statistics(self, name: str, kind: pa.DataType) -> dict[str, Any]:
        table = f"read_parquet('{self.raw}')"
        if pa.types.is_floating(kind):
            asked = f"count(*) - count({name}), avg({name}), stddev_samp({name}), min({name}), max({name})"
            names = ("missing", "mean", "standard_deviation", "smallest", "largest")
            found = self.db.sql(f"SELECT {asked} FROM {table}").fetchall()[0]
            return {"kind": "number", **dict(zip(names, found, strict=True))}
        total, known = self.db.sql(f"SELECT count(*), count({name}) FROM {table}").fetchall()[0]
        counts = f"(SELECT {name} AS value, count(*) AS times FROM {table} WHERE {name} IS NOT NULL GROUP BY value)"
        (distinct,) = self.db.sql(f"SELECT count(*) FROM {counts}").fetchall()[0]
        query = f"FROM {counts} ORDER BY times DESC, value LIMIT {diff.FREQUENT}"
        frequent = [{"value": value, "share": times / max(1, known)} for value, times in self.db.sql(query).fetchall()]
        kind_name = "integer" if pa.types.is_integer(kind) else "text"
        return {"kind": kind_name, "missing": total - known, "distinct": distinct, "frequent": frequent}


def _all(marks: id_sets.Marks) -> tuple[int, str]:
    return marks.count, hashlib.sha256(marks.between(0, marks.total).tobytes()).hexdigest()


def _content(path: Path) -> list[str]:
    """The hash of the identities, and of each column of numbers, in order, however they lie in row groups."""
    names = ["row_id", *NUMBERS, "y"]
    found = {name: hashlib.sha256() for name in names}
    for batch in row_groups.batches(path, names):
        found["row_id"].update(rows.ids_of(batch["row_id"]).tobytes())
        for name in names[1:]:
            found[name].update(batch[name].to_numpy().tobytes())
    return [one.hexdigest() for one in found.values()]


SIDES: dict[str, Callable[[Path, int], Ours]] = {"ours": Ours, "duckdb": Duckdb}
WHAT = ("survey", "marked", "rows", "ordered", "columns")


def measured(side: str, what: str, folder: Path, megabytes: int) -> tuple[Any, float, float, float]:
    """The answer of a process, its seconds, its seconds of the processor, and its peak memory in MB."""
    start, answer, out = time.perf_counter(), folder / "answer.json", folder / "out.parquet"
    process = subprocess.Popen([sys.executable, __file__, "--one", side, what, folder, str(megabytes)])
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    assert status == 0, f"{side} {what} with {megabytes} MB ended with {status}"
    result, peak = json.loads(answer.read_text())
    if out.exists():
        result = _content(out)
    for left in (folder / "rows.duckdb", out):
        left.unlink(missing_ok=True)
    return result, seconds, usage.ru_utime + usage.ru_stime, peak


def compare(folder: Path, what: str) -> str:
    found: dict[str, list[Any]] = {side: [] for side in SIDES}
    limit = 0
    for _ in range(ROUNDS):
        for side, runs in found.items():
            runs.append(measured(side, what, folder, limit))
            limit = limit or int(runs[0][3]) - LIBRARIES
    ours, other = found.values()
    cells = [f"{limit}"]
    for index in (1, 2, 3):
        cells += [f"{statistics.median(run[index] for run in runs):.1f}" for runs in (ours, other)]
        cells.append(f"{statistics.median(b[index] / a[index] for a, b in zip(ours, other, strict=True)):.2f}")
    same = all(a[0] == b[0] for a, b in zip(ours, other, strict=True))
    return " | ".join([*cells, "yes" if same else f"within {_distance(ours[0][0], other[0][0]):.0e}"])


def _distance(one: Any, other: Any) -> float:
    """The largest difference of two numbers in the same place, as a share; infinite where anything else differs."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return max(_distance(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return max(map(_distance, one, other), default=0.0)
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) / max(1.0, abs(one))
    return 0.0 if one == other else float("inf")


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--one"]:
        _, side, what, folder, megabytes = arguments
        answer = getattr(SIDES[side](Path(folder), int(megabytes)), what)()
        (peak,) = re.findall(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())  # ru_maxrss counts a parent's
        (Path(folder) / "answer.json").write_text(json.dumps([answer, int(peak) / 1024]))
        return
    print(f"{date.today()}, duckdb {duckdb.__version__}, {os.cpu_count()} cores\n")
    print(
        "| rows | what | limit | s | duckdb | ratio | processor | duckdb | ratio | peak, MB | duckdb | ratio | same |"
    )
    print("| ---: | --- |" + " ---: |" * 10 + " --- |")
    for total in map(int, arguments or ["2000000", "6000000"]):
        with tempfile.TemporaryDirectory() as temporary:
            make(Path(temporary), total)
            for what in WHAT:
                print(f"| {total:,} | {what} | {compare(Path(temporary), what)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
