"""Data: every version of a model's data with what was trained on it, and what two of them do not share."""

import json
import re
import subprocess
from collections import Counter
from contextlib import chdir
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from flows.cli.commands import data as data_command
from flows.data import diff
from flows.data.versions import data, find
from flows.graph import lockfile, pipeline
from flows.project.environment import Project
from flows.registry import model_registry
from flows.tracking import mlflow_runs, publish
from flows.tracking.mlflow_runs import MlflowClient
from pipelines import model_file
from pipelines.errors import RequestError
from pipelines.table import id_sets, row_groups
from tests.support import golden
from tests.support.clone import answer, called, command, environment, git, ratchet
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
        with pytest.raises(RequestError, match="weights has no data version: no run of it was published yet"):
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
        ("abcd", "'abcd' is the beginning of 2 data versions: abcd1aaaaaaa, abcd2aaaaaaa. Write more of it."),
        ("abc", "'abc' names no data version of others: write at least 4 digits of its hash, `champion` or `latest`."),
        ("", "'' names no data version of others"),
        ("first", "'first' names no data version of others"),
        ("abcd3", "No published run of others has used data whose hash begins with abcd3. `ratchet data others` lists"),
        ("champion", "others has no champion, and so no data of one."),
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
    same = data_command.data_text(shop.data(first, first)).splitlines()
    assert all("\x1b[2m" in line for line in same if "a, b" in line)
    assert sum("a, b" in line for line in same) == 4


def test_data_that_are_gone_from_the_cache_come_back_by_what_the_message_says(shop):
    pipeline.cached(shop.project, shop.first.digest).unlink()
    assert [one["cached"] for one in shop.data()["data"]] == [False, True, True]
    with pytest.raises(RequestError, match=r"If a remote of DVC's has them: `git tag") as error:
        shop.data("latest", "champion")
    assert f"The data {shop.first.data_hash[:8]} of pets are gone from DVC's cache here." in str(error.value)
    (repair,) = re.findall(r"`(.+)`", str(error.value))
    variables = environment(DVC_NO_ANALYTICS="1")
    subprocess.run(repair, shell=True, cwd=shop.project.root, env=variables, check=True, capture_output=True)
    assert shop.data("latest", "champion")["rows"]["only_b"] == 200
    assert git(shop.project.root, "tag") == ""


# ------------------------------------------------------------------ rows in common


def table(path: Path, **values: pa.Array) -> Path:
    found = pa.table(values)
    row_groups.write(path, found.schema, found.to_batches(max_chunksize=7))
    return path


def ids(path: Path, numbers: np.ndarray) -> Path:
    return table(path, row_id=pa.array([f"{number * 0x9E3779B97F4A7C15 % 2**128:032x}" for number in numbers.tolist()]))


@pytest.mark.parametrize("held", [5, 1000])
@pytest.mark.parametrize("seed", range(5))
def test_rows_are_counted_as_often_as_they_are_there(tmp_path, seed, held):
    random = np.random.default_rng(seed)
    a, b = random.integers(0, 20, 30), random.integers(10, 30, 50)
    found = diff.rows(ids(tmp_path / "a.parquet", a), ids(tmp_path / "b.parquet", b), held)
    one, other = Counter(a.tolist()), Counter(b.tolist())
    expected = {"only_a": one - other, "only_b": other - one, "both": one & other}
    assert found == {name: counts.total() for name, counts in expected.items()}


# ------------------------------------------------------------------ statistics


def statistics(path: Path, values: pa.Array) -> dict[str, Any]:
    table(path, x=values)
    return diff.statistics(path, pa.field("x", values.type))


def test_statistics_of_numbers_are_those_of_pandas(tmp_path):
    frame = pets(100)
    found = statistics(tmp_path / "x.parquet", pa.array(frame["age"], pa.float64(), from_pandas=True))
    described = frame["age"].describe()
    names = {"mean": "mean", "standard_deviation": "std", "smallest": "min", "largest": "max"}
    assert found["kind"] == "number"
    assert found["missing"] == frame["age"].isna().sum() > 0
    assert {name: found[name] for name in names} == pytest.approx({name: described[key] for name, key in names.items()})


@pytest.mark.parametrize("kind", ["float64", "string", "int64"])
def test_the_order_of_the_rows_does_not_matter(tmp_path, kind):
    values = np.random.default_rng(0).normal(0, 100, 500).round(9 if kind == "float64" else 0)
    values = pd.Series(values).astype({"string": str, "int64": int}.get(kind, float)).tolist()
    found = [statistics(tmp_path / f"{n}.parquet", pa.array(values[n:] + values[:n], kind)) for n in (0, 250)]
    assert found[0] == found[1]


def test_of_values_the_most_frequent_are_told_with_their_share_of_those_that_are_there(tmp_path):
    values = [7, 7, 7, 5, 5, 3, 3, 1, 9, 2, None, None]
    found = statistics(tmp_path / "x.parquet", pa.array(values, pa.int64()))
    assert (found["kind"], found["missing"], found["distinct"]) == ("integer", 2, 6)
    assert found["frequent"] == [
        {"value": value, "share": pytest.approx(share)}
        for value, share in [(7, 0.3), (3, 0.2), (5, 0.2), (1, 0.1), (2, 0.1)]
    ]


def test_of_images_the_brightness_is_told(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 12), np.uint8)
    found = statistics(tmp_path / "x.parquet", pa.array([image.tobytes() for image in pixels], pa.binary(12)))
    bright = pixels.mean(axis=1)
    assert (found["kind"], found["missing"]) == ("image", 0)
    assert (found["smallest"], found["largest"]) == (bright.min(), bright.max())
    assert found["mean"] == pytest.approx(pixels.mean())
    assert found["standard_deviation"] == pytest.approx(bright.std(ddof=1))
    entry = {"column": "x", "a": found, "b": found, "differs": False}
    shown = data_command._columns({"columns": [entry]}, ("number", "image"), data_command._of_numbers)
    assert shown.splitlines()[1].split()[:5] == ["x", "a,", "b", "brightness", "0"]


@pytest.mark.parametrize(
    ("values", "known"),
    [([None, None], 0), ([2.5], 3), ([1e308, 1e308], 2)],
    ids=["all are missing", "one row", "their sum is no number"],
)
def test_what_cannot_be_computed_is_none(tmp_path, values, known):
    found = statistics(tmp_path / "x.parquet", pa.array(values, pa.float64()))
    assert sum(found[name] is not None for name in ("mean", "standard_deviation", "smallest", "largest")) == known
    json.dumps(found, allow_nan=False)
    data_command._of_numbers(found)


def test_text_that_is_all_missing_has_no_values(tmp_path):
    found = statistics(tmp_path / "x.parquet", pa.array([None, None], pa.string()))
    assert found == {"kind": "text", "missing": 2, "distinct": 0, "frequent": []}
    assert data_command._of_values(found)["most frequent"] == "none"


def test_a_column_of_another_kind_differs_and_is_told_by_both(tmp_path):
    one = table(tmp_path / "a.parquet", x=pa.array([1.0, 2.0]))
    other = table(tmp_path / "b.parquet", x=pa.array(["[1]", "a long text " * 9]))
    (entry,) = diff.columns(one, other)
    assert ([entry[key]["kind"] for key in "ab"], entry["differs"]) == (["number", "text"], True)
    shown = data_command._columns({"columns": [entry]}, ("integer", "text"), data_command._of_values)
    assert "[1] 50.0%, a long text a long te... 50.0%" in shown


# ------------------------------------------------------------------ the command


def test_the_command_answers_and_refuses_in_one_paragraph(shop):
    root = shop.project.root
    assert answer(root, "data", "pets") == shop.data()
    done = ratchet(root, "data", "pets", "--diff", "latest", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: --diff takes two data versions, and '--json' is none. Write --diff A B.\n"
    done = called(root, "data", "pets", "--diff", "latest")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Option '--diff' requires 2 arguments." in done.stderr
