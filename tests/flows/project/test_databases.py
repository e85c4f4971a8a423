"""A database that is not whole is named and left as it is."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import psutil
import pytest

from flows.project import databases
from flows.project.environment import Project
from flows.records import ledger
from flows.servers.lifecycle import Server
from flows.tracking import mlflow_runs
from pipelines.errors import IntegrityError
from tests.support.clone import clone, ratchet


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "mlflow" / "mlflow.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as opened:
        opened.execute("PRAGMA journal_mode = WAL")
        opened.execute("CREATE TABLE a (b)")
        opened.execute("INSERT INTO a VALUES (randomblob(200000))")
        opened.commit()
    return path


def test_a_whole_one_passes_also_while_it_is_written(database):
    assert databases.damage(database) == ""
    assert databases.damage(database.with_name("not there")) == ""
    with closing(sqlite3.connect(database)) as opened:
        opened.execute("INSERT INTO a VALUES (randomblob(200000))")
        assert databases.damage(database) == ""
        opened.commit()
        assert databases.damage(database) == ""


@pytest.mark.parametrize("kept", [0, 1, 50, 99, 100, 4096, 100_000, -1])
def test_one_that_was_cut_off_is_named_and_nothing_is_written_to_it(database, kept):
    content = database.read_bytes()[:kept]
    database.write_bytes(content)
    refused(database, content)


@pytest.mark.parametrize("content", [b"garbage " * 1000, b"\0" * 8192], ids=["garbage", "zeros"])
def test_one_that_is_none_is_named_and_nothing_is_written_to_it(database, content):
    database.write_bytes(content)
    refused(database, content)


def test_an_empty_ledger_is_one_without_lines(tmp_path):
    """A crash before its first line leaves such a file; that lines were lost, the aliases tell."""
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "mlflow" / "ledger.db").touch()
    assert ledger.of(Project(tmp_path, tmp_path / ".ratchet", "", "")).lines("digits") == []


def test_what_a_database_that_is_gone_left_beside_it_is_not_taken_into_the_new_one(database):
    for ending in ("-wal", "-journal"):
        database.with_name(database.name + ending).write_bytes(b"of the old one")
    database.unlink()
    assert databases._fresh(database) == database.with_name(".mlflow.db.partial")
    assert sorted(path.name for path in database.parent.iterdir()) == ["mlflow.db-journal.old", "mlflow.db-wal.old"]


def refused(path, content: bytes) -> None:
    project = Project(path.parent.parent, path.parent.parent / ".ratchet", "", "")
    with pytest.raises(IntegrityError, match=rf"{path} is a damaged database: .*Nothing was written to it. Restore it"):
        mlflow_runs.client(project)
    book = path.with_name("ledger.db")
    book.write_bytes(content)
    if content:
        with pytest.raises(IntegrityError, match=rf"{book} is a damaged database"):
            ledger.of(project).lines("digits")
    assert path.read_bytes() == book.read_bytes() == content
    assert sorted(found.name for found in path.parent.iterdir()) == ["ledger.db", "mlflow.db"]


def test_a_clock_that_was_set_makes_no_stranger_of_a_server():
    started, booted = psutil.Process().create_time(), psutil.boot_time()
    ours = Server("prefect", "http://a", os.getpid(), started, booted)
    assert ours.alive()
    for step in (3600, -86400):  # what was recorded by the clock as it stood before
        assert replace(ours, started=started + step, booted=booted + step).alive()
        assert not replace(ours, started=started + step).alive()


def test_of_a_traceback_the_error_is_told():
    assert (
        databases.last_line("Traceback (most recent call last):\n  File ...\nValueError: no.\n\n") == "ValueError: no"
    )
    assert databases.last_line(" \n") == "it printed nothing"


LEFT_OPEN = """
import os, sqlite3, sys
made = sqlite3.connect(sys.argv[1])
made.execute("PRAGMA journal_mode = WAL")
made.execute("CREATE TABLE a (b)")
made.commit()
os._exit(0)  # as Prefect's migration: nothing is written back from the log beside the database
"""


def test_the_first_of_prefect_is_whole_when_it_gets_its_name(tmp_path):
    project = Project(tmp_path, tmp_path, "", "")
    (tmp_path / "locks").mkdir()

    def migrate(url: str) -> None:
        path = url.removeprefix("sqlite+aiosqlite:///")
        subprocess.run([sys.executable, "-c", LEFT_OPEN, path], check=True)
        assert os.path.getsize(f"{path}-wal")

    databases.make_prefect(project, migrate)
    (found,) = [path for path in project.prefect_home.iterdir() if path.stat().st_size]
    assert found == databases.of_server(project, "prefect")
    with closing(sqlite3.connect(found)) as opened:
        assert opened.execute("SELECT count(*) FROM a").fetchall() == [(0,)]
    databases.make_prefect(project, lambda url: pytest.fail("it is there"))


def test_one_that_could_not_be_made_leaves_nothing(tmp_path):
    project = Project(tmp_path, tmp_path, "", "")
    (tmp_path / "locks").mkdir()

    def migrate(url: str) -> None:
        open(url.removeprefix("sqlite+aiosqlite:///"), "w").close()
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        databases.make_prefect(project, migrate)
    assert list(project.prefect_home.iterdir()) == []


def test_the_first_command_of_a_clone_says_nothing_of_databases(tmp_path):
    """MLflow is imported before the project is entered, and would tell of each table that it makes."""
    done = ratchet(clone(tmp_path), "status")
    assert (done.returncode, done.stderr) == (0, "")
