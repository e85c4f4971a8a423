"""The edges of a split by time go from one pin to the next, and a run says where no new row reached training."""

import json

import pytest

from flows.cli.commands.run import run_text
from flows.data import last_good, reached
from flows.data.last_good import Good
from pipelines.clean import Clean
from pipelines.readers import sources
from tests.flows.data.test_refresh import Shop, put

EDGES = {"column": "born", "validation": 0.1, "test": "90d"}
EARLY = EDGES | {"validation_from": "2026-01-01T00:00:00+00:00", "test_from": "2026-02-01T00:00:00+00:00"}
LATE = EDGES | {"validation_from": "2026-03-01T00:00:00+00:00", "test_from": "2026-04-01T00:00:00+00:00"}
FIXED = {"by": "time", "column": "at", "validation_from": "2026-01-01T00Z", "test_from": "2026-02-01T00Z"}


@pytest.fixture
def shop(world, begun, monkeypatch):
    found = Shop(world, begun, monkeypatch)
    found.source("data/incoming/pets/")
    put(found.incoming / "one.csv")
    found.refresh()
    return found


def published(shop: Shop, pin: str, edges: dict | None = None) -> None:
    """What a run leaves behind: a profile, and a report of `clean`."""
    folder = shop.project.data("pets")
    (folder / "profile.json").write_text(json.dumps({"format": 1, "rows": 40, "sampled": 40, "columns": {}}))
    splits = {name: {"rows": 1, "hash": f"{pin}-{name}"} for name in ("train", "validation", "test")}
    report = {"rows": {"raw": 40}, "splits": splits} | ({"edges": edges} if edges else {})
    (folder / "clean.json").write_text(json.dumps(report))
    last_good.note(shop.project, "pets", pin, pin)


def carried() -> dict | None:
    return sources.read_pin("pets").get("edges")


def test_the_next_pin_has_the_edges_of_the_last_published_version_and_the_same_data_keep_theirs(shop):
    assert carried() is None
    published(shop, "a", EARLY)
    assert shop.refresh()[0] == "Unchanged"
    assert carried() is None
    put(shop.incoming / "two.csv", seed=1)
    assert shop.refresh()[0] == "Ran"
    assert carried() == EARLY
    assert sources.read_pin("pets")["reference"]["pin"] == "a"
    assert "edges" not in sources.read_pin("pets")["reference"]
    published(shop, "b", LATE)
    assert shop.refresh()[0] == "Unchanged"
    assert carried() == EARLY
    put(shop.incoming / "three.csv", seed=2)
    shop.refresh()
    assert carried() == LATE


def test_a_fresh_clone_goes_on_from_the_edges_of_its_pin(shop):
    published(shop, "a", LATE)
    put(shop.incoming / "two.csv", seed=1)
    shop.refresh()
    (shop.project.state / "profile-pets.json").unlink()
    put(shop.incoming / "three.csv", seed=2)
    shop.refresh()
    assert carried() == LATE
    published(shop, "b", EARLY)  # of this clone; the pin comes from another one
    put(shop.incoming / "four.csv", seed=3)
    shop.refresh()
    assert carried() == LATE


def test_a_split_that_does_not_move_leaves_no_edges(shop):
    published(shop, "a")
    put(shop.incoming / "two.csv", seed=1)
    shop.refresh()
    assert "edges" not in sources.read_pin("pets")


def test_what_was_noted_before_is_read_and_the_time_of_a_version_stays(shop):
    published(shop, "a")
    path = shop.project.state / "profile-pets.json"
    old = {key: value for key, value in json.loads(path.read_text()).items() if key not in ("rows_raw", "splits")}
    path.write_text(json.dumps(old | {"at": "2020-01-01T00:00:00+00:00"}))
    assert last_good.of(shop.project, "pets") == Good("a", "a", "2020-01-01T00:00:00+00:00")
    published(shop, "a", EARLY)
    found = last_good.of(shop.project, "pets")
    assert (found.at, found.rows, found.splits["train"]) == ("2020-01-01T00:00:00+00:00", 40, "a-train")
    assert last_good.edges(shop.project, "pets") == EARLY


def said(split: dict, **changes: str) -> str:
    before = Good("p", "old", "", 40, {"train": "1", "validation": "2", "test": "3"})
    hashes = before.splits | changes
    splits = {name: {"rows": 1, "hash": value} for name, value in hashes.items()}
    report = {"data_hash": "new", "rows": {"raw": 1040, "removed": {"duplicate": 1000}}, "splits": splits}
    return reached.none_of_them("m", before, report, Clean.model_validate({"split": split}))


@pytest.mark.parametrize(
    ("split", "told"),
    [
        (FIXED, "test row for ever. In models/m.yaml replace `validation_from: 2026-01-01T00Z` and `test_from: 2026-"),
        ({"by": "time", "column": "at", "validation": 0.1, "test": "90d"}, "(validation: 0.1, test: 90d), which move"),
        ({"by": "given", "column": "part"}, "the column 'part' gives them to another split"),
        ({"by": "hash"}, "their hashes put them all into validation and test"),
    ],
)
def test_a_run_without_a_new_training_row_says_what_to_write(split, told):
    assert said(split, test="4").startswith("none of 1,000 new rows reached training: ")
    assert told in said(split, test="4")
    assert said(split, test="4", train="5") == ""
    assert said(split).endswith("they were removed (1,000 duplicate in all)")


def test_without_new_rows_nothing_is_said():
    splits = {name: {"hash": name} for name in ("train", "validation", "test")}
    report = {"data_hash": "new", "rows": {"raw": 40, "removed": {}}, "splits": splits}
    config, same = Clean.model_validate({"split": FIXED}), {name: name for name in splits}
    assert reached.none_of_them("m", None, report, config) == ""
    assert reached.none_of_them("m", Good("p", "new", "", 10, same), report, config) == ""
    assert reached.none_of_them("m", Good("p", "old", "", 40, same), report, config) == ""
    assert reached.none_of_them("m", Good("p", "old", ""), report, config) == ""
    one = reached.none_of_them("m", Good("p", "old", "", 39, same | {"test": ""}), report, config)
    assert one.startswith("the one new row did not reach training: ")


@pytest.mark.parametrize("unreached", ["", "none of 30 new rows reached training: because"])
def test_the_last_lines_of_a_run_have_it(unreached):
    found = {"model": "m", "decision": "unchanged", "reason": "r", "metrics": {}, "champion": 1, "version": 1}
    lines = run_text(found | {"seconds": 1.0, "untracked": [], "next": "n", "unreached": unreached}).splitlines()
    assert [line for line in lines if "training" in line] == [f"  training  {unreached}"] * bool(unreached)
