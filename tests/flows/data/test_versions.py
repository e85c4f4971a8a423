"""Data: every version of a model's data with what was trained on it, and what two of them do not share."""

import json
import re
import subprocess
from contextlib import chdir
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flows.cli.commands import data as data_command
from flows.data.versions import data, find
from flows.graph import lockfile, pipeline
from flows.project.environment import Project
from flows.registry import model_registry
from flows.tracking import mlflow_runs, publish
from flows.tracking.mlflow_runs import MlflowClient
from pipelines import model_file
from pipelines.errors import RequestError
from pipelines.table import id_sets
from tests.support import golden
from tests.support.clone import called, command, environment, git, ratchet
from tests.support.world import World, pets

STAGES = """
stages:
  ingest:
    foreach: [pets]
    do:
      cmd: python -m pipelines ingest ${item}
      outs:
      - data/${item}/raw.parquet
"""
HEIGHTS = {"weight": "number", "height": "number", "colour": "category"}  # in place of the age


@dataclass
class Kept:
    """A data version as the tests made it."""

    data_hash: str
    rows: int
    digest: str  # DVC's hash of raw.parquet
    commit: str
    runs: list[str]


class Shop:
    """A project with DVC's cache and remote, MLflow's store and git, in which data were ingested and used."""

    def __init__(self, root: Path):
        self.world = World(root)
        self.world.declare()
        (root / "dvc.yaml").write_text(STAGES)
        (root / ".gitignore").write_text("*.parquet\n/mlflow/\n/.ratchet/\n/remote/\n/data/*/source/\n")
        self.project = Project(root=root, state=root / ".ratchet", tracking="", prefect="")
        for path in (self.project.state / "locks", root / "mlflow"):
            path.mkdir(parents=True)
        git(root, "init", "-q", "-b", "main")
        self.dvc("init", "-q")
        self.dvc("remote", "add", "-q", "-d", "there", str(root / "remote"))
        golden.store(self.project)
        self.store = mlflow_runs.client(self.project)
        self.store.create_registered_model("pets")

    def dvc(self, *arguments: str) -> None:
        done = command(self.project.root, "dvc", *arguments, DVC_NO_ANALYTICS="1")
        assert done.returncode == 0, done.stderr

    def ingest(self, frame: pd.DataFrame) -> Kept:
        """A version of the data, in DVC's cache and in a commit."""
        self.world.pin(frame)
        with chdir(self.project.root):
            folder = self.world.run("ingest")
        self.dvc("commit", "-q", "-f", "ingest@pets")
        git(self.project.root, "add", "-A")
        git(self.project.root, "commit", "-qm", "data")
        data_hash, _ = id_sets.survey(folder / "raw.parquet")
        digest = self.digests()["data/pets/raw.parquet"]
        return Kept(data_hash, len(frame), digest, git(self.project.root, "rev-parse", "HEAD"), [])

    def digests(self) -> dict[str, str]:
        return lockfile.digests(lockfile.entries(self.project, "pets"))

    def use(self, kept: Kept, model_hash: str, tagged: bool = True, published: str = "true") -> str:
        """A run on the data that were ingested last: what `publish` writes of them as tags, or, as it used to be, in
        files alone."""
        place = mlflow_runs.experiment(self.project, self.store, "pets")
        run_id = mlflow_runs.take_up(self.store, place, f"{model_hash} {kept.data_hash}", "a run", "here").info.run_id
        about = {"data_hash": kept.data_hash, "model_hash": model_hash, "commit": kept.commit, "published": published}
        folder = self.project.data("pets")
        if tagged:
            with chdir(self.project.root):
                declared = model_file.check("pets")
            tags = publish.of_data(declared, folder, self.digests())
        else:
            tags, report = {}, {"format": 1, "rows": {"raw": kept.rows}}
            (folder / "clean.json").write_text(json.dumps(report))
            files = [("definition", self.project.root / "dvc.lock"), ("definition", folder / "pin.json")]
            mlflow_runs.log_files(self.store, run_id, [*files, ("reports", folder / "clean.json")])
        for name, value in (tags | {f"ratchet.{name}": value for name, value in about.items()}).items():
            self.store.set_tag(run_id, name, value)
        self.store.set_terminated(run_id)
        kept.runs.append(run_id)
        return run_id

    def register(self, run_id: str, data_hash: str, model_hash: str) -> int:
        tags = {"ratchet.data_hash": data_hash, "ratchet.model_hash": model_hash}
        return int(self.store.create_model_version("pets", str(self.project.root), run_id, tags=tags).version)

    def data(self, *words: str) -> dict[str, Any]:
        with chdir(self.project.root):
            return data(self.project, "pets", (words[0], words[1]) if words else None)


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Shop:
    """Three versions of the data. On the first, without tags: versions 1 (deleted) and 2 (champion). On the second,
    which has 40 rows more and other colours: version 3, the model of version 2 again, and a run that did not end. On
    the third, of other columns: version 4."""
    shop = Shop(tmp_path_factory.mktemp("shop"))
    shop.first = shop.ingest(pets(200))
    for model_hash in ("m1", "m2"):
        shop.register(shop.use(shop.first, model_hash, tagged=False), shop.first.data_hash, model_hash)
    shop.store.delete_model_version("pets", "1")
    shop.store.set_registered_model_alias("pets", model_registry.CHAMPION, "2")
    shop.second = shop.ingest(more())
    shop.register(shop.use(shop.second, "m3"), shop.second.data_hash, "m3")
    shop.use(shop.second, "m2")
    shop.use(shop.second, "m9", published="false")
    shop.world.declare(data={"columns": HEIGHTS})
    (shop.project.root / "dvc.yaml").write_text(STAGES)
    shop.third = shop.ingest(pets(200).rename(columns={"age": "height"}))
    shop.register(shop.use(shop.third, "m4"), shop.third.data_hash, "m4")
    shop.dvc("push", "-q", "--all-commits")
    return shop


def more() -> pd.DataFrame:
    """The second version of the data."""
    found = pd.concat([pets(200), pets(40, seed=1)], ignore_index=True)
    return found.assign(colour=found["colour"].replace("black", "grey"))


def column(found: dict[str, Any], name: str) -> dict[str, Any]:
    return next(entry for entry in found["columns"] if entry["column"] == name)


# ------------------------------------------------------------------ the list


def test_each_data_version_is_told_once_with_what_was_trained_on_it_newest_last(shop):
    found = shop.data()
    assert (found["format"], found["model"]) == (1, "pets")
    first, second, third = found["data"]
    hashes = [kept.data_hash for kept in (shop.first, shop.second, shop.third)]
    assert [one["data_hash"] for one in found["data"]] == hashes
    assert [one["rows"] for one in found["data"]] == [200, 240, 200]
    assert (first["versions"], first["champion"]) == ([2], True)  # version 1 was deleted
    assert (second["versions"], second["champion"]) == ([2, 3], True)  # version 2 was made on both
    assert (third["versions"], third["champion"]) == ([4], False)
    assert [one["run_id"] for one in found["data"]] == [shop.first.runs[1], shop.second.runs[1], shop.third.runs[0]]
    assert {one["source"] for one in found["data"]} == {"data/incoming/pets/"}
    assert [one["cached"] for one in found["data"]] == [True] * 3
    started = shop.store.get_run(shop.first.runs[0]).info.start_time
    assert datetime.fromisoformat(first["first_used"]) == datetime.fromtimestamp(started // 1000, UTC)


def test_the_list_needs_no_file_of_a_run_that_has_the_tags(shop):
    assert shop.store.list_artifacts(shop.second.runs[1]) == []
    entry = shop.data()["data"][1]
    assert (entry["rows"], entry["source"], entry["cached"]) == (240, "data/incoming/pets/", True)


def test_a_run_without_tags_and_files_is_told_as_not_known(shop):
    run_id = shop.use(Kept("f" * 64, 1, "", "", []), "m7", tagged=False)
    for path in shop.project.mlflow_artifacts.glob(f"pets/{run_id}/artifacts/*/*"):
        path.unlink()
    try:
        entry = shop.data()["data"][-1]
        assert [entry[key] for key in ("rows", "source", "versions", "cached")] == [None, None, [], False]
        assert "not known" in data_command.data_text(shop.data())
    finally:
        shop.store.delete_run(run_id)


def test_the_list_in_words(shop):
    lines = data_command.data_text(shop.data()).splitlines()
    assert lines[0].split() == ["data", "first", "used", "rows", "versions", "champion", "cached", "source"]
    assert lines[2].startswith(f"{shop.second.data_hash[:8]}  20")
    assert lines[2].split()[3:] == ["240", "2,", "3", "yes", "yes", "data/incoming/pets/"]
    assert lines[3].split()[3:] == ["200", "4", "yes", "data/incoming/pets/"]


def test_a_model_that_never_ran_has_no_data_yet(shop):
    with chdir(shop.project.root):
        shop.world.declare("weights")
        (shop.project.root / "dvc.yaml").write_text(STAGES)
        found = data(shop.project, "weights", None)
        assert found == {"format": 1, "model": "weights", "data": []}
        assert data_command.data_text(found) == "weights: no run has been published yet"
        with pytest.raises(RequestError, match="weights has no data version, because no run of it was published yet"):
            data(shop.project, "weights", ("champion", "latest"))
        assert shop.store.get_experiment_by_name("weights") is None  # it was only looked at


@pytest.mark.parametrize("name", ["pet", "no_such_model"])
def test_an_unknown_model_is_refused(shop, name):
    with chdir(shop.project.root), pytest.raises(RequestError, match=f"There is no model '{name}'"):
        data(shop.project, name, None)


# ------------------------------------------------------------------ which one is meant


def test_a_beginning_of_a_hash_champion_and_latest_name_the_newest_run_on_the_data(shop):
    second = shop.second.data_hash
    for word in (second, second[:4], second[:9].upper()):
        assert find(shop.store, "pets", word).info.run_id == shop.second.runs[1]
    assert find(shop.store, "pets", "champion").info.run_id == shop.first.runs[1]
    assert find(shop.store, "pets", "latest").info.run_id == shop.third.runs[0]


def made_up(store: MlflowClient, model: str, *hashes: str) -> None:
    """Published runs of another model, of which there is nothing else."""
    place = store.create_experiment(model)
    for data_hash in hashes:
        run = store.create_run(place, tags={"ratchet.published": "true", "ratchet.data_hash": data_hash})
        store.set_terminated(run.info.run_id)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("abcd", "'abcd' fits 2 data versions: abcd1aaaaaaa, abcd2aaaaaaa. Write more digits."),
        ("abc", "'abc' names no data version of others: write at least 4 digits of its hash, `champion` or `latest`."),
        ("", "'' names no data version of others"),
        ("first", "'first' names no data version of others"),
        ("abcd3", "No published run of others has used data whose hash begins with abcd3. `ratchet data others` lists"),
        ("champion", "others has no champion, so `champion` names no data version."),
    ],
)
def test_a_word_that_names_none_or_more_than_one_is_refused(shop, word, said):
    if shop.store.get_experiment_by_name("others") is None:
        made_up(shop.store, "others", f"abcd1{'a' * 59}", f"abcd2{'a' * 59}")
    with pytest.raises(RequestError, match=re.escape(said)) as error:
        find(shop.store, "others", word)
    assert error.value.status == 2


# ------------------------------------------------------------------ two of them


def test_two_versions_share_rows_and_the_columns_that_differ_are_marked(shop):
    found = shop.data(shop.first.data_hash[:8], shop.second.data_hash[:8])
    frame, changed = more(), int((pets(200)["colour"] == "black").sum())
    assert found["rows"] == {"only_a": changed, "only_b": changed + 40, "both": 200 - changed}
    assert [found[key]["rows"] for key in "ab"] == [200, 240]
    assert [found[key]["data_hash"] for key in "ab"] == [shop.first.data_hash, shop.second.data_hash]
    assert [entry["column"] for entry in found["columns"]] == ["weight", "age", "colour", "animal"]
    assert all(entry["differs"] for entry in found["columns"])
    colours = column(found, "colour")["b"]
    share = (frame["colour"] == "grey").sum() / frame["colour"].notna().sum()
    assert {"value": "grey", "share": pytest.approx(share)} in colours["frequent"]
    assert colours["missing"] == frame["colour"].isna().sum()
    json.dumps(found, allow_nan=False)


def test_the_same_data_differ_in_nothing(shop):
    found = shop.data("champion", shop.first.data_hash)
    assert found["rows"] == {"only_a": 0, "only_b": 0, "both": 200}
    assert not any(entry["differs"] for entry in found["columns"])


def test_columns_that_only_one_has_are_named(shop):
    found = shop.data("champion", "latest")
    assert found["rows"] == {"only_a": 200, "only_b": 200, "both": 0}
    assert column(found, "age")["b"] is None
    assert column(found, "height")["a"] is None
    assert column(found, "height")["b"] == column(found, "age")["a"]
    assert [entry["column"] for entry in found["columns"] if entry["differs"]] == ["age", "height"]
    text = data_command.data_text(found)
    assert "  columns   only in a: age\n  columns   only in b: height\n" in text
    assert "so no row can be in both: the same row has the same columns" in text


def test_the_difference_in_words(shop, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    first, second = shop.first.data_hash[:8], shop.second.data_hash[:8]
    text = data_command.data_text(shop.data(first, second))
    assert text.startswith(f"pets: data {second} beside {first}\n  a         {first}, the champion's: 200 rows, first ")
    assert re.search(r"in both [1-9]\d*\n", text)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
    assert [line.split()[:4] for line in plain if line.startswith("age")] == [
        ["age", "a", "yes", "number"],
        ["age", "b", "yes", "number"],
    ]
    assert any(re.match(r"colour +b +yes +text +\d+ +3 +\w+ \d+\.\d%, ", line) for line in plain)
    dim = [line for line in text.splitlines() if "a, b" in line]
    assert all("\x1b[2m" in line for line in dim)


def test_two_names_of_the_same_data_are_said_to_be_that(shop):
    text = data_command.data_text(shop.data("champion", shop.first.data_hash[:8]))
    assert text.startswith(f"pets: both are the same data, {shop.first.data_hash[:8]}, the champion's: 200 rows")
    assert "\n" not in text


def test_data_that_are_gone_from_the_cache_come_back_by_what_the_message_says(shop):
    pipeline.cached(shop.project, shop.first.digest).unlink()
    assert [one["cached"] for one in shop.data()["data"]] == [False, True, True]
    with pytest.raises(RequestError, match=r"If a DVC remote has them: `git tag") as error:
        shop.data("latest", "champion")
    assert f"The data {shop.first.data_hash[:8]} of pets are not in DVC's cache here." in str(error.value)
    (repair,) = re.findall(r"`(.+)`", str(error.value))
    variables = environment(DVC_NO_ANALYTICS="1")
    subprocess.run(repair, shell=True, cwd=shop.project.root, env=variables, check=True, capture_output=True)
    assert shop.data("latest", "champion")["rows"]["only_b"] == 200
    assert git(shop.project.root, "tag") == ""


# ------------------------------------------------------------------ the command


def test_the_command_answers_and_refuses_in_one_paragraph(shop):
    root = shop.project.root
    assert json.loads(called(root, "data", "pets", "--json").stdout) == shop.data()
    done = ratchet(root, "data", "pets", "--diff", "latest", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: --diff takes two data versions, but '--json' is an option. Write --diff A B.\n"
    done = called(root, "data", "pets", "--diff", "latest")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Option '--diff' requires 2 arguments." in done.stderr
