"""The keeper: files are closed beside the answers, by one worker's process. And the key of hashed values."""

import time
from datetime import UTC, datetime, timedelta

import psutil
import pytest

from flows.serving.log import keeper, key, layout
from flows.serving.log.writer import Log
from pipelines.errors import IntegrityError
from tests.support import unprivileged
from tests.support.served.answered import KEY, answered, ids, version
from tests.support.world import PATIENCE

pytestmark = pytest.mark.process
LONG_AGO = datetime.now(UTC) - timedelta(days=2)


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(keeper, "EVERY", 0.02)


def wait(condition) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_day_that_is_over_is_closed_though_no_request_comes(tmp_path):
    log = Log(tmp_path, 0, KEY)
    assert log.write(answered([{"age": 1}], version()), ["a"], LONG_AGO)
    log.start()
    wait(lambda: layout.closed_parts(tmp_path / "shop") and not layout.open_parts(tmp_path / "shop"))
    assert ids(tmp_path) == ["a"]
    assert log.write(answered([{"age": 2}], version()), ["b"], datetime.now(UTC))
    assert ids(tmp_path) == ["a", "b"]
    log.close()


def test_another_worker_ends_its_file_and_leaves_the_closing_to_the_first(tmp_path):
    log = Log(tmp_path, 1, KEY)
    assert log.write(answered([{"age": 1}], version()), ["a"], LONG_AGO)
    (part,) = layout.open_parts(tmp_path / "shop")
    assert not layout.finished(part)
    log.start()
    wait(lambda: layout.finished(part))
    log.close()
    assert layout.open_parts(tmp_path / "shop") == [part]


REFUSED = """
import time
from pathlib import Path
from flows.serving.log import keeper, layout
from tests.support.served.answered import *
keeper.EVERY = keeper.AGAIN = 0.02
answers = Path("answers")
old = Log(answers, 1, KEY)
assert write(old, [{"age": 1}])
old.close()
(answers / "shop").chmod(0)
log = Log(answers, 0, KEY)
log.start()
time.sleep(0.2)
(answers / "shop").chmod(0o700)
end = time.monotonic() + 120
while not layout.closed_parts(answers / "shop"):
    assert time.monotonic() < end
    time.sleep(0.02)
log.close()
"""


def test_a_folder_that_may_not_be_read_is_told_and_looked_at_again(tmp_path):
    done = unprivileged.python(REFUSED, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "the log of the answers cannot be closed now: [Errno 13] Permission denied" in done.stderr


def test_without_a_finished_file_no_process_is_started_at_once(tmp_path):
    log = Log(tmp_path, 0, KEY)
    assert log.write(answered([{"age": 1}], version()), ["a"], datetime.now(UTC))
    before = psutil.Process().children()  # of tests that ran in this process: a fork server stays
    log.start()
    time.sleep(0.1)
    assert set(psutil.Process().children()) <= set(before)
    log.close()


def test_the_key_is_made_once_and_its_user_alone_may_read_it(tmp_path):
    found = key.of(tmp_path)
    assert len(found) == 32
    assert key.of(tmp_path) == found != key.of(_folder(tmp_path / "other"))
    assert (tmp_path / "answers-key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.chmod(0o644), "can be read or written by other users"),
        (lambda path: path.write_text("short"), "holds no key"),
        (lambda path: path.write_text("ab"), "holds no key"),
    ],
)
def test_a_key_that_others_know_or_that_is_none_is_refused(tmp_path, damage, message):
    key.of(tmp_path)
    damage(tmp_path / "answers-key")
    with pytest.raises(IntegrityError, match=message):
        key.of(tmp_path)


def _folder(path):
    path.mkdir()
    return path
