"""The page of data that broke a rule: what it says is true, and can be done as it is written there."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from mlflow.tracking import MlflowClient
from ruamel.yaml import YAML

from flows.data import last_good
from flows.project.environment import Project
from flows.records import attempts, outputs
from flows.records.attempts import Tick
from flows.report import broken_since, failure_page, findings, plots, suggestions
from pipelines import model_file
from pipelines.config import settings
from pipelines.config.data import Data
from pipelines.errors import ExpectationError
from pipelines.table import profile
from tests.support.clone import answer, clone, edit, ratchet
from tests.support.world import PETS, pets

BROKEN = [  # rules that pets(300) breaks, each about rows or about a whole column
    {"rule": "expect_column_values_to_be_between", "column": "weight", "min_value": 2, "max_value": 15},
    {"rule": "expect_column_values_to_be_between", "column": "age", "max_value": 14, "strict_max": True},
    {"rule": "expect_column_values_to_be_in_set", "column": "colour", "value_set": ["black", "brown"]},
    {"rule": "expect_column_values_to_not_be_null", "column": "age", "mostly": 0.999},
    {"rule": "expect_column_mean_to_be_between", "column": "weight", "min_value": 20, "max_value": 30},
    {"rule": "expect_column_max_to_be_between", "column": "weight", "max_value": 3},
    {"rule": "expect_table_row_count_to_equal", "value": 20},
    {"rule": "expect_table_columns_to_match_set", "column_set": ["weight"]},
    {"rule": "expect_column_distinct_values_to_be_in_set", "column": "animal", "value_set": ["cat"]},
    {"rule": "expect_column_values_to_match_regex", "column": "animal", "regex": "^c"},
]


@pytest.fixture
def project(world) -> Project:
    return Project(world.root, world.root / ".ratchet", "", "")


def refused(world, frame: pd.DataFrame, *stages: str, **sections) -> list[findings.Finding]:
    """What is found in data that a stage refuses."""
    world.declare(**sections)
    world.pin(frame)
    with pytest.raises(ExpectationError):
        world.run("ingest", "validate", *stages)
    return findings.of(world.root / "data/pets", model_file.check("pets"))


def yaml(line: str) -> object:
    return YAML(typ="safe").load(line)


# ------------------------------------------------------------------ what to write


@pytest.mark.parametrize("rule", BROKEN, ids=lambda rule: f"{rule['rule'][7:]} {rule.get('column', '')}")
def test_the_line_that_is_offered_accepts_the_data_and_little_more(world, rule):
    (found,) = refused(world, pets(300), validate={"rules": [rule]})
    (written,) = yaml(found.accept)
    assert written != rule
    world.declare(validate={"rules": [written]})
    assert world.run("validate")
    for key in ("min_value", "max_value"):  # room, and not much of it
        if key in rule and key in written and rule[key] != written[key]:
            assert abs(written[key] - pets(300)[rule["column"]].agg({"min_value": "min", "max_value": "max"}[key])) < 20


def test_the_line_that_sets_rows_aside_does(world):
    rule = BROKEN[0] | {"level": "stop"}
    (found,) = refused(world, pets(300), validate={"rules": [rule]})
    world.declare(validate={"rules": yaml(found.aside), "quarantine_limit": 0.9})
    report = json.loads((world.run("validate") / "validation.json").read_text())
    assert report["quarantined"] == report["rules"][-1]["failing"] > 0
    (whole,) = refused(world, pets(300), validate={"rules": [BROKEN[4]]})
    assert whole.aside == ""  # a mean has no rows


def test_where_no_line_would_do_none_is_offered(world):
    rule = {"rule": "expect_column_values_to_be_unique", "column": "colour"}
    (found,) = refused(world, pets(300), validate={"rules": [rule]})
    assert found.accept == ""  # every row breaks it


def test_limits_are_raised_above_what_was_found(world):
    twice = pd.concat([pets(150), pets(150).assign(animal="dog")])
    found = refused(world, twice, "clean", "check", clean={"duplicates": "keep"}, check={"leakage": 0.5})
    kinds = {one.title: one.accept for one in found}
    assert {title.split()[0] for title in kinds} == {"check.overlap", "check.leakage"}
    limits: dict[str, float] = {}
    for line in kinds.values():
        for key, value in yaml(line).items():
            limits[key] = max(value, limits.get(key, 0.0))
    world.declare(clean={"duplicates": "keep"}, check=limits)
    assert world.run("check")


def test_too_many_rows_to_set_aside_are_a_finding(world):
    rule = BROKEN[0] | {"level": "quarantine"}
    first, second = refused(world, pets(300), validate={"rules": [rule], "quarantine_limit": 0.01})
    assert (first.title, first.level, second.level) == ("validate.quarantine_limit", "stop", "quarantine")
    world.declare(validate={"rules": [rule], **yaml(first.accept)})
    assert world.run("validate")


@pytest.mark.parametrize(
    ("found", "more"), [(96.3, 98), (97, 98), (0.0123, 0.013), (-4.0, -3), (1234.0, 1300), (187.52, 200)]
)
def test_room_is_a_round_number(found, more):
    span = (found / 2, found) if found > 0 else (found - 90, found)
    entry = {"max_value": span[0]}
    value = suggestions._bounds(entry, span[0], found)["max_value"]
    assert found < value <= found + abs(found) * 0.3
    assert value == pytest.approx(more, rel=0.25)


# ------------------------------------------------------------------ since when

TICK = Tick(
    "pets", "refused", "it said no", "schedule", "run", "/here", data="b", broken=["age"], at="2026-01-02T03:04"
)


def lines(*told: tuple[str, str, list[str] | None]) -> list[Tick]:
    return [replace(TICK, data=data, at=at, broken=broken) for data, at, broken in told]


def test_since_when_is_the_first_version_that_broke_the_rule_without_a_break():
    told = lines(("a", "1", []), ("b", "2", ["age"]), ("b", "3", None), ("c", "4", ["age", "weight"]))
    found = broken_since.since(told, "age", "d")
    assert (found.first.data, found.first.at, found.versions, found.before.data) == ("b", "2", 3, "a")
    found = broken_since.since(told, "weight", "d")
    assert (found.first.data, found.first.at, found.versions, found.before.data) == ("c", "4", 2, "b")
    found = broken_since.since(told, "colour", "d")
    assert (found.first, found.versions, found.before.data) == (None, 1, "c")


def test_an_older_version_that_was_brought_back_begins_nothing_anew():
    told = lines(("a", "1", []), ("b", "2", ["age"]), ("a", "3", []), ("b", "4", ["age"]))
    assert broken_since.since(told, "age", "c").first.at == "2"
    assert broken_since.since(told, "age", "b").first.at == "2"
    assert broken_since.since(told, "age", "a").first is None


def test_without_any_tick_this_is_the_first_time_that_is_known():
    assert "first version" in broken_since.words(broken_since.since([], "age", "a"))


# ------------------------------------------------------------------ the page


def test_nothing_broken_is_no_page(world, project):
    world.pin(pets())
    world.run("ingest", "validate", "clean", "check")
    assert failure_page.write(project, model_file.check("pets"), "1" * 64) is None
    assert outputs.page(world.root / "data/pets") == []


def test_the_page_shows_rule_rows_column_since_when_and_what_to_write(world, project):
    rules = [BROKEN[0], {"rule": "expect_column_values_to_be_in_set", "column": "colour", "value_set": ["red"]}]
    refused(world, pets(300), validate={"rules": rules, "examples": 3})
    project.state.mkdir()
    attempts.write(project, replace(TICK, data="a" * 64, broken=[]))
    found = failure_page.write(project, model_file.check("pets"), "b" * 64, "It is not what was promised.")
    folder = world.root / "data/pets/failed"
    markdown, html = ((folder / name).read_text() for name in ("page.md", "page.html"))
    assert "weight values must be greater than or equal to 2 and less than or equal to 15" in markdown
    raw = pd.read_parquet(world.root / "data/pets/raw.parquet").set_index("row_id")
    shown = [line.split(" | ") for line in re.findall(r"^\| ([0-9a-f]{8} .*) \|$", markdown, re.MULTILINE)]
    assert len(shown) == 6  # three of each rule
    whole = {row_id[:8]: row for row_id, row in raw.iterrows()}
    for row in shown[:3]:
        assert not 2 <= whole[row[0]]["weight"] <= 15
        assert float(row[1]) == whole[row[0]]["weight"]
        assert row[2] == whole[row[0]]["animal"]  # the whole row, not the value alone
    assert f"| largest | - | {raw['weight'].max():.6g} |" in markdown
    assert "first version of the data that breaks it" in markdown
    assert "to accept these data" in markdown
    assert "ratchet run pets" in markdown
    pictures = sorted(path.name for path in folder.glob("page-*.png"))
    assert re.findall(r"\]\((page-\d\.png)\)", markdown) == pictures
    assert html.count("data:image/png;base64,") == len(pictures) == 2
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))
    assert all(re.sub(r"\s+", " ", piece) in text for piece in ("300 rows break it", "It stops the run", "black"))
    assert found.broken == [one.title for one in findings.of(folder.parent, model_file.check("pets"))]


def test_the_last_good_version_stands_beside_it(world, project):
    world.pin(pets(300))
    world.run("ingest")
    before = profile.profile(world.root / "data/pets/raw.parquet", settings.load("pets", "data", Data))
    frame = pets(200, seed=1).assign(weight=lambda f: f["weight"] + 40)
    world.declare(validate={"rules": [BROKEN[0]]})
    world.pin(frame)
    path = world.root / "data/pets/pin.json"
    known = before | {"data_hash": "e" * 64, "pin": "f" * 64}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"reference": known}))
    with pytest.raises(ExpectationError):
        world.run("ingest", "validate")
    markdown = failure_page.write(project, model_file.check("pets"), "b" * 64, "No.").markdown
    assert "last good version (data eeeeeeee, pin ffffffff)" in markdown
    assert f"| mean | {pets(300)['weight'].mean():.6g} | {frame['weight'].mean():.6g} |" in markdown


def test_values_from_the_data_are_text_and_never_markup(world, project):
    evil = "<script>alert(1)</script> | [x](javascript:alert(2)) `y` **z**"
    rule = {"rule": "expect_column_values_to_be_in_set", "column": "colour", "value_set": ["black"]}
    refused(world, pets(100).assign(colour=evil), validate={"rules": [rule]})
    failure_page.write(project, model_file.check("pets"), "b" * 64, "No.")
    html = (world.root / "data/pets/failed/page.html").read_text()
    assert "<script" not in html
    assert 'href="javascript' not in html
    assert "<strong>z" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; | [x](javascript:alert(2)) `y` **z**" in html


def test_neither_private_values_nor_sensitive_columns_are_shown(world, project):
    data = PETS["data"] | {"sensitive": ["colour"]}
    refused(world, pets(300), data_=data, validate={"rules": [BROKEN[0]]})
    shown = failure_page.write(project, model_file.check("pets"), "b" * 64, "No.").markdown
    assert "(sensitive)" in shown
    assert [colour for colour in ("black", "brown", "white") if colour in shown] == []
    refused(world, pets(300), validate={"rules": [BROKEN[0]], "examples": 0})
    assert "Rows that break it" not in failure_page.write(project, model_file.check("pets"), "b" * 64, "No.").markdown


def test_two_pages_of_the_same_data_have_the_same_bytes(world, project):
    refused(world, pets(300), validate={"rules": BROKEN[:3]})
    written = []
    for _ in range(2):
        found = failure_page.write(project, model_file.check("pets"), "b" * 64, "No.")
        written.append([path.read_bytes() for path in found.files])
    assert written[0] == written[1]


@pytest.mark.parametrize("values", [[3.0] * 101, [], [1.0] * 100 + [1e12], list(range(101))])
def test_any_column_can_be_drawn(values):
    number = {
        "kind": "number",
        "missing": 0,
        "mean": 1.0,
        "quantiles": values,
    }
    now = {
        "rows": 5,
        "columns": {"x$": number, "w": {"kind": "word", "missing": 5, "known": 0, "distinct": 0, "words": {}}},
    }
    for before in (None, now, {"rows": 0, "columns": {}}):
        drawn = plots.png(before, now, "x$", [2.0])
        assert drawn.startswith(b"\x89PNG") == bool(number["quantiles"])
        assert plots.png(before, now, "w", []) == b""
        assert plots.table(before, now, "w")


# ------------------------------------------------------------------ a whole run


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Path:
    """A clone with the model `pets`, in which sound data were used, with a rule that warns, and then broken ones
    refused twice."""
    folder = clone(tmp_path_factory.mktemp("page"))
    edit(folder / "dvc.yaml", "[digits, breast_cancer, diabetes]", "[digits, breast_cancer, diabetes, pets]")
    rule = "{rule: expect_column_values_to_be_between, column: weight, max_value: 60}"
    warning = "{rule: expect_column_values_to_not_be_null, column: age, level: warn}"
    (folder / "models" / "pets.yaml").write_text(
        "format: 1\n"
        "data: {kind: table, task: classification, target: animal, columns: {weight: number, age: number}}\n"
        "ingest: {source: data/incoming/pets.csv}\n"
        f"validate: {{rules: [{rule}, {warning}]}}\n"
        "clean: {split: {by: hash, seed: 1}}\ncheck: {overlap: 1.0}\n"
        "train: {hidden: [8], epochs: 2, batch_size: 16}\nevaluate: {metrics: [accuracy]}\n"
        "promote: {metric: accuracy, at_least: 0.5}\nschedule: {}\n"
    )
    (folder / "models" / "pets.py").write_text('"""No code of its own."""\n')
    source = folder / "data" / "incoming" / "pets.csv"
    source.parent.mkdir(parents=True)
    pets(400)[["weight", "age", "animal"]].to_csv(source, index=False)
    first = answer(folder, "run", "pets")
    (folder / "first.json").write_text(json.dumps(first))
    (folder / "first.md").write_text((folder / "data/pets/failed/page.md").read_text())
    frame = pets(400)[["weight", "age", "animal"]]
    frame.loc[3, "weight"] = 97.25
    frame.to_csv(source, index=False)
    for name in ("one", "two"):
        done = ratchet(folder, "run", "pets")
        (folder / f"{name}.err").write_text(done.stderr)
        assert done.returncode == 1
    return folder


def runs(shop: Path) -> dict[str, object]:
    store = MlflowClient(f"sqlite:///{shop}/mlflow/mlflow.db")
    experiment = store.get_experiment_by_name("pets").experiment_id
    return {"store": store, "found": store.search_runs([experiment])}


@pytest.mark.long
def test_the_message_names_the_page_and_the_page_says_how_to_go_on(shop):
    assert "data/pets/failed/page.html shows since when" in (shop / "one.err").read_text()
    text = (shop / "data/pets/failed/page.md").read_text()
    data_hash = json.loads((shop / "first.json").read_text())["data_hash"]
    assert f"ratchet run pets --data {data_hash[:12]}" in text
    assert f"last good version (data {data_hash[:8]}, pin " in text  # pinned together with the new data
    assert "| largest | " in text
    assert "| 97.25 |" in text
    assert re.search(r"Broken since \d{4}-\d\d-\d\d \d\d:\d\d UTC, when pin ", text)  # the second run says it
    assert "1 stops the run, 1 only warns" in text


@pytest.mark.long
def test_a_refused_run_is_one_run_in_mlflow_that_nothing_takes_for_a_training(shop):
    known = runs(shop)
    (found,) = (run for run in known["found"] if "ratchet.refused" in run.data.tags)  # of two refusals of the same
    assert (found.info.status, found.data.tags["ratchet.refused"]) == ("FAILED", "validate")
    names = {entry.path for entry in known["store"].list_artifacts(found.info.run_id, "refused")}
    assert {"refused/page.md", "refused/page.html", "refused/page-1.png"} <= names
    listed = answer(shop, "data", "pets")["data"]
    assert [one["versions"] for one in listed] == [[1]]
    assert answer(shop, "prune", "--dry-run")["models"] is not None


@pytest.mark.long
def test_a_rule_that_warns_is_seen_though_the_run_passes(shop):
    assert "only warn" in (shop / "first.md").read_text()
    (found,) = (run for run in runs(shop)["found"] if "ratchet.published" in run.data.tags)
    assert "expect_column_values_to_not_be_null" in found.data.tags["ratchet.warnings"]
    store = runs(shop)["store"]
    assert "reports/page.html" in {entry.path for entry in store.list_artifacts(found.info.run_id, "reports")}


@pytest.mark.long
def test_going_back_is_the_command_that_the_page_names(shop):
    text = (shop / "data/pets/failed/page.md").read_text()
    (command,) = re.findall(r"`ratchet (run pets --data \w+)`", text)
    before = json.loads((shop / "first.json").read_text())
    done = ratchet(shop, *command.split())
    assert done.returncode == 0, done.stderr
    assert "warning: column 'age'" in done.stderr  # told again, though the stages did not run
    assert "pets: unchanged" in done.stdout
    assert json.loads((shop / "data/pets/clean.json").read_text())["data_hash"] == before["data_hash"]
    assert last_good.of(Project(shop, shop / ".ratchet", "", ""), "pets").data_hash == before["data_hash"]
    assert not (shop / "data/pets/failed/validation.json").exists()
