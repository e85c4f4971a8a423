"""`ratchet new`: from a file to a model that is declared, listed and known to work; nothing is overwritten."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from ruamel.yaml import YAML

from flows.new import recipe
from flows.new.new import new
from flows.new.wanted import Wanted
from flows.project import environment
from pipelines import model_file
from pipelines.config import settings
from pipelines.errors import DataError, RatchetError, RequestError
from tests.support.clone import ROOT, called, clone, git, ratchet

MNIST = ROOT.parent / "shared" / "data" / "mnist"


def orders(rows: int = 600, seed: int = 0) -> pd.DataFrame:
    """Whoever is old or comes from Oslo orders, mostly. With an identifier, a constant and a copy of the target."""
    random = np.random.default_rng(seed)
    age, city = random.integers(18, 90, rows), random.choice(["Oslo", "Bergen", "Bodø"], rows)
    score = (age - 50) / 15 + (city == "Oslo") + random.normal(0, 1, rows)
    table = pd.DataFrame({"key": [f"K{i:06d}" for i in range(rows)], "age": age.astype(str), "city": city, "v": 1})
    table.loc[::40, "age"] = "?"
    table["ordered"] = np.where(score > 0, "yes", "no")
    spent = np.round(np.exp(score + random.normal(0, 1, rows)), 2)
    return table.assign(copy=np.where(table["ordered"] == "yes", 17, 4), spent=spent)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> environment.Project:
    root = clone(tmp_path_factory.mktemp("new"))
    return environment.Project(root, root / ".ratchet", "", "")


@pytest.fixture
def inside(project, monkeypatch):
    monkeypatch.chdir(project.root)
    return project


def file(tmp_path: Path, table: pd.DataFrame, name: str = "orders.csv") -> Path:
    path = tmp_path / name
    table.to_csv(path, index=False)
    return path


def made(project, model: str, path: Path, target: str = "ordered", **more) -> model_file.Declaration:
    new(project, Wanted(model, path, target, more.pop("names", []), more.pop("group", []), **more))
    return model_file.check(model)


def test_what_is_written_is_a_declaration_of_what_the_file_holds(inside, tmp_path):
    found = made(inside, "first", file(tmp_path, orders()))
    assert found.data.columns == {"age": "number", "city": "category", "spent": "number"}
    assert (found.data.task, found.data.target) == ("classification", "ordered")
    assert found.ingest.ignore == ["key", "v", "copy"]
    assert found.ingest.missing[-1] == "?"
    assert found.promote.metric == "roc_auc"
    assert 0.55 < found.promote.at_least < 0.8  # between no model and a linear fit, which reaches 0.84
    assert 0 < found.promote.margin < 0.1
    text = (inside.root / "models" / "first.yaml").read_text(encoding="utf-8")
    for reason in ("an identifier", "constant", "gives the target away", "no model at all: 0.5", "'?': where a value"):
        assert reason in text
    listed = YAML(typ="safe").load(inside.root / "dvc.yaml")["vars"][0]["models"]
    assert listed[-1] == "first"


def test_the_margin_is_one_that_an_equal_candidate_meets_with_the_test_rows_of_the_rarest_class(inside, tmp_path):
    found = made(inside, "evenly", file(tmp_path, orders()))
    assert "the least that an equal candidate meets with" in (inside.root / "models/evenly.yaml").read_text("utf-8")
    table = orders(3000)
    seldom = table[(table["ordered"] == "no") | (table.index % 25 == 0)]
    margins = [found.promote.margin, made(inside, "seldom", file(tmp_path, seldom)).promote.margin]
    assert margins[0] < margins[1] <= 0.2


def test_where_no_margin_can_be_met_the_reason_says_how_many_rows_are_needed(inside, tmp_path):
    table = orders(600)
    few = pd.concat([table[table["ordered"] == "no"], table[table["ordered"] == "yes"][:10]])
    assert made(inside, "few", file(tmp_path, few)).promote.margin >= 0.2
    text = " ".join((inside.root / "models/few.yaml").read_text("utf-8").split())
    assert re.search(r"an equal candidate meets it \d+% of the time; about \d+ are needed", text.replace("# ", ""))


def test_a_number_to_predict_is_a_regression(inside, tmp_path):
    found = made(inside, "spending", file(tmp_path, orders().drop(columns=["ordered", "copy"])), "spent")
    assert (found.data.task, found.promote.metric) == ("regression", "mean_absolute_error")
    median = orders()["spent"].median()
    assert 0 < found.promote.at_most < (orders()["spent"] - median).abs().mean()


def test_names_of_columns_mean_nothing(inside, tmp_path):
    """The same values under other names, one of them hard to write, give the same roles, rules and settings."""
    hard = {"age": 'a/b: "x" # ☃', "city": "  two  words", "key": "target", "ordered": "\\", "spent": "", "v": "id"}
    plain = made(inside, "plain", file(tmp_path, orders()))
    table = orders().rename(columns={k: v.strip() or "spent" for k, v in hard.items()})
    renamed = made(inside, "renamed", file(tmp_path, table, "renamed.csv"), "\\")
    assert list(renamed.data.columns.values()) == list(plain.data.columns.values())
    assert len(renamed.raw["validate"]["rules"]) == len(plain.raw["validate"]["rules"])
    assert renamed.raw["train"] == plain.raw["train"]
    assert renamed.promote.metric == plain.promote.metric


def test_rows_of_a_group_stay_together_when_asked(inside, tmp_path):
    table = orders().assign(house=[f"h{i // 6}" for i in range(600)])
    found = made(inside, "grouped", file(tmp_path, table), group=["house"])
    assert found.raw["clean"]["split"]["key"] == ["house"]
    assert found.data.columns["house"] == "carried"


def test_where_rows_have_a_time_the_later_ones_are_the_test(inside, tmp_path):
    days = pd.to_datetime("2024-01-01") + pd.to_timedelta(np.random.default_rng(1).integers(0, 1000, 600), unit="D")
    found = made(inside, "timed", file(tmp_path, orders().assign(day=days.strftime("%d.%m.%Y"))))
    split = found.raw["clean"]["split"]
    assert split == {"by": "time", "column": "day", "validation": recipe.VALIDATION, "test": recipe.TEST}
    rare = orders().assign(day=[f"2024-01-{1 + i * 31 // 600:02d}" for i in range(600)])
    rare["ordered"] = np.where(np.arange(600) < 300, rare["ordered"], "no")
    assert made(inside, "early", file(tmp_path, rare)).raw["clean"]["split"]["by"] == "hash"


def test_where_many_rows_share_an_instant_the_split_is_no_split_by_time(inside, tmp_path):
    months = np.random.default_rng(1).choice(["2024-01", "2024-02", "2024-05"], 600)
    found = made(inside, "months", file(tmp_path, orders().assign(month=months)))
    assert found.data.columns["month"] == "date"
    assert found.raw["clean"]["split"]["by"] == "hash"


def test_columns_whose_names_mean_something_here_are_left_out(inside, tmp_path):
    table = orders().assign(row_id=np.arange(600) % 7, own_x=np.arange(600) % 5)
    table[""] = np.arange(600) % 9
    found = made(inside, "meaning", file(tmp_path, table))
    assert set(found.data.columns) == {"age", "city", "spent"}
    assert {"row_id", "own_x", ""} <= set(found.ingest.ignore)


@pytest.mark.parametrize("classes", [["yes"] * 12 + ["no"] * 288, [f"k{index % 19}" for index in range(300)]])
def test_a_seed_is_found_under_which_every_split_has_every_class(inside, tmp_path, classes):
    table = orders(300).drop(columns=["copy", "spent"]).assign(ordered=classes)
    text = new(inside, Wanted("seeds", file(tmp_path, table), "ordered", [], [], dry_run=True))["yaml"]
    assert "by: hash, seed: " in text


def test_where_features_come_again_later_rows_may_overlap_though_those_of_now_do_not(inside, tmp_path):
    days = np.random.default_rng(3).integers(0, 60, 600)
    table = orders().drop(columns=["copy", "spent", "city"]).assign(days=days)
    found = made(inside, "repeated", file(tmp_path, table))
    different = table[["age", "days", "ordered"]].drop_duplicates()  # equal rows share a split
    others = different[["age", "days"]].duplicated().sum() / len(table)
    assert found.raw["check"]["overlap"] == pytest.approx(2 * others, abs=0.02)
    houses = table.loc[table.index // 6 * 6, ["age", "days"]].drop_duplicates().reset_index(drop=True)
    table = houses.loc[np.arange(600) % len(houses)].reset_index(drop=True).assign(ordered=table["ordered"])
    table["house"] = [f"h{index % len(houses)}" for index in range(600)]
    assert made(inside, "repeated", file(tmp_path, table), group=["house"], force=True).raw["check"] == {}


def test_many_rows_without_a_target_are_set_aside_in_the_first_run_too(inside, tmp_path):
    table = orders()
    table.loc[::10, "ordered"] = ""
    found = made(inside, "lacking", file(tmp_path, table))
    assert found.raw["validate"]["quarantine_limit"] == pytest.approx(0.2)
    assert "10.0% of the rows have no target" in (inside.root / "models" / "lacking.yaml").read_text(encoding="utf-8")
    table.loc[10:, "ordered"] = orders()["ordered"][10:]
    assert "quarantine_limit" not in made(inside, "lacking", file(tmp_path, table), force=True).raw["validate"]


def test_long_words_get_no_rule_and_too_long_a_yaml_is_refused(inside, tmp_path, monkeypatch):
    table = orders().assign(long=np.where(np.arange(600) % 3, "short", "x" * 5000))
    assert "xxx" not in new(inside, Wanted("words", file(tmp_path, table), "ordered", [], [], dry_run=True))["yaml"]
    wide = pd.concat([table, pd.DataFrame({"n" * 900 + str(i): np.arange(600) % 7 for i in range(30)})], axis=1)
    monkeypatch.setattr(settings, "MOST_BYTES", 25_000)
    with pytest.raises(DataError, match="would be larger than 25,000 bytes"):
        new(inside, Wanted("words", file(tmp_path, wide), "ordered", [], [], dry_run=True))


def test_a_class_of_few_rows_is_set_aside(inside, tmp_path):
    table = orders()
    table.loc[:3, "ordered"] = "perhaps"
    text = new(inside, Wanted("rare", file(tmp_path, table), "ordered", [], []))["yaml"]
    assert "value_set: [no, yes], level: quarantine} # set aside: 'perhaps'" in text


@pytest.mark.parametrize(
    ("classes", "weights", "reason"),
    [
        (["no"] * 9 + ["yes"], "equal", r"'yes' has 10\.0% of the rows, but balanced makes .* and roc_auc no better;"),
        (["a"] * 9 + ["b"] * 10 + ["c"], "equal", r"'c' has 5\.0% of the rows, but .* and log_loss no better;"),
        ([0] * 4 + [1] * 4 + [2], "equal", r"2 has 11\.0% of the rows, but .* and accuracy no better;"),
        (["no", "yes"], None, ""),
        (["a", "b", "c"], None, ""),
    ],
)
def test_where_a_class_is_rare_the_yaml_says_how_classes_are_weighted(inside, tmp_path, classes, weights, reason):
    table = orders().drop(columns=["copy", "spent"])
    table["ordered"] = np.resize(np.array(classes), 600)
    text = new(inside, Wanted("weighted", file(tmp_path, table), "ordered", [], [], dry_run=True))["yaml"]
    line = next((line.strip() for line in text.splitlines() if "class_weights" in line), None)
    assert (line is None) == (weights is None)
    assert line is None or re.match(rf"class_weights: {weights} # {reason}", line)


def test_a_file_in_the_project_is_read_in_place_and_any_other_is_copied_with_its_sum(inside, tmp_path):
    place = inside.root / "data" / "own.csv"
    orders().to_csv(place, index=False)
    assert made(inside, "inplace", place).ingest.source == "data/own.csv"
    path = file(tmp_path, orders())
    path.write_bytes(path.read_bytes().rstrip())  # its last line has no end
    assert made(inside, "copied", path).ingest.source == "data/incoming/copied/"
    copy = inside.root / "data" / "incoming" / "copied" / "orders.csv"
    assert copy.read_bytes() == path.read_bytes()
    assert copy.with_name("orders.csv.sha256").read_text().split()[1] == "orders.csv"


def test_nothing_is_written_by_a_dry_run_or_over_what_is_there(inside, tmp_path):
    before = git(inside.root, "status", "--porcelain", "-uall")
    path = file(tmp_path, orders())
    answered = new(inside, Wanted("dry", path, "ordered", [], [], dry_run=True))
    assert answered["yaml"].startswith("# dry: predicts 'ordered'.")
    assert git(inside.root, "status", "--porcelain", "-uall") == before
    yaml = inside.root / "models" / "digits.yaml"
    content = yaml.read_bytes()
    with pytest.raises(RequestError, match="is there already"):
        new(inside, Wanted("digits", path, "ordered", [], []))
    assert yaml.read_bytes() == content
    made(inside, "again", path)
    assert made(inside, "again", path, "spent", force=True).data.task == "regression"


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"model": "../x"}, "cannot be a model's name"),
        ({"model": "x" * 300}, "cannot be a model's name"),
        ({"data": Path("nowhere.csv")}, "does not exist"),
        ({"target": "orderd"}, "did you mean 'ordered'"),
        ({"target": "key"}, "600 different values"),
        ({"group": ["hous"]}, "no column 'hous'"),
        ({"group": ["ordered"]}, "is the --target, and cannot be a --group too"),
        ({"names": ["a", "b"]}, "names were given"),
    ],
)
def test_what_is_asked_wrongly_is_one_paragraph_and_leaves_nothing(inside, tmp_path, changed, problem):
    before = git(inside.root, "status", "--porcelain", "-uall")
    wanted = {"model": "wrong", "data": file(tmp_path, orders()), "target": "ordered", "names": [], "group": []}
    with pytest.raises(RatchetError, match=problem):
        new(inside, Wanted(**(wanted | changed)))
    assert git(inside.root, "status", "--porcelain", "-uall") == before


@pytest.mark.parametrize("name", ["row_id", "own_x"])
def test_a_target_whose_name_has_a_meaning_is_refused(inside, tmp_path, name):
    with pytest.raises(RequestError, match="a name with a meaning of its own"):
        made(inside, "meaning", file(tmp_path, orders().rename(columns={"ordered": name})), name, force=True)


def test_a_pipe_is_not_waited_for(inside, tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(RequestError, match="is no file"):
        made(inside, "pipe", tmp_path / "pipe.csv")


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (orders().rename(columns={"age": "\n" * 1001}), "a name of 1,001 letters"),
        (orders(49), "49 rows"),
        (orders().assign(ordered="yes"), "every row"),
        (orders()[["key", "v", "ordered"]], "no column to learn from"),
        (orders().head(0), "holds no row"),
    ],
)
def test_a_file_that_nothing_can_be_learned_from_is_refused(inside, tmp_path, table, problem):
    with pytest.raises(DataError, match=problem):
        made(inside, "useless", file(tmp_path, table))
    assert not (inside.root / "models" / "useless.yaml").exists()


def drawn(folder: Path, count: int, sizes: list[tuple[int, int]]) -> Path:
    """Pictures in two folders, bright/ and dark/."""
    random = np.random.default_rng(0)
    for index in range(count):
        kind, (height, width) = ("bright", "dark")[index % 2], sizes[index % len(sizes)]
        (folder / kind).mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 120, (height, width, 3)) + (100 if kind == "bright" else 0)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / kind / f"{index}.png")
    return folder


@pytest.mark.parametrize(
    ("sizes", "shape", "resize"),
    [
        ([(12, 16)], [12, 16, 3], "none"),
        ([(12, 16)] * 3 + [(9, 9)], [12, 16, 3], "bilinear"),
        ([(96, 128)], [48, 64, 3], "bilinear"),
    ],
)
def test_a_folder_of_classes_is_a_model_of_images(inside, tmp_path, sizes, shape, resize):
    found = made(inside, "drawings", drawn(tmp_path / "drawings", 80, sizes), "", force=True)
    assert (found.data.kind, found.data.shape, found.data.target) == ("image", shape, "label")
    assert found.ingest.resize == resize
    assert found.train.network == "cnn"
    assert (inside.root / "data/incoming/drawings/bright/0.png").is_file()
    shutil.rmtree(inside.root / "data/incoming/drawings")


def test_arrays_bring_their_own_split(inside, tmp_path):
    random = np.random.default_rng(0)
    arrays = {
        f"x_{name}": random.integers(0, 255, (rows, 8, 9), np.uint8) for name, rows in (("train", 90), ("test", 30))
    }
    arrays |= {f"y_{name}": random.integers(0, 3, rows) for name, rows in (("train", 90), ("test", 30))}
    np.savez(tmp_path / "a.npz", **arrays)
    found = made(inside, "archive", tmp_path / "a.npz", "")
    assert (found.data.shape, found.data.label) == ([8, 9, 1], "integer")
    assert found.raw["clean"]["split"] == {
        "by": "given",
        "column": "split",
        "seed": found.raw["clean"]["split"]["seed"],
        "validation": 0.2,
    }


def test_the_four_files_of_mnist_are_recognised(inside):
    if not MNIST.is_dir():
        pytest.skip(f"{MNIST} is not here")
    yaml = new(inside, Wanted("digits2", MNIST, "", [], [], dry_run=True))["yaml"]
    assert "shape: [28, 28, 1]" in yaml
    assert "by: given, column: split" in yaml


def test_the_command_says_what_it_did_and_what_it_would_not_do(project, tmp_path):
    """The rest of the way to a champion is walked by test_tutorial.py."""
    path = file(tmp_path, orders())
    done = ratchet(project.root, "new", "shop", "--data", str(path), "--target", "ordered")
    assert (done.returncode, done.stderr) == (0, "")
    assert "models/shop.yaml is written" in done.stdout
    again = called(project.root, "new", "shop", "--data", str(path), "--target", "ordered", "--json")
    assert again.returncode == 2
    assert "--force" in json.loads(again.stdout)["error"]
