"""Shortage: a full disk, a missing right and too little memory are named as such, whoever says so."""

import errno
import os
import re
import resource
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy

from pipelines.safety import shortage
from tests.support.clone import ROOT, environment


def system(number: int, name: str | None = None) -> OSError:
    return OSError(number, os.strerror(number), name)


def around(cause: BaseException) -> BaseException:
    """A library's error that the cause led to."""
    try:
        raise RuntimeError("it failed") from cause
    except RuntimeError as error:
        return error


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, r"^The disk at /\S* is full, or a quota .* free\): {} could not be written. Make room there"),
        (errno.EDQUOT, r"is full, or a quota on it is used up"),
        (errno.EROFS, r"^{} cannot be written: it or its disk \(mounted at /"),
        (errno.EACCES, r"^The user \w+ may not read or write {}\. Give this user the right"),
        (errno.EFBIG, r"^{} would exceed the largest size of a file here"),
        (errno.EIO, r"failed to read or to write {}: an input/output error"),
        (errno.ENOMEM, r"^Out of memory"),
    ],
)
def test_a_number_of_the_system_is_told_with_file_disk_and_what_to_do(tmp_path, number, words):
    file = str(tmp_path / "a")
    found = shortage.of(around(around(system(number, file))))
    assert re.search(words.format(re.escape(file)), str(found))
    assert "\n" not in str(found)


def test_a_disk_that_is_really_full_is_told():
    with pytest.raises(OSError, match="No space left") as full, open("/dev/full", "wb", buffering=0) as file:
        file.write(b"x")
    assert "/var/a/b could not be written" in str(shortage.of(full.value, [Path("/var/a/b")]))


def test_sqlites_words_are_understood_inside_an_error_of_sqlalchemy(tmp_path):
    path = tmp_path / "a.db"
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE a (b)")
        connection.exec_driver_sql("PRAGMA max_page_count = 2")
        with pytest.raises(sqlalchemy.exc.OperationalError) as full:
            connection.exec_driver_sql("INSERT INTO a VALUES (randomblob(100000))")
    engine.dispose()
    assert "is full, or a quota on it is used up" in str(shortage.of(full.value, [path]))
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as closed, pytest.raises(sqlite3.Error) as only:
        closed.execute("CREATE TABLE c (d)")
    assert f"{path} cannot be written: it or its disk" in str(shortage.of(only.value, [path]))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Traceback ...\nsqlite3.OperationalError: database or disk is full\n[SQL: CREATE TABLE a]", "is full"),
        ("OSError: [Errno 28] No space left on device: '/srv/a b/c'", "/srv/a b/c could not be written"),
        ("HDF5: unable to write (errno = 28, error message = 'No space left on device')", "is full"),
        ("terminate called after throwing an instance of 'std::bad_alloc'", "Out of memory"),
    ],
)
def test_what_a_process_said_before_it_died_is_understood(tmp_path, text, words):
    assert words in str(shortage.of_text(text, [tmp_path]))


def test_in_a_group_of_errors_it_is_found():
    assert "is full" in str(shortage.of(ExceptionGroup("two", [ValueError("a"), system(errno.ENOSPC, "/tmp/a")])))


def test_another_error_is_none():
    hidden = ValueError("a")
    hidden.__context__, hidden.__suppress_context__ = system(errno.EACCES, "/tmp/a"), True
    for error in (ValueError("no space left for words"), ConnectionRefusedError(111, "refused"), hidden):
        assert shortage.of(error) is None
    command = RuntimeError("failed to run: python -c 'No space left on device'")
    assert shortage.of(command, words=False) is None
    assert shortage.of_text("all is well", [Path("/tmp")]) is None


def limited(code: str, kind: int, most: int, where: Path) -> subprocess.CompletedProcess[str]:
    """Run a stage whose work is `code`, in a process that has such a limit."""
    stage = f"import sys, pipelines.clean as c; c.run = lambda model: {code}\n"
    stage += "from pipelines.__main__ import main; sys.exit(main(['clean', 'pets']))"
    return subprocess.run(
        [sys.executable, "-c", stage],
        cwd=where,
        env=environment(PYTHONPATH=str(ROOT)),
        preexec_fn=lambda: resource.setrlimit(kind, (most, most)),
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("code", "kind", "most", "words"),
    [
        ("bytearray(8 << 30)", resource.RLIMIT_AS, 4 << 30, "error: Out of memory: this needs more than is free here"),
        ("open('big', 'wb').write(bytes(1 << 20))", resource.RLIMIT_FSIZE, 1 << 16, "largest size of a file here"),
        ("open('/dev/full', 'wb', 0).write(b'x')", resource.RLIMIT_CORE, 0, "error: The disk at /"),
    ],
    ids=["memory", "size of a file", "full disk"],
)
def test_a_stage_says_it_in_one_line(world, code, kind, most, words):
    done = limited(code, kind, most, world.root)
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_stage_that_has_no_room_for_its_words_still_fails_with_its_status(world):
    (world.root / "log.error").symlink_to("/dev/full")
    code = "import sys, os; os.environ['RATCHET_STAGE_LOG'] = 'log'\n"
    code += "from pipelines.__main__ import main; sys.exit(main(['clean', 'pets']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=world.root, env=environment(PYTHONPATH=str(ROOT)))
    assert done.returncode == 1
    assert (world.root / "log").exists()
