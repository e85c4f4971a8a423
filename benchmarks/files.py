"""Files: the same rows in every type and format, and inputs as people have them; what works, and what is refused.

    python benchmarks/files.py [SEED]

Part 1: each type of a column in each format. Part 2: 200 files with types, format and places of missing values drawn at
random. Part 3: `ratchet new --dry-run` on every table of ../shared/cases/tables, if there is one. Prints its seed.
"""

import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import pyarrow as pa  # noqa: E402

from pipelines.errors import RatchetError  # noqa: E402
from tests.pipelines.readers import same_rows  # noqa: E402

FILES = 200
CASES = ROOT.parent / "shared" / "cases" / "tables"


def main() -> int:
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else int(time.time())
    print(f"seed {seed}")
    with tempfile.TemporaryDirectory() as folder:
        wrong = [*types(Path(folder)), *drawn(Path(folder), random.Random(seed))]
    cases()
    print("\n".join(wrong) or "all rows that are the same have the same values and identities")
    return bool(wrong)


def types(folder: Path) -> Iterator[str]:
    """Each type of each column in each format, against the first; yields what differs."""
    print(f"\n{'column':10}{'type':34}parquet csv csv.gz tsv tsv.gz jsonl jsonl.gz")
    first = same_rows.tables()[0]
    wanted = same_rows.ingested(same_rows.written(first, folder / "first")[-3])
    for name, (_, kinds) in same_rows.TYPES.items():
        for place, column in enumerate(kinds):
            at = first.schema.get_field_index(name)
            paths = same_rows.written(first.set_column(at, name, column), folder / f"{name}{place}")
            found = {path.name.partition(".")[2]: _outcome(path, wanted) for path in paths}
            ordered = [found[end] for end in ("parquet", "csv", "csv.gz", "tsv", "tsv.gz", "jsonl", "jsonl.gz")]
            print(f"{name:10}{column.type!s:34.33}{' '.join('same' if not why else 'WRONG' for why in ordered)}")
            yield from (f"{name} as {column.type} in {end}: {why}" for end, why in found.items() if why)


def _outcome(path: Path, wanted: pa.Table) -> str:
    """ "" if the rows of a file are the wanted ones, else what is wrong."""
    try:
        found = same_rows.ingested(path)
    except RatchetError as error:
        return str(error)
    differ = [name for name in wanted.column_names if not found[name].equals(wanted[name])]
    return f"{', '.join(differ)} differ" if differ else ""


def drawn(folder: Path, draw: random.Random) -> Iterator[str]:
    """Files with the type of each column, the format and some rows drawn at random; yields what differs."""
    seen: Counter[str] = Counter()
    wanted = same_rows.ingested(same_rows.written(same_rows.tables()[0], folder / "wanted")[-3])
    for number in range(FILES):
        rows = sorted(draw.sample(range(len(same_rows.AT)), draw.randint(1, len(same_rows.AT))))
        table = pa.table(
            {name: draw.choice(kinds).take(pa.array(rows)) for name, (_, kinds) in same_rows.TYPES.items()}
        )
        path = draw.choice(same_rows.written(table, folder / f"drawn{number}"))
        why = _outcome(path, wanted.take(pa.array(rows)))
        seen[path.name.partition(".")[2]] += 1
        if why:
            yield f"file {number}, {path.name}, {table.schema}: {why}"
    print(f"\n{FILES} files drawn: {dict(seen)}")


def cases() -> None:
    """What `ratchet new` says of each table of the cases, by its last column."""
    if not CASES.is_dir():
        print(f"\n{CASES} is not there: skipped")
        return
    for path in sorted(CASES.iterdir()):
        last = re.split(r"[;,]", path.read_text(encoding="utf-8").splitlines()[0])[-1]
        command = ["new", "case", "--data", str(path), "--target", last, "--dry-run"]
        found = subprocess.run([sys.executable, "-m", "flows.cli", *command], cwd=ROOT, capture_output=True, text=True)
        said = "written" if found.returncode == 0 else " ".join(found.stderr.split())[:300]
        print(f"{path.name:32}{said}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
