"""Two versions side by side: compared on the same rows only, noise called noise, and what differs named."""

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from flows.cli.commands.compare import compare_text
from flows.compare import compare, render, shared_rows
from flows.compare.shared_rows import OTHER_DEFINITION, OTHER_ROWS, Side
from flows.project.environment import Project
from flows.promotion.statistics import interval, resampling
from flows.tracking.evidence_files import Kept
from pipelines import evaluate, model_file
from pipelines.errors import RequestError
from pipelines.model.metrics import METRICS
from pipelines.safety import markdown
from tests.support.clone import answer, clone, edit, git, ratchet

RANDOM = np.random.default_rng(0)
IDS = [f"row {number}" for number in range(300)]
ACTUAL = dict(zip(IDS, np.where(RANDOM.random(300) < 0.4, "cat", "dog"), strict=True))
AGES = dict(zip(IDS, RANDOM.integers(0, 15, 300), strict=True))


@pytest.fixture(autouse=True)
def fewer_resamples(monkeypatch):
    """What is tested here holds for any number of them, and scikit-learn takes a millisecond for each."""
    monkeypatch.setattr(resampling, "RESAMPLES", 100)
    monkeypatch.setattr(interval, "SHOWN", 100)


def predictions(ids: list[str], wrong: int, seed: int = 0) -> pd.DataFrame:
    """Of pets: the first `wrong` rows are taken for the other animal. Sureness varies with the seed."""
    actual = [ACTUAL[name] for name in ids]
    other = {"cat": "dog", "dog": "cat"}
    said = [other[animal] if number < wrong else animal for number, animal in enumerate(actual)]
    sure = np.random.default_rng(seed).uniform(0.6, 0.99, len(ids))
    cat = np.where(np.array(said) == "cat", sure, 1 - sure).astype(np.float32)
    return pd.DataFrame(
        {"row_id": ids, "actual": actual, "prediction": said, "probability_cat": cat, "probability_dog": 1 - cat}
    )


def side(number: int, ids: list[str], wrong: int, fitted: list[str] | None = None, seed: int = 0, **more: Any) -> Side:
    """A version that was tested on `ids` and trained on `fitted`."""
    table = predictions(ids, wrong, seed)
    splits = [*["test"] * len(ids), *["train"] * len(fitted or [])]
    rows = pd.Series(splits, index=[*ids, *(fitted or [])], name="split")
    declared = model_file.check("pets")
    recorded = {"metrics": evaluate.score(table, declared.data, declared.evaluate.metrics), "test_hash": "all"}
    return Side(f"version {number}", Kept(rows, table), **(recorded | more))


def measure(one: Side, other: Side) -> dict[str, Any]:
    return shared_rows.measure(model_file.check("pets"), one, other)


def by_name(entries: list[dict[str, Any]], key: str = "metric") -> dict[str, dict[str, Any]]:
    return {entry[key]: entry for entry in entries}


def whole(found: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What `ratchet compare` would tell around it."""
    about = {"champion": False, "model_hash": "m", "run_id": "r", "registered_at": "", "decision": None}
    pair = {"a": 1.0, "b": 2.0, "ratio": 2.0}
    head = {"format": 1, "model": "pets", "at": "now", "a": about | {"version": 1}, "b": about | {"version": 2}}
    data = {"data_hash": ["d" * 64, "e" * 64], "test_hash": ["t", "t"], "splits": {}}
    tail = {
        "parameters": {"train.hidden": ["[8|9]", None]},
        "data": data,
        "commits": {"commit": [1, 1], "tree": [1, 1]},
    }
    cost = {"megabytes": pair, "failure": "no such column"}
    given = {"advantage": 0.1, "low": 0.05, "high": 0.15, "auc": 0.55, "rows": 200}
    made = {"made": {"packages": ["numpy 1 -> 2"]}, "membership": {"a": given, "b": None}}
    rest = made | {"cost": cost, "page": None, "same_model": False}
    return head | {"metric": "accuracy"} | found | tail | rest | more


# ------------------------------------------------------------------ on the same rows


def test_both_are_scored_on_the_same_rows_and_the_gain_is_the_difference(world):
    found = by_name(measure(side(1, IDS, 60, seed=1), side(2, IDS, 30, seed=2))["metrics"])
    assert list(found) == ["accuracy", "roc_auc", "log_loss"]
    for name, entry in found.items():
        difference = entry["b"]["value"] - entry["a"]["value"]
        assert entry["gain"]["value"] == pytest.approx(difference if METRICS[name].greater_is_better else -difference)
        for key in ("a", "b", "gain"):
            assert entry[key]["low"] < entry[key]["value"] < entry[key]["high"]
    assert found["accuracy"]["b"]["value"] == pytest.approx(0.9)


def test_a_planted_better_model_is_better_and_the_other_way_round_worse(world):
    bad, good = side(1, IDS, 90), side(2, IDS, 30)
    assert {entry["verdict"] for entry in measure(bad, good)["metrics"]} == {"better"}
    assert {entry["verdict"] for entry in measure(good, bad)["metrics"]} == {"worse"}


def test_one_row_more_is_noise(world):
    assert by_name(measure(side(1, IDS, 30), side(2, IDS, 31))["metrics"])["accuracy"]["verdict"] == "noise"


def test_the_same_model_gains_nothing_and_all_is_noise(world):
    found = measure(side(1, IDS, 30), side(1, IDS, 30))
    for entry in [*found["metrics"], *found["classes"]]:
        assert entry["gain"]["value"] == 0
        assert entry["gain"]["low"] < 0 < entry["gain"]["high"]
        assert entry["verdict"] == "noise"
    text = compare_text(whole(found, same_model=True))
    assert "version 1 and version 2 are the same model, byte for byte: there is nothing to gain." in text


def test_rows_that_one_of_the_two_was_trained_on_are_left_out(world):
    """Without them version 2 is no better: it knows the 30 rows that version 1 gets wrong."""
    one, other = side(1, IDS, 30), side(2, IDS, 0, fitted=IDS[:40])
    found = measure(one, other)
    assert (found["rows"]["common"], found["rows"]["fitted"]) == (260, 40)
    assert by_name(found["metrics"])["accuracy"]["gain"]["value"] == 0
    back = measure(other, one)
    assert (back["rows"]["common"], back["rows"]["fitted"]) == (260, 40)


def test_the_order_of_the_rows_does_not_matter(world):
    one, other = side(1, IDS, 60), side(2, IDS, 30)
    turned = Side(other.name, Kept(other.kept.rows, other.kept.predictions[::-1]), other.test_hash, other.metrics)
    for part in ("rows", "metrics", "classes"):
        assert measure(one, turned)[part] == measure(one, other)[part]


# ------------------------------------------------------------------ on different rows, or by another definition


def test_what_was_recorded_on_different_rows_is_greyed_and_only_common_rows_are_compared(world, monkeypatch):
    """Version 2 has easier rows of its own; on the common ones the two are equal."""
    one = side(1, IDS[:200], 40, test_hash="first")
    other = side(2, IDS[100:], 0, test_hash="second")
    found = measure(one, other)
    assert found["rows"] == {"common": 100, "a": 200, "b": 200, "fitted": 0}
    main = by_name(found["metrics"])["accuracy"]
    assert (main["a"]["value"], main["b"]["value"], main["verdict"]) == (1.0, 1.0, "noise")
    recorded = by_name(found["recorded"])["accuracy"]
    assert (recorded["a"]["value"], recorded["b"]["value"]) == (0.8, 1.0)
    assert recorded["a"]["marks"] == recorded["b"]["marks"] == [OTHER_ROWS]
    assert "gain" not in recorded
    monkeypatch.setenv("FORCE_COLOR", "1")
    line = next(line for line in compare_text(whole(found)).splitlines() if "0.8 (other rows)" in line)
    assert "\x1b[2m" in line
    assert "| *accuracy* | *0.8 (other rows)* | *1 (other rows)* |" in render.page(whole(found))


def test_what_was_recorded_on_the_same_rows_is_not_greyed(world, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    found = measure(side(1, IDS, 60), side(2, IDS, 30))
    assert [entry["a"]["marks"] + entry["b"]["marks"] for entry in found["recorded"]] == [[], [], []]
    assert "\x1b[2m" not in compare_text(whole(found))


@pytest.mark.parametrize("shared", [0, 1])
def test_without_two_common_rows_nothing_is_compared(world, shared):
    one, other = side(1, IDS[:100], 10), side(2, IDS[100 - shared : 200], 10)
    with pytest.raises(
        RequestError, match=r"Version 1 and version 2 of pets cannot be compared: .*fewer than two"
    ) as told:
        measure(one, other)
    assert told.value.status == 2
    assert "`ratchet history pets`" in str(told.value)


def test_test_rows_that_the_other_was_trained_on_are_no_common_rows(world):
    one, other = side(1, IDS[:100], 10), side(2, IDS[:100], 10, fitted=IDS[:100])
    with pytest.raises(RequestError, match=r"100 of those of version 1 were seen"):
        measure(one, other)


def test_a_metric_that_is_computed_otherwise_now_is_marked(world):
    good = side(1, IDS, 30).metrics
    then = good | {"accuracy": good["accuracy"] + 1e-3, "log_loss": good["log_loss"] + 1e-8, "kappa": 0.7}
    del then["roc_auc"]
    found = by_name(measure(side(1, IDS, 30, metrics=then), side(2, IDS, 30))["recorded"])
    assert found["accuracy"]["a"]["marks"] == [OTHER_DEFINITION]
    assert found["accuracy"]["a"]["now"] == pytest.approx(good["accuracy"])
    assert found["accuracy"]["b"]["marks"] == []
    assert found["log_loss"]["a"]["marks"] == []  # rounded, no more
    assert found["roc_auc"]["a"] == {"value": None, "now": pytest.approx(good["roc_auc"]), "marks": ["not recorded"]}
    assert found["kappa"]["a"]["marks"] == [OTHER_DEFINITION]  # nobody knows any more how it was computed
    text = compare_text(whole(measure(side(1, IDS, 30, metrics=then), side(2, IDS, 30))))
    assert "(other definition)" in text
    assert "Numbers that are marked are not compared." in text


def test_a_version_of_another_task_is_refused(world):
    """The YAML was a regression's when version 1 was made."""
    one, other = side(1, IDS, 30), side(2, IDS, 30)
    numbers = one.kept.predictions[["row_id"]].assign(actual=1.0, prediction=2.0)
    with pytest.raises(RequestError, match=r"Version 1 of pets is a regression, and models/pets.yaml declares a class"):
        measure(Side(one.name, Kept(one.kept.rows, numbers), "t", {}), other)


# ------------------------------------------------------------------ slices and classes

SLICES = {"young": {"column": "age", "below": 5}, "old": {"column": "age", "at_least": 14}}


def workspace(world, ids: list[str], **columns: Any) -> Path:
    """The test split of the workspace."""
    path = world.root / "data" / "pets" / "test.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({"row_id": ids, "age": [AGES[name] for name in ids]} | columns).to_parquet(path, index=False)
    return path


def test_a_class_that_loses_beside_a_whole_that_does_not_is_said_in_the_first_sentence(world):
    found = whole(measure(side(1, IDS, 60), side(2, IDS, 0)))
    assert "But it is worse" not in render.sentence(found)
    found["classes"][1] |= {"verdict": "worse", "gain": {"value": -0.08, "low": -0.1, "high": -0.06}}
    assert "But it is worse where dog (-0.08 [-0.1, -0.06])" in render.sentence(found)
    assert "promote: slices:" in render.sentence(found)
    found["metrics"][0]["verdict"] = "worse"  # then that is said, and parts need no sentence
    assert found["metrics"][0]["metric"] == found["metric"]
    assert "But it is worse" not in render.sentence(found)


def test_each_slice_and_each_class_has_its_own_gain(world):
    world.declare(promote={"slices": SLICES})
    workspace(world, IDS[::-1])
    found = measure(side(1, IDS, 60), side(2, IDS, 0))
    slices, classes = by_name(found["slices"], "name"), by_name(found["classes"], "name")
    young = [name for name in IDS if AGES[name] < 5]
    wrong = len(set(young) & set(IDS[:60]))
    assert slices["young"]["rows"] == len(young)
    assert slices["young"]["a"] == pytest.approx(1 - wrong / len(young))
    assert slices["young"]["verdict"] == "better"
    assert list(classes) == ["cat", "dog"]
    assert sum(entry["rows"] for entry in classes.values()) == 300
    assert {entry["metric"] for entry in classes.values()} == {"accuracy"}
    assert classes["cat"]["gain"]["value"] == pytest.approx(1 - classes["cat"]["a"])
    text = compare_text(whole(found))
    assert "Slices of promote.slices: accuracy" in text
    assert "Of 2 true gains about 0.1 lie outside of their interval, by chance." in text


def test_a_slice_of_one_row_is_not_enough_evidence(world):
    world.declare(
        promote={"slices": {"one": {"column": "age", "values": [99]}, "none": {"column": "age", "below": -1}}}
    )
    ages = [99, *[3] * 299]
    workspace(world, IDS, age=ages)
    found = by_name(measure(side(1, IDS, 60), side(2, IDS, 30))["slices"], "name")
    assert (found["one"]["rows"], found["one"]["gain"], found["one"]["verdict"]) == (1, None, "not enough evidence")
    assert (found["none"]["rows"], found["none"]["a"], found["none"]["verdict"]) == (0, None, "not enough evidence")


@pytest.mark.parametrize(
    ("ids", "columns", "told_"),
    [
        (IDS[:250], {}, "test.parquet lacks 50 of the 300 common rows: `ratchet restore pets`"),
        (IDS, {"age": ["x"] * 300}, None),
        (None, {}, "test.parquet cannot be read for them"),
    ],
)
def test_slices_whose_rows_are_not_in_the_workspace_are_not_available_and_why(world, ids, columns, told_):
    world.declare(promote={"slices": {"named": {"column": "colour", "values": ["black"]}}})
    if ids:
        workspace(world, ids, **columns)
    found = measure(side(1, IDS, 60), side(2, IDS, 30))
    assert found["slices"] == []
    assert (told_ or "cannot be read for them") in found["slices_missing"]
    assert markdown.told(f"Not available: {found['slices_missing']}.") in render.page(whole(found))
    assert len(found["classes"]) == 2  # these need predictions alone


def test_a_regression_has_no_classes(world):
    world.declare_weights()
    numbers = np.random.default_rng(1).normal(10, 3, 100)
    sides = []
    for number, error in ((1, 2.0), (2, 0.5)):
        guesses = numbers + np.random.default_rng(number).normal(0, error, 100)
        table = pd.DataFrame({"row_id": IDS[:100], "actual": numbers, "prediction": guesses})
        sides.append(Side(f"version {number}", Kept(pd.Series("test", index=IDS[:100]), table), "t", {}))
    found = shared_rows.measure(model_file.check("weights"), *sides)
    assert found["classes"] == []
    entry = by_name(found["metrics"])["mean_absolute_error"]
    assert (entry["greater_is_better"], entry["verdict"]) == (False, "better")
    assert entry["gain"]["value"] == pytest.approx(entry["a"]["value"] - entry["b"]["value"])


# ------------------------------------------------------------------ what is told


def test_the_page_has_every_table_and_its_cells_stay_in_their_columns(world):
    page = render.page(whole(measure(side(1, IDS, 60), side(2, IDS, 30))))
    for title in ("Metrics on the 300 common test rows", "Recorded by", "Rows of each class", "Parameters that differ"):
        assert f"## {title}" in page
    assert "| train.hidden | [8\\|9] | none |" in page
    assert "| data (hash) | dddddddddddd | eeeeeeeeeeee |" in page
    assert "Packages: numpy 1 -> 2." in page
    assert "Not timed: no such column" in page
    assert "accuracy: better, the gain of version 2 over version 1 is +0.1 [" in page


def test_a_value_in_brackets_is_not_taken_for_a_style(world):
    text = compare_text(whole(measure(side(1, IDS, 60), side(2, IDS, 30)), parameters={"x": ["[bold]", "[32, 16]"]}))
    assert "[bold]" in text
    assert "[32, 16]" in text


def test_the_same_version_twice_still_has_two_columns(world):
    found = whole(measure(side(1, IDS, 60), side(1, IDS, 60)), same_model=True)
    found["b"] = found["a"]
    text = compare_text(found)
    assert "Both are version 1: there is nothing to gain." in text
    assert "version 1, a" in text
    assert "version 1, b" in text


@pytest.mark.parametrize(
    ("output", "told_"),
    [
        ("page.txt", "is not a Markdown page"),
        ("page", "is not a Markdown page"),
        ("../page.md", "leads out of the project"),
        ("folder.md", "is a folder, and is not overwritten"),
        ("nowhere/page.md", "there is no folder"),
    ],
)
def test_a_place_for_the_page_that_will_not_do_is_refused(tmp_path, output, told_):
    root = tmp_path / "project"
    (root / "folder.md").mkdir(parents=True)
    with pytest.raises(RequestError, match=told_):
        compare.place(Project(root, root, "", ""), output, root)


def test_the_page_goes_where_it_was_asked_for(tmp_path):
    root, here = tmp_path / "project", tmp_path / "project" / "notes"
    here.mkdir(parents=True)
    (here / "old.md").write_text("old")
    project = Project(root, root, "", "")
    assert compare.place(project, "old.md", here) == here / "old.md"
    assert compare.place(project, "../new.md", here) == root / "new.md"
    assert compare.place(project, str(tmp_path / "outside.md"), here) == tmp_path / "outside.md"


# ------------------------------------------------------------------ the whole way


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Three versions of breast_cancer: the second with other layers, the third on another split of the rows."""
    folder = clone(tmp_path_factory.mktemp("project"))
    path = folder / "models" / "breast_cancer.yaml"
    answer(folder, "run", "breast_cancer")
    edit(path, "hidden: [32], epochs: 25", "hidden: [16, 8], epochs: 12")
    edit(path, "margin: 0.05}", "margin: 0.05, slices: {large: {column: mean_radius, at_least: 15}}}")
    answer(folder, "run", "breast_cancer")
    edit(path, "seed: 0, validation", "seed: 1, validation")
    answer(folder, "run", "breast_cancer")
    return folder


@pytest.fixture(scope="module")
def store(project) -> MlflowClient:
    uri = f"sqlite:///{project}/mlflow/mlflow.db"
    mlflow.set_tracking_uri(uri)
    return MlflowClient(uri, uri)


@pytest.mark.long
@pytest.mark.random_order(disabled=True)
class TestTheWholeWay:
    """In order, on one clone; nothing of the person's is written but the page."""

    def test_two_versions_on_the_same_rows(self, project):
        before = git(project, "status", "--porcelain")
        found = answer(project, "compare", "breast_cancer", "1", "2")
        assert git(project, "status", "--porcelain") == before
        assert (found["format"], found["a"]["version"], found["b"]["version"]) == (1, 1, 2)
        assert found["rows"] == {"common": 126, "a": 126, "b": 126, "fitted": 0}
        for entry in found["recorded"]:
            here = by_name(found["metrics"])[entry["metric"]]
            for key in ("a", "b"):
                assert entry[key]["marks"] == []
                assert here[key]["value"] == pytest.approx(entry[key]["value"], abs=1e-6)
        assert found["parameters"]["train.hidden"] == ["[32]", "[16, 8]"]
        assert found["parameters"]["train.epochs"] == ["25", "12"]
        assert found["data"]["splits"]["train"]["rows"] == [339, 339]
        assert found["made"] == {}
        for given in found["membership"].values():
            assert given["low"] <= given["advantage"] <= given["high"]
            assert 0 <= given["auc"] <= 1
        assert found["cost"]["megabytes"]["ratio"] < 1
        for kind in ("single_ms", "batch_ms"):
            assert 0 < found["cost"][kind]["a"] < 5000
            assert found["cost"][kind]["ratio"] == pytest.approx(found["cost"][kind]["b"] / found["cost"][kind]["a"])
        for kind in ("training_seconds", "watt_hours"):
            assert found["cost"][kind]["a"] > 0
            assert found["cost"][kind]["b"] > 0
        assert "lacks" in found["slices_missing"]  # the workspace holds the third version's split

    def test_versions_of_different_test_rows(self, project):
        found = answer(project, "compare", "breast_cancer", "1", "3")
        assert 2 <= found["rows"]["common"] < 60
        assert all(OTHER_ROWS in entry[key]["marks"] for entry in found["recorded"] for key in "ab")
        assert found["data"]["test_hash"][0] != found["data"]["test_hash"][1]
        assert found["data"]["data_hash"][0] == found["data"]["data_hash"][1]
        assert found["parameters"]["clean.split.seed"] == ["0", "1"]
        assert found["slices"][0]["name"] == "large"
        assert found["slices_missing"] == ""

    def test_through_a_server_with_words_and_a_page(self, project):
        (project / "notes").mkdir()
        assert ratchet(project, "up", "--no-schedule", "--no-serve", "--no-warm").returncode == 0
        try:
            done = ratchet(
                project,
                "compare",
                "breast_cancer",
                "latest",
                "champion",
                "--output",
                str(project / "notes" / "page.md"),
            )
        finally:
            assert ratchet(project, "down").returncode == 0
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("breast_cancer: version ")
        assert "beside version 3" in done.stdout
        page = (project / "notes" / "page.md").read_text()
        assert page.startswith("# breast\\_cancer: version ")
        assert "## Size and time" in page
        assert "ROC AUC of the guess" in page

    @pytest.mark.parametrize(
        ("arguments", "told_"),
        [
            (["breast_cancer", "1", "9"], "breast_cancer has no version 9 to compare."),
            (["breast_cancer", "1", "first"], "'first' names no version of breast_cancer"),
            (["diabetes", "champion", "latest"], "diabetes has no champion to compare."),
            (["breast_cance", "1", "2"], "Did you mean 'breast_cancer'?"),
            (["breast_cancer", "1", "2", "--output", "page.txt"], "is not a Markdown page"),
        ],
    )
    def test_a_wrong_request_is_one_paragraph(self, project, arguments, told_):
        done = ratchet(project, "compare", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert told_ in done.stderr
        assert done.stderr.count("\n") == 1

    def test_every_run_has_what_mlflows_own_pages_compare(self, project, store):
        versions = {str(entry.version): entry for entry in store.search_model_versions("name = 'breast_cancer'")}
        second = store.get_run(versions["2"].run_id)
        assert second.info.run_name.startswith("v2 mlp 16-8 ")
        note = second.data.tags["mlflow.note.content"]
        assert note.startswith(f"gate: {second.data.tags['ratchet.decision']}: {second.data.tags['ratchet.reason']}.")
        assert "`ratchet compare breast_cancer 1 2`" in note
        assert "| golden rows | pass |" in note
        assert versions["2"].description.startswith(f"gate: {second.data.tags['ratchet.decision']}: ")
        decision = json.loads(
            Path(
                mlflow.artifacts.download_artifacts(run_id=second.info.run_id, artifact_path="decision.json")
            ).read_text()
        )
        (look,) = (look for look in decision["looks"] if look["what"] == "champion")
        for key in ("gain", "low", "high"):
            assert second.data.metrics[f"gate/{key}"] == pytest.approx(look[key], rel=1e-5)
        assert [model.model_id for model in second.outputs.model_outputs] == [
            versions["2"].source.removeprefix("models:/")
        ]
        assert next(entry.dataset.name for entry in second.inputs.dataset_inputs) == "test"
        assert "gate/gain" not in store.get_run(versions["1"].run_id).data.metrics  # there was no champion

    def test_the_list_of_runs_has_a_view_with_decisions_and_metrics(self, project, store):
        tags = store.get_experiment_by_name("breast_cancer").tags
        view = json.loads(tags["mlflow.sharedViewState.decisions"])
        columns = json.loads(view["state"])["selectedColumns"]
        assert {"tags.`ratchet.decision`", "metrics.`test/roc_auc`", "metrics.`gate/gain`"} <= set(columns)
        assert "viewStateShareKey=decisions" in tags["mlflow.note.content"]

    def test_noting_a_decision_again_adds_nothing_and_a_persons_words_stay(self, project, store):
        versions = {str(entry.version): entry for entry in store.search_model_versions("name = 'breast_cancer'")}
        run_id = versions["3"].run_id
        store.set_tag(run_id, "mlflow.note.content", "ours was better in March")
        store.set_model_version_tag("breast_cancer", "3", "ratchet.decision_line", "0")  # as if a crash had come before
        answer(project, "run", "breast_cancer")
        assert store.get_model_version("breast_cancer", "3").tags["ratchet.decision_line"] == "3"
        steps = [metric.step for metric in store.get_metric_history(run_id, "gate/gain")]
        assert steps in ([], [3])
        assert store.get_run(run_id).data.tags["mlflow.note.content"] == "ours was better in March"

    def test_an_artifact_that_was_changed_is_not_compared(self, project, store):
        version = store.get_model_version("breast_cancer", "1")
        name = version.source.removeprefix("models:/")
        path = next((project / "mlflow").rglob(f"{name}/**/evidence/predictions.parquet"))
        table = pd.read_parquet(path)
        table.assign(prediction=table["actual"]).to_parquet(path, index=False)
        done = ratchet(project, "compare", "breast_cancer", "1", "2")
        assert done.returncode == 1
        assert "Version 1 of breast_cancer has changed since it was registered" in done.stderr
