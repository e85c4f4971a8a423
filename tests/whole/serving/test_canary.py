"""A canary from its run to its end, by the real server: promoted, ended, and not to be loaded; and no request fails."""

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from scipy import stats

from tests.support import golden
from tests.support.clone import answer, clone, edit, git
from tests.support.served.running import Running, until
from tests.whole.serving.test_serve import serving, standing

pytestmark = pytest.mark.long
CALLERS, ROWS, SHARE = 160, 2, 0.4
PAUSE = 2.0  # seconds after each round: a run has to come to its end meanwhile
OTHER = {"yes": "no", "no": "yes"}


def sales() -> pd.DataFrame:
    found = golden.sales(CALLERS * ROWS)
    return found.assign(who=[f"w{number % CALLERS}" for number in range(len(found))])


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """The model `shop`, whose sales name a caller, after its first run; a candidate becomes a canary."""
    folder = tmp_path_factory.mktemp("project")
    golden.declare_shop(clone(folder))
    yaml = folder / "models" / "shop.yaml"
    edit(yaml, "age: number,", "age: number, who: carried,")
    edit(yaml, "at_least: 0.5", "at_least: 0.5, margin: 0.3")
    with yaml.open("a") as file:
        file.write(f"serve: {{canary: {{share: {SHARE}, key: [who], rows: 100}}}}\n")
    golden.sales(400).assign(who=[f"w{number % CALLERS}" for number in range(400)]).to_csv(
        golden.incoming(folder), index=False
    )
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "a shop")
    golden.store(golden._project(folder), "prefect")
    assert answer(folder, "run", "shop")["decision"] == "accepted"
    return folder


@dataclass
class Callers:
    """What callers got while they asked on. answers: (caller, version, id, prediction)."""

    answers: list[tuple[str, int, str, str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    rounds: int = 0

    def versions(self) -> dict[str, set[int]]:
        found = defaultdict(set)
        for who, version, *_ in self.answers:
            found[who].add(version)
        return dict(found)


@contextmanager
def calling(found: Running) -> Iterator[Callers]:
    """Every caller asks for one row after the other, by four connections, until the block ends."""
    whole = sales().drop(columns="bought").astype(object)
    rows = whole.where(whole.notna(), None).to_dict("records")
    kept, ended = Callers(), threading.Event()

    def ask(first: int) -> None:
        with httpx.Client(timeout=60) as client:
            while not ended.is_set():
                for row in rows[first::4]:
                    try:
                        said = client.post(f"{found.url}/models/shop/predict", json=row)
                    except httpx.HTTPError as error:
                        kept.failures.append(repr(error))
                        continue
                    if said.status_code != 200:
                        kept.failures.append(said.text)
                        continue
                    one = said.json()
                    kept.answers.append((row["who"], one["version"], one["id"], one["prediction"]))
                kept.rounds += 1
                ended.wait(PAUSE)

    with ThreadPoolExecutor(4) as pool:
        askers = [pool.submit(ask, number) for number in range(4)]
        try:
            yield kept
        finally:
            ended.set()
            for one in askers:
                one.result()


def candidate(project: Path, epochs: int) -> int:
    """A run whose model is another one. Returns its version, which is on trial."""
    yaml = project / "models" / "shop.yaml"
    before = next(line for line in yaml.read_text().splitlines() if line.startswith("train:"))
    wanted = before.split("epochs: ")
    edit(yaml, before, f"{wanted[0]}epochs: {epochs}{wanted[1].lstrip('0123456789')}")
    git(project, "commit", "-qam", f"{epochs} epochs")
    ran = answer(project, "run", "shop")
    assert ran["decision"] == "on trial", ran["reason"]
    return int(ran["version"])


def told(found: Running) -> dict[str, Any]:
    return dict(found.get("/models/shop").json()["trial"] or {})


def asked(callers: Callers, enough: int = 2) -> list[tuple[str, int, str, str]]:
    """The answers of some rounds from now on."""
    first, end = len(callers.answers), callers.rounds + 4 * enough
    until(lambda: callers.rounds >= end)
    return callers.answers[first:]


def label(project: Path, answers: list[tuple[str, int, str, str]], wrong: int | None = None) -> None:
    """Each answer was right; but those of the version `wrong` were not."""
    table = pd.DataFrame(answers, columns=["who", "version", "id", "label"])
    table.loc[table["version"] == wrong, "label"] = table["label"].map(OTHER)
    path = project.parent / "labels.csv"
    table[["id", "label"]].to_csv(path, index=False)
    assert answer(project, "label", "shop", str(path))["new"] == len(table)


def actions(project: Path) -> list[tuple[str, int]]:
    lines = answer(project, "history", "shop")["lines"]
    return [(line["action"], line["version"]) for line in lines if line["action"] not in ("noticed", "over")]


def test_a_canary_answers_its_callers_and_is_promoted_by_their_labels(project):
    with serving(project) as found, calling(found) as callers:
        second = candidate(project, 9)
        until(lambda: told(found) and not told(found)["problem"])
        answers = asked(callers)
        seen = defaultdict(set)
        for who, version, *_ in answers:
            seen[who].add(version)
        assert {len(versions) for versions in seen.values()} == {1}
        of_canary = sum(versions == {second} for versions in seen.values())
        low, high = stats.binom.interval(0.999, CALLERS, SHARE)
        assert len(seen) == CALLERS
        assert low <= of_canary <= high
        label(project, answers)
        answer(project, "watch", "shop")
        assert standing(project)["champion"] == second
        until(lambda: {version for _, version, *_ in asked(callers, 1)} == {second})
    assert callers.failures == []
    assert actions(project)[-2:] == [("on trial", second), ("accepted", second)]


def test_a_canary_that_is_worse_for_its_callers_ends_and_they_are_answered_by_the_champion(project):
    champion = standing(project)["champion"]
    with serving(project) as found, calling(found) as callers:
        worse = candidate(project, 6)
        until(lambda: told(found) and not told(found)["problem"])
        answers = asked(callers)
        assert {version for _, version, *_ in answers} == {champion, worse}
        label(project, answers, wrong=worse)
        answer(project, "watch", "shop")
        until(lambda: not told(found))
        assert {version for _, version, *_ in asked(callers, 1)} == {champion}
        assert standing(project)["champion"] == champion
    assert callers.failures == []
    assert actions(project)[-2:] == [("on trial", worse), ("rejected", worse)]


def test_a_canary_that_cannot_be_loaded_leaves_its_callers_to_the_champion_and_says_so(project):
    champion = standing(project)["champion"]
    broken = candidate(project, 7)
    live = json.loads((project / ".ratchet" / "serving" / "shop" / "live.json").read_text())
    folder = project / ".ratchet" / "serving" / "shop" / live["beside"]["folder"]
    graph = next(folder.rglob("*.onnx"))
    graph.chmod(0o600)
    graph.write_bytes(graph.read_bytes()[:-7])
    with serving(project) as found, calling(found) as callers:
        assert {version for _, version, *_ in asked(callers, 1)} == {champion}
        assert told(found)["version"] == broken
        assert told(found)["problem"]
        assert found.get("/ready").status_code == 200
        assert (
            f'ratchet_trial_problem{{model="shop",role="canary",version="{broken}"}} 1.0' in found.get("/metrics").text
        )
    assert callers.failures == []
    assert standing(project)["champion"] == champion
