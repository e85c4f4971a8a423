"""A model of one's own from a CSV file, and everything that can be wrong with it, on both engines."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.support import golden
from tests.support.clone import answer, called, command, edit, git, ratchet
from tests.support.golden import DECLARED, incoming, sales


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("own")


@pytest.fixture(scope="module")
def first(folder) -> dict:
    """What the first run says."""
    return golden.shop(folder)


@pytest.fixture(scope="module")
def project(folder, first) -> Path:
    """The clone after its first run, with the servers up."""
    answer(folder, "up", "--no-schedule", "--no-serve")
    yield folder
    answer(folder, "down")


def pinned(folder: Path) -> Path:
    return folder / "data" / "shop" / "source" / "sales.csv"


def test_a_csv_file_becomes_a_champion(project, first):
    assert first["decision"] == "accepted"
    assert first["metrics"]["accuracy"] > 0.7
    pin = json.loads((project / "data" / "shop" / "pin.json").read_text())
    assert pin["files"][0]["name"] == "sales.csv"
    assert git(project, "check-ignore", "data/shop/source/sales.csv")


@pytest.mark.long  # of digits it is in test_end_to_end.py
def test_nothing_new_is_unchanged(project):
    assert answer(project, "run", "shop")["decision"] == "unchanged"


@pytest.mark.parametrize("engine", ["dvc", pytest.param("ratchet", marks=pytest.mark.long)])
def test_a_file_dropped_beside_the_pinned_ones_is_refused_or_cleared_away(project, engine):
    dropped = pinned(project).with_name("more.csv")
    sales(10).to_csv(dropped, index=False)
    if engine == "dvc":
        done = command(project, "dvc", "repro", "-f", "-s", "ingest@shop")
        assert done.returncode != 0
        assert "more.csv is not pinned" in done.stderr
        dropped.unlink()
        assert command(project, "dvc", "repro", "ingest@shop").returncode == 0
    else:
        assert answer(project, "run", "shop")["decision"] == "unchanged"
        dropped.unlink(missing_ok=True)


@pytest.mark.parametrize("engine", [pytest.param("dvc", marks=pytest.mark.long), "ratchet"])
def test_an_edited_pinned_file_is_never_read(project, engine):
    before = json.loads((project / "data" / "shop" / "pin.json").read_text())
    pinned(project).chmod(0o644)
    pinned(project).write_text(pinned(project).read_text() + "1,Oslo,yes\n")
    if engine == "dvc":
        done = command(project, "dvc", "repro", "-f", "-s", "ingest@shop")
        assert done.returncode != 0
        assert "its content has changed" in done.stderr
        assert command(project, "dvc", "checkout", "--force", "data/shop/source.dvc").returncode == 0
        assert command(project, "dvc", "repro", "ingest@shop").returncode == 0
    else:
        assert answer(project, "run", "shop")["decision"] == "unchanged"
    assert json.loads((project / "data" / "shop" / "pin.json").read_text()) == before


@pytest.mark.long
def test_new_rows_are_pinned_and_move_no_row_between_splits(project):
    def splits() -> dict[str, str]:
        tables = {name: pd.read_parquet(project / "data" / "shop" / f"{name}.parquet") for name in ("train", "test")}
        return {row: name for name, table in tables.items() for row in table["row_id"]}

    before = splits()
    pd.concat([sales(340).tail(40), sales()]).to_csv(incoming(project), index=False)
    found = answer(project, "run", "shop")
    assert next(stage for stage in found["stages"] if stage["name"] == "ingest")["state"] == "Ran"
    after = splits()
    assert len(after) > len(before)
    assert {row: after[row] for row in before} == before


@pytest.mark.long
def test_an_earlier_version_of_the_data_is_brought_back_and_the_next_run_follows_the_source_again(project):
    old, new = answer(project, "data", "shop")["data"]
    assert (old["rows"], new["rows"]) == (300, 340)
    found = answer(project, "run", "shop", "--data", old["data_hash"][:8])
    assert (found["data_hash"], found["version"]) == (old["data_hash"], 1)
    assert "Ran" not in {stage["state"] for stage in found["stages"]}
    done = ratchet(project, "run", "shop", "--data", "0000")
    assert (done.returncode, "No published run of shop has used data" in done.stderr) == (2, True)
    assert answer(project, "run", "shop")["data_hash"] == new["data_hash"]


BAD = {  # each kind of failure once through the whole flow; tests of the stages have the others
    "missing": (None, "sales.csv does not exist", "Put the data there"),
    "rule": ("age,city,bought\n300,Oslo,yes\n20,Oslo,no\n", "expect_column_values_to_be_between", "300"),
}


@pytest.mark.parametrize("fault", [pytest.param("missing", marks=pytest.mark.long), "rule"])
def test_bad_data_give_one_paragraph_and_leave_the_champion(project, fault):
    content, *told = BAD[fault]
    good, pin = incoming(project).read_text(), (project / "data" / "shop" / "pin.json").read_text()
    try:
        incoming(project).unlink() if content is None else incoming(project).write_text(content)
        done = ratchet(project, "run", "shop")
    finally:
        incoming(project).write_text(good)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert (project / "data" / "shop" / "pin.json").read_text() == pin  # what was pinned stays
    assert pinned(project).read_text() == good
    for part in told:
        assert part in done.stderr


def test_after_bad_data_the_champion_is_there_and_one_command_brings_its_data_back(project):
    champions = {entry["model"]: entry["champion"] for entry in answer(project, "status")["models"]}
    assert champions["shop"] is not None
    answer(project, "restore", "shop")
    assert command(project, "dvc", "status", "train@shop").returncode == 0
    assert (project / "data" / "shop" / "model" / "manifest.json").exists()
    assert pinned(project).exists()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("epochs: 3", "epoch: 3", ["train.epoch: unknown key", "did you mean 'epochs'"]),
        ("epochs: 3", "epochs: 0", ["train.epochs", "greater than or equal to 1", "got 0"]),
        ("epochs: 3", "epochs: three", ["train.epochs", "got 'three'"]),
        ("schedule: {}", "shedule: {}", ["shedule: unknown section", "did you mean 'schedule'"]),
        ("[accuracy]", "[acuracy]", ["evaluate.metrics", "did you mean 'accuracy'"]),
        ("column: age", "column: aeg", ["validate.rules.0: there is no column", "did you mean 'age'"]),
        ("min_value: 0", "min_val: 0", ["no argument 'min_val'", "did you mean 'min_value'"]),
        ("at_least: 0.5", "at_most: 0.5", ["promote.at_least"]),
        ("data/incoming/shop/sales.csv", "../sales.csv", ["outside the project"]),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_runs(project, old, new, told):
    path = project / "models" / "shop.yaml"
    edit(path, old, new)
    try:
        done = called(project, "run", "shop", "--json")
    finally:
        path.write_text(DECLARED)
    assert done.returncode == 2
    error = json.loads(done.stdout)
    assert error["status"] == 2
    for part in ["models/shop.yaml", *told]:
        assert part in error["error"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "digit"], "Did you mean 'digits'"),
        (["run", "../digits"], "cannot be a model's name"),
        (["restore", "diabetes"], "no champion"),
    ],
)
def test_a_wrong_request_is_told_in_one_line(project, arguments, told):
    done = called(project, *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_outside_of_a_project_the_command_says_where_it_looked(tmp_path):
    done = called(tmp_path, "status")
    assert done.returncode == 2
    assert "is not inside a Ratchet project" in done.stderr
