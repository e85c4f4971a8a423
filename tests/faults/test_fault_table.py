"""The table of the 40 faults in benchmarks/README.md is true: what it names is there, and no cell is empty."""

import ast
import re
import subprocess
import sys
from datetime import date

import pytest

from tests.support.clone import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
from faults import points

PAGE = (
    (ROOT / "benchmarks" / "README.md")
    .read_text(encoding="utf-8")
    .partition("## The 40 faults\n")[2]
    .partition("\n## ")[0]
)
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if re.match(r"\| \d+ \|", line)
]
CASES = [
    *(case.name for case in [*points.named(), *points.stopped(), *points.without_room(), *points.disks()]),
    *(case.name for case in points.moments(["digits"], 3, points.random.Random(1))),
]


def test_there_are_forty_in_order_and_no_cell_is_empty():
    assert [row[0] for row in ROWS] == [str(number) for number in range(1, 41)]
    for row in ROWS:
        assert len(row) == 5, row
        assert all(row), row
        date.fromisoformat(row[4])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_what_a_row_names_is_there(row):
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row[2])
    words = re.findall(r"`faults\.py (.+?)`", row[2])
    for path, name in named:
        assert name in functions(path), f"{path} has no test {name}"
    for text in words:
        assert any(text.strip('"') in case for case in CASES), f"no case of benchmarks/faults.py holds {text}"
    assert named or words


def functions(path: str) -> set[str]:
    """The names of the tests of a file, those in classes too."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_each_step_of_a_run_is_stopped_and_each_folder_that_it_writes_to_is_full():
    assert set(points.STEPS) >= {"ingest", "validate", "clean", "check", "train", "evaluate", "publish", "export"}
    assert {case.disk for case in points.disks()} == {
        ".", ".dvc", ".ratchet", ".ratchet/prefect", "data/digits", "mlflow", "tmp",
    }  # fmt: skip


def test_the_same_seed_gives_the_same_moments_spread_over_a_run():
    one, other = (points.moments(["digits", "long"], 60, points.random.Random(7)) for _ in range(2))
    assert one == other
    shares = sorted(case.faults[0].share for case in one)
    assert all(index <= 60 * share < index + 1 for index, share in enumerate(shares))


def test_every_point_is_there_and_is_what_a_run_calls():
    """Also after DVC's own functions were replaced (flows/graph/content.py): one that nobody calls is no case."""
    every = [*points.named(), *points.stopped(), *points.without_room(), *points.disks()]
    named = sorted({fault.point for case in every for fault in case.faults if fault.point})
    assert len(named) > 30
    done = subprocess.run([sys.executable, "-c", RESOLVED, *named], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


RESOLVED = """
import importlib, sys
from operator import attrgetter
def at(point):
    module, _, name = point.partition(":")
    return attrgetter(name)(importlib.import_module(module))
before = {point: at(point) for point in sys.argv[1:]}
from flows.graph import content
content.install()
print(*(point for point, found in before.items() if at(point) is not found), sep="\\n", end="")
"""
