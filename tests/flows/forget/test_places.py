"""git, databases, summaries and profiles: what tells of a person goes, and what others need stays."""

import json
import sqlite3
from contextlib import closing

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.forget import summaries
from flows.forget.places import databases, recorded_trees, registered, state_files
from flows.forget.traces import Traces
from flows.project import databases as projects
from tests.support.clone import git
from tests.support.finder import found

NAME = "maria.k@example.org"
TRACES = Traces({NAME})


@pytest.fixture
def repository(world):
    git(world.root, "init", "-q", "-b", "main")
    (world.root / "code.py").write_text("a = 1\n")
    git(world.root, "add", "code.py")
    git(world.root, "commit", "-q", "-m", "code")
    return world


def recorded(world, number: int) -> str:
    """A tree of a run, with a pin that holds a name, as a commit that only its ref names."""
    pin = world.root / "data" / "people" / "pin.json"
    pin.parent.mkdir(parents=True, exist_ok=True)
    pin.write_text(json.dumps({"reference": {"words": {NAME: number}}}))
    git(world.root, "add", "-f", "data/people/pin.json")
    commit = git(world.root, "commit-tree", git(world.root, "write-tree"), "-p", "HEAD", "-m", "The tree of a run")
    git(world.root, "update-ref", f"refs/ratchet/people/{number}", commit)
    git(world.root, "rm", "-q", "--cached", "data/people/pin.json")
    pin.unlink()
    return commit


@pytest.mark.parametrize("packed", [False, True])
def test_a_recorded_tree_keeps_its_code(repository, packed):
    commits = [recorded(repository, number) for number in (1, 2)]
    if packed:
        git(repository.root, "gc", "-q")
    head = git(repository.root, "rev-parse", "HEAD")
    removals, left = recorded_trees.look(repository, "people", TRACES)
    assert left == []
    for one in removals:
        one.do()
    assert found({NAME}, repository.root) == {}
    for number in (1, 2):
        assert git(repository.root, "ls-tree", "-r", "--name-only", f"refs/ratchet/people/{number}") == "code.py"
    assert git(repository.root, "rev-parse", "HEAD") == head
    assert "missing" not in git(repository.root, "fsck")
    for number, commit in enumerate(commits, 1):  # what MLflow recorded follows the ref
        now = recorded_trees.commit_of(repository, f"refs/ratchet/people/{number}", commit)
        assert now == git(repository.root, "rev-parse", f"refs/ratchet/people/{number}") != commit
    assert recorded_trees.look(repository, "people", TRACES) == ([], [])


def test_what_a_person_committed_is_said_and_stays(repository):
    (repository.root / "people.csv").write_text(f"name\n{NAME}\n")
    git(repository.root, "add", "people.csv")
    git(repository.root, "commit", "-q", "-m", "people")
    removals, left = recorded_trees.look(repository, "people", TRACES)
    assert removals == []
    assert left == ["git: people.csv in commits of your own branches"]


def test_what_other_models_recorded_stays(repository):
    recorded(repository, 1)
    git(repository.root, "update-ref", "refs/ratchet/others/1", "refs/ratchet/people/1")
    for one in recorded_trees.look(repository, "people", TRACES)[0]:
        one.do()
    assert git(repository.root, "ls-tree", "-r", "--name-only", "refs/ratchet/others/1").split() == [
        "code.py",
        "data/people/pin.json",
    ]


def test_rows_leave_the_database_its_free_pages_and_its_log(world):
    path = projects.of_server(world, "prefect")
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as open_one:
        open_one.execute("PRAGMA journal_mode = WAL")
        open_one.execute("PRAGMA secure_delete = OFF")
        open_one.execute("CREATE TABLE log (message TEXT)")
        open_one.execute("CREATE TABLE task_run_state (name TEXT, message TEXT NOT NULL, data JSON)")
        open_one.executemany(
            "INSERT INTO log VALUES (?)", [(f"row {n}: {NAME if n % 2 else 'x'}",) for n in range(400)]
        )
        open_one.execute("INSERT INTO task_run_state VALUES ('Failed', ?, ?)", (f"a {NAME}", json.dumps([NAME])))
        open_one.execute("DELETE FROM log WHERE rowid > 300")
        assert found({NAME}, world.root)
        removals, left = databases.look(world, TRACES)
        assert left == []
        for one in removals:
            one.do()
        databases.clean(world)
        assert found({NAME}, world.root) == {}
        assert open_one.execute("SELECT count(*) FROM log").fetchone() == (150,)
        assert open_one.execute("SELECT * FROM task_run_state").fetchall() == [("Failed", "", "null")]


def test_a_table_that_nobody_knows_is_said(world):
    path = projects.of_server(world, "mlflow")
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE tags (value TEXT)")
        made.execute("INSERT INTO tags VALUES (?)", (NAME,))
        made.commit()
    removals, left = databases.look(world, TRACES)
    assert removals == []
    assert left == ["mlflow/mlflow.db: 1 rows of the table tags"]


def test_the_explanations_of_a_run_are_found_by_a_row_that_answers_are_compared_with(tmp_path):
    row_id = "a" * 32
    for name in ("explanations", "reports"):
        (tmp_path / name).mkdir()
    pq.write_table(pa.table({"row_id": ["b" * 32, row_id], "x": [1, 2]}), tmp_path / "explanations/background.parquet")
    (tmp_path / "explanations" / "saliency.png").write_bytes(b"a picture")
    (tmp_path / "reports" / "page.html").write_text(f"row {row_id}")
    assert registered.in_run(tmp_path, Traces({row_id})) == (True, [tmp_path / "reports" / "page.html"])
    assert registered.in_run(tmp_path, Traces({"c" * 32})) == (False, [])


def test_a_summary_loses_points_with_their_counts(tmp_path):
    path = tmp_path / "day.parquet"
    line = {"name": "income", "points": [1.0, 48213.75, 5.0], "below": [1, 2, 3], "exact": True, "right": None}
    line |= {"words": ["x", NAME], "counts": [7, 1], "rows": 3}
    pq.write_table(pa.Table.from_pylist([line]).replace_schema_metadata({"format": "1"}), path)
    assert summaries.is_one(path)
    summaries.scrub(path, path, Traces({NAME, "48213.75"}))
    table = pq.read_table(path)
    (after,) = table.to_pylist()
    assert after == line | {"points": [1.0, 5.0], "below": [1, 3], "exact": False, "words": ["x"], "counts": [7]}
    assert table.schema.metadata[b"format"] == b"1"


def test_state_files_of_the_model_alone_are_changed(world):
    state = world.state
    for name, text in {
        "profile-people.json": json.dumps({"format": 1, "pin": "x", "at": "now", "columns": {"a": NAME}, "edges": {}}),
        "logs/runs/1/validate": f"such as {NAME}",
        "logs/prefect-server.log": f"one\n{NAME} failed\ntwo\n",
        "tested/people.jsonl": "{}\n",
    }.items():
        (state / name).parent.mkdir(parents=True, exist_ok=True)
        (state / name).write_text(text)
    for one in state_files.look(world, "people", TRACES):
        one.do()
    assert json.loads((state / "profile-people.json").read_text()) == {
        "format": 1,
        "pin": "x",
        "at": "now",
        "edges": {},
    }
    assert not (state / "logs/runs/1/validate").exists()
    assert (state / "logs/prefect-server.log").read_text() == "one\ntwo\n"
    assert (state / "tested/people.jsonl").exists()


def test_json_of_a_version_keeps_its_form():
    example = {"columns": ["name", "age"], "data": [[NAME, 30], ["x", 31]]}
    assert registered._scrubbed(example, TRACES)["data"] == [["x", 31]]
    columns = {"columns": [{"name": "email", "words": ["x", NAME], "least": NAME, "most": 3.5}]}
    after = {"columns": [{"name": "email", "words": ["x"], "least": None, "most": 3.5}]}
    assert registered._scrubbed(columns, TRACES) == after
