"""The log behind a real server: what it acknowledges is kept, when it is killed too."""

import http.client
import json
import os
import signal
import threading

import pytest

from flows.serving.log import closing
from flows.serving.log.reading import AnsweredRows
from tests.support.served import versions
from tests.support.served.answered import EVER, NOON
from tests.support.served.models import pets_row
from tests.support.served.running import Running, server, until

pytestmark = pytest.mark.process
CLIENTS = 4


def ask(found: Running, number: int, told: dict[str, dict]) -> None:
    """One row after the other, each with its own weight, until the server is gone."""
    line = http.client.HTTPConnection("127.0.0.1", found.port, timeout=60)
    try:
        for place in range(10**9):
            row = pets_row(weight=number + place / 1000)
            line.request("POST", "/models/pets/predict", json.dumps(row), {"Content-Type": "application/json"})
            said = json.loads(line.getresponse().read())
            assert said["logged"]
            told[said["id"]] = said | {"weight": row["weight"]}
    except (OSError, http.client.HTTPException):
        return


def rows(state) -> list[dict]:
    with AnsweredRows(state / "answers", "pets", *EVER) as found:
        return [row for batch in found.batches() for row in batch.to_pylist()]


def test_every_answer_that_was_called_logged_outlives_a_kill_of_the_server(tmp_path):
    versions.promote(tmp_path)
    told: dict[str, dict] = {}
    with server(tmp_path) as found:
        clients = [threading.Thread(target=ask, args=(found, number, told)) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        until(lambda: len(told) > 300)
        os.kill(found.process.pid, signal.SIGKILL)
        for client in clients:
            client.join()
    for _ in range(2):
        kept = {row["id"]: row for row in rows(tmp_path)}
        assert len(rows(tmp_path)) == len(kept) <= len(told) + CLIENTS  # some were kept, and their answer never came
        for name, said in told.items():
            assert kept[name]["row"]["weight"] == said["weight"]
            assert (kept[name]["version"], kept[name]["prediction"]) == (said["version"], said["prediction"])
            assert abs(kept[name]["probability_dog"] - said["probabilities"]["dog"]) < 1e-7
        assert closing.close_all(tmp_path / "answers", NOON.date()) == []


def test_a_log_that_has_stopped_is_told_and_answers_go_on(tmp_path):
    versions.promote(tmp_path)
    (tmp_path / "answers").write_text("in the way")
    with server(tmp_path) as found:
        until(lambda: found.get("/ready").status_code == 200)
        said = found.post("/models/pets/predict", pets_row())
        assert (said.status_code, said.json()["logged"]) == (200, False)
        assert "answers" in found.get("/models/pets").json()["log"]
        assert 'ratchet_log_problem{model="pets"} 1.0' in found.get("/metrics").text
