"""`ratchet serve` the whole way: rows of the source file, promotions under load, a killed server, damaged files."""

import csv
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from flows.serving.log.reading import AnsweredRows
from tests.support import golden
from tests.support.clone import answer, command, edit, environment, ratchet
from tests.support.served.running import Running, answers, until

pytestmark = pytest.mark.long
CLIENTS = 4
LIVE_SECONDS = 5.0  # from a command's end until its version answers


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """The model `shop` with two versions of different answers; the second is champion."""
    folder = tmp_path_factory.mktemp("project")
    golden.shop(folder)
    edit(folder / "models" / "shop.yaml", "epochs: 3", "epochs: 9")
    assert answer(folder, "run", "shop")["version"] == 2
    if standing(folder)["champion"] != 2:
        answer(folder, "promote", "shop", "2", "--reason", "to have two")
    return folder


def standing(project: Path) -> dict[str, Any]:
    """What `ratchet status` says of the model."""
    return next(one for one in answer(project, "status")["models"] if one["model"] == "shop")


@pytest.fixture(scope="module")
def rows(project) -> list[dict[str, str]]:
    """Those of the source file, each value as the text that stands there."""
    with golden.incoming(project).open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def predicted(project, tmp_path_factory) -> dict[int, pd.DataFrame]:
    """What `ratchet predict` answers to the source file, by version."""
    place = tmp_path_factory.mktemp("predicted")
    found = {}
    for version in (1, 2):
        path = place / f"{version}.parquet"
        answer(project, "predict", "shop", str(golden.incoming(project)), str(path), "--version", str(version))
        found[version] = pd.read_parquet(path)
    assert (found[1]["probability_yes"] - found[2]["probability_yes"]).abs().max() > 0.01
    return found


@contextmanager
def serving(project: Path, *words: str) -> Iterator[Running]:
    """`ratchet serve shop`, ready."""
    errors = project / ".ratchet" / "errors"
    arguments = [sys.executable, "-m", "flows.cli", "serve", "shop", "--json", *words]
    with errors.open("w") as out:
        process = subprocess.Popen(
            arguments, cwd=project, env=environment(), stdout=subprocess.PIPE, stderr=out, text=True
        )
    try:
        line = process.stdout.readline()
        assert line, errors.read_text()
        found = Running(process, json.loads(line), errors)
        until(lambda: answers(found))
        until(lambda: found.get("/ready").status_code == 200)
        yield found
    finally:
        process.kill()
        process.wait()


@dataclass
class Load:
    """Clients that ask one row after another. answers: of each request the row's place, and the object that came."""

    url: str
    rows: list[dict[str, str]]
    answers: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def ask(self, first: int) -> None:
        with httpx.Client(timeout=60) as client:
            place = first
            while not self.stop.is_set():
                place = (place + 7) % len(self.rows)
                try:
                    found = client.post(f"{self.url}/models/shop/predict", json=self.rows[place])
                except httpx.TransportError as error:
                    if not self.stop.is_set():
                        self.failures.append(repr(error))
                    continue
                if found.status_code != 200:
                    self.failures.append(found.text)
                    continue
                self.answers.append((place, found.json()))


@contextmanager
def load(url: str, rows: list[dict[str, str]]) -> Iterator[Load]:
    found = Load(url, rows)
    clients = [threading.Thread(target=found.ask, args=(number,)) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield found
    finally:
        found.stop.set()
        for client in clients:
            client.join()


def version(found: Running) -> int:
    return int(found.get("/models/shop").json()["version"])


def probabilities(found: list[dict[str, Any]]) -> np.ndarray:
    return np.array([one["probabilities"]["yes"] for one in found])


def test_rows_of_the_source_file_get_the_answers_of_ratchet_predict(project, rows, predicted):
    with serving(project) as found:
        said = found.post("/models/shop/predict", rows).json()
        split = {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}
        as_mlflow = found.post("/models/shop/invocations", {"dataframe_split": split}).json()["predictions"]
        text = golden.incoming(project).read_bytes()
        headers = {"Content-Type": "text/csv"}
        as_csv = found.post("/models/shop/invocations", content=text, headers=headers).json()["predictions"]
    assert said["version"] == 2
    wanted = predicted[2]
    assert [one["prediction"] for one in said["answers"]] == wanted["prediction"].tolist()
    np.testing.assert_allclose(probabilities(said["answers"]), wanted["probability_yes"], rtol=0, atol=1e-5)
    for one in (as_mlflow, as_csv):
        assert [entry["prediction"] for entry in one] == wanted["prediction"].tolist()
        found_yes = [entry["probability_yes"] for entry in one]
        np.testing.assert_allclose(found_yes, wanted["probability_yes"], rtol=0, atol=1e-5)


def test_no_request_fails_while_versions_change_and_each_answer_is_that_of_the_version_it_names(
    project, rows, predicted
):
    with serving(project) as found, load(found.url, rows) as asked:
        for move in (["rollback", "shop"], ["promote", "shop", "2", "--reason", "again"]) * 2:
            champion = answer(project, *move)["champion"]
            moved = time.monotonic()
            until(lambda champion=champion: version(found) == champion)
            assert time.monotonic() - moved < LIVE_SECONDS
            count = len(asked.answers)
            until(lambda count=count: len(asked.answers) > count + 50)
    assert asked.failures == []
    assert len(asked.answers) > 500
    print(f"{len(asked.answers)} requests over four moves")
    assert {one["version"] for _, one in asked.answers} == {1, 2}
    for number in (1, 2):
        of_version = [(place, one) for place, one in asked.answers if one["version"] == number]
        wanted = predicted[number].iloc[[place for place, _ in of_version]]
        told = probabilities([one for _, one in of_version])
        np.testing.assert_allclose(told, wanted["probability_yes"], rtol=0, atol=1e-5)


def test_a_killed_server_loses_no_row_that_it_said_was_logged(project, rows):
    first = datetime.now(UTC).date()
    with serving(project) as found, load(found.url, rows) as asked:
        until(lambda: len(asked.answers) > 300)
        found.process.send_signal(signal.SIGKILL)
        found.process.wait()
        asked.stop.set()
    logged = [one["id"] for _, one in asked.answers if one["logged"]]
    assert len(logged) == len(asked.answers)
    with serving(project):
        pass  # closes what the killed one left
    kept = ids(project / ".ratchet" / "answers", first)
    assert len(kept) == len(set(kept))
    assert set(logged) <= set(kept)


def ids(folder: Path, first: date) -> list[str]:
    with AnsweredRows(folder, "shop", first, datetime.now(UTC).date()) as found:
        return [one for batch in found.batches() for one in batch.column("id").to_pylist()]


def test_a_version_that_was_damaged_does_not_answer_and_the_one_before_stays(project, rows):
    with serving(project) as found:
        before = found.post("/models/shop/predict", rows[0]).json()
        live = project / ".ratchet" / "serving" / "shop" / "live.json"
        content = json.loads(live.read_text())
        graph = live.parent / content["folder"] / "serving" / "model.onnx"
        whole = graph.read_bytes()
        try:
            graph.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
            live.write_text(json.dumps(content) + "\n")
            until(lambda: found.get("/models/shop").json()["problem"])
            assert "model.onnx is not the recorded one" in found.get("/models/shop").json()["problem"]
            after = found.post("/models/shop/predict", rows[0]).json()
        finally:
            graph.write_bytes(whole)
        assert (after["version"], after["probabilities"]) == (before["version"], before["probabilities"])
        live.write_text(json.dumps(content))
        until(lambda: found.get("/models/shop").json()["problem"] == "")


def test_an_alias_that_was_moved_by_hand_changes_no_answer_and_shows(project, rows):
    uri = f"sqlite:///{project}/mlflow/mlflow.db"
    store = MlflowClient(uri, uri)
    with serving(project) as found:
        champion = version(found)
        store.set_registered_model_alias("shop", "champion", str(3 - champion))
        try:
            assert command(project, "flows.deployment", "ensure", "shop").returncode == 1
            until(lambda: found.get("/models/shop").json()["problem"])
            assert "alias" in found.get("/models/shop").json()["problem"]
            assert found.post("/models/shop/predict", rows[0]).json()["version"] == champion
            assert "alias" in standing(project)["problem"]
        finally:
            store.set_registered_model_alias("shop", "champion", str(champion))
        assert command(project, "flows.deployment", "ensure", "shop").returncode == 0
        until(lambda: found.get("/models/shop").json()["problem"] == "")


def test_a_server_ends_in_order_and_a_model_that_is_not_there_is_refused(project):
    with serving(project) as found:
        assert found.stop() == 0
    done = ratchet(project, "serve", "shopp")
    assert done.returncode == 2
    assert "Did you mean 'shop'" in done.stderr
