"""Evidence: rows that neither model knows, older and newer ones, slices, one order, vetoes and holds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flows.promotion import comparison, evidence
from flows.promotion.comparison import Candidate
from flows.promotion.rivals.opponents import Rival
from flows.promotion.statistics.budget import Budget
from flows.promotion.statistics.dependence import INDEPENDENT
from flows.records.champion_state import stand
from flows.records.outputs import StageOutputs
from flows.tracking import evidence_files
from flows.tracking.evidence_files import Kept
from pipelines import model_file
from pipelines.config.data import Data
from pipelines.errors import IntegrityError
from pipelines.sections.promote import Promote, Slice

NUMBER = Data(kind="table", task="regression", target="y", columns={"age": "number", "sex": "category"})
ANIMAL = Data(kind="table", task="classification", target="y", columns={"age": "number"})
DIGIT = Data(kind="table", task="classification", target="y", label="integer", columns={"age": "number"})
FRESH = Budget(judged=0, since_promotion=0, since_reference=0, promotions=0)


def predictions(ids: list[str], error: float = 0.0) -> pd.DataFrame:
    actual = np.arange(len(ids), dtype=float)
    return pd.DataFrame({"row_id": ids, "actual": actual, "prediction": actual + error})


def rows(**splits: list[str]) -> pd.Series:
    pairs = [(row, split) for split, ids in splits.items() for row in ids]
    return pd.Series(dict(pairs))


@pytest.fixture
def made(tmp_path) -> StageOutputs:
    """A candidate with test rows t0 to t99, of which half are young, trained on a0 to a9."""
    tests = [f"t{number}" for number in range(100)]
    for name, ids in (("train", [f"a{n}" for n in range(10)]), ("validation", ["v0"]), ("test", tests)):
        age = [20.0 if n % 2 else 70.0 for n in range(len(ids))]
        table = pd.DataFrame(
            {"row_id": ids, "y": range(len(ids)), "age": age, "sex": ["f", "m"] * (len(ids) // 2) or ["f"]}
        )
        table.to_parquet(tmp_path / f"{name}.parquet", index=False)
    return StageOutputs(tmp_path, {}, {"test": {"hash": "t"}}, "d", "m", "i")


class Version:
    version = "1"


def declared(**promote) -> model_file.Declaration:
    rules = Promote(metric="mean_absolute_error", at_most=100, margin=0.5, **promote)
    return model_file.Declaration("pets", {}, {"data": NUMBER, "promote": rules})


def looks(made: StageOutputs, rival: pd.Series, error: float = 0.0, depends=INDEPENDENT, **promote):
    """Candidate with an error of `error`, a champion with an error of 1 on the same rows."""
    mine = predictions([f"t{number}" for number in range(100)], error)
    theirs = predictions(mine["row_id"].tolist(), 1.0)
    champion = Rival("champion", Version, Path(), Kept(rival, theirs), theirs)  # type: ignore[arg-type]
    found = comparison.compare(Candidate(declared(**promote), made, mine, FRESH, depends), champion)
    return found.looks, found.left_out


TESTED = [f"t{number}" for number in range(100)]


def test_all_rows_of_a_shared_test_set_are_compared_at_once(made):
    found, left_out = looks(made, rows(train=["x"], test=TESTED))
    assert ([look.what for look in found], left_out) == (["rare errors", "champion"], 0)
    assert (found[-1].rows, found[-1].gain, found[-1].passed) == (100, 1.0, True)


def test_rows_that_the_champion_was_trained_or_tuned_on_are_left_out(made):
    found, left_out = looks(made, rows(train=TESTED[:20], validation=TESTED[20:30], test=TESTED[30:]))
    assert ([look.what for look in found], left_out, found[-1].rows) == (["rare errors", "champion"], 30, 70)


def test_rows_that_the_candidate_was_trained_on_are_left_out_too(made):
    table = pd.read_parquet(made.folder / "train.parquet")
    table.loc[:4, "row_id"] = TESTED[:5]
    table.to_parquet(made.folder / "train.parquet", index=False)
    assert looks(made, rows(test=TESTED))[1] == 5


def test_all_rows_that_neither_was_fitted_on_decide_and_older_and_newer_ones_can_each_say_no(made):
    found, _ = looks(made, rows(train=["x"], test=TESTED[:60]))
    assert [(look.what, look.rows) for look in found] == [
        ("older rows", 60),
        ("newer rows", 40),
        ("older and newer rows", None),
        ("rare errors", 100),
        ("champion", 100),
    ]


def test_a_champion_whose_test_rows_are_all_gone_is_compared_on_the_newer_ones(made):
    """As a test period does that has moved on: there was never an end to "too few test rows"."""
    found, _ = looks(made, rows(train=["x"], test=["y"]))
    assert (found[-1].what, found[-1].passed, found[-1].rows) == ("champion", True, 100)


def test_without_a_row_that_neither_was_fitted_on_there_is_nothing_to_compare(made):
    found, left_out = looks(made, rows(train=TESTED))
    assert (found[-1].what, found[-1].passed, left_out) == ("champion", None, 100)
    assert "not enough evidence" in found[-1].said


def test_a_champion_that_memorised_gains_nothing_from_its_training_rows(made):
    """Its error on those rows is 0, the candidate's is 1: only the others count."""
    mine = predictions(TESTED, 1.0)
    theirs = mine.assign(prediction=mine["actual"] + np.where(np.arange(100) < 50, 0.0, 1.5))
    kept = Kept(rows(train=TESTED[:50], test=TESTED[50:]), theirs)
    champion = Rival("champion", Version, Path(), kept, theirs)  # type: ignore[arg-type]
    found = comparison.compare(Candidate(declared(), made, mine, FRESH, INDEPENDENT), champion)
    assert (found.left_out, found.looks[-1].rows, found.looks[-1].gain) == (50, 50, 0.5)


def test_better_pays_for_every_candidate_that_the_rows_have_judged(made):
    """A gain that is shown at the usual level is not called better after a hundred others were looked at."""
    theirs = predictions(TESTED, 10.0)
    apart = np.tile([-1.0, 1.0], 50) - 0.28  # 2.8 standard errors
    mine = theirs.assign(prediction=theirs["prediction"] + apart)
    champion = Rival("champion", Version, Path(), Kept(rows(test=TESTED), theirs), theirs)  # type: ignore[arg-type]
    said = {}
    for judged in (0, 100):
        used = Budget(judged=judged, since_promotion=0, since_reference=judged, promotions=judged)
        found = comparison.compare(Candidate(declared(), made, mine, used, INDEPENDENT), champion)
        assert found.looks[-1].passed
        said[judged] = (found.better, found.looks[-1].said.partition(":")[0])
    assert said == {0: (True, "better"), 100: (False, "not worse by more than the margin 0.5")}


def test_a_slice_is_judged_by_its_own_margin_on_its_own_rows(made):
    young = Slice(column="age", below=30)
    found, _ = looks(made, rows(test=TESTED), error=1.2, slices={"young": young})
    assert [(look.what, look.rows, look.passed) for look in found if look.what != "rare errors"] == [
        ("slice young", 50, True),
        ("champion", 100, True),
    ]
    found, _ = looks(made, rows(test=TESTED), error=1.2, slices={"young": young.model_copy(update={"margin": 0.1})})
    assert [look.passed for look in found if look.what != "rare errors"] == [False, True]


@pytest.mark.parametrize(
    ("part", "count"),
    [
        (Slice(column="age", at_least=70), 50),
        (Slice(column="age", below=70), 50),
        (Slice(column="age", at_least=0, below=200), 100),
        (Slice(column="sex", values=["f"]), 50),
        (Slice(column="y", values=[3, 4]), 2),
    ],
)
def test_the_rows_of_a_slice(made, part, count):
    assert comparison.chosen(part, made.folder / "test.parquet").sum() == count


def test_a_missing_value_lies_in_no_slice_of_numbers(made):
    table = pd.read_parquet(made.folder / "test.parquet")
    table.loc[:9, "age"] = None
    table.to_parquet(made.folder / "test.parquet", index=False)
    assert comparison.chosen(Slice(column="age", at_least=0), made.folder / "test.parquet").sum() == 90


def test_a_champion_that_cannot_be_loaded_is_no_pass_and_no_failure(made):
    broken = Rival("champion", Version, failure="its weights are gone")  # type: ignore[arg-type]
    found = comparison.compare(Candidate(declared(), made, predictions(TESTED), FRESH, INDEPENDENT), broken).looks
    assert found[0].passed is None
    assert "its weights are gone" in found[0].said
    assert "ratchet rollback" in found[0].said


def test_two_tables_are_brought_to_the_same_order():
    one = predictions(["a", "b", "c"])
    other = predictions(["a", "b", "c"], 1.0).iloc[::-1].reset_index(drop=True)
    mine, theirs = comparison.paired(one, other, NUMBER)
    assert mine.row_ids.tolist() == theirs.row_ids.tolist() == ["a", "b", "c"]
    assert (theirs.predicted - mine.predicted).tolist() == [1.0, 1.0, 1.0]


def test_a_table_that_lacks_rows_is_not_compared():
    with pytest.raises(IntegrityError, match="different rows"):
        comparison.paired(predictions(["a", "b"]), predictions(["a"]), NUMBER)


@pytest.mark.parametrize(("data", "names"), [(ANIMAL, ["cat", "dog"]), (DIGIT, [9, 10])])
def test_a_class_that_one_of_two_does_not_know_has_probability_0_there(data, names):
    first, second = names
    one = pd.DataFrame({"row_id": ["a", "b"], "actual": names, "prediction": names})
    one[f"probability_{first}"], one[f"probability_{second}"] = [0.9, 0.2], [0.1, 0.8]
    other = pd.DataFrame(
        {"row_id": ["a", "b"], "actual": names, "prediction": [first, first], f"probability_{first}": 1.0}
    )
    mine, theirs = comparison.paired(one, other, data)
    assert mine.classes == theirs.classes == names
    assert theirs.probabilities.tolist() == [[1.0, 0.0], [1.0, 0.0]]
    assert theirs.losses("log_loss")[1] > 30  # it gave the true class no chance
    assert theirs.losses("accuracy").tolist() == [0.0, 1.0]


def test_a_veto_and_a_hold_stand_against_a_version():
    from tests.flows.records.test_ledger import line

    back = replace(line("rolled back", 2, 2, 1, hold=True), sequence=1, at="2026-11-01T00:00:00+00:00")
    now = stand([back])
    assert [look.what for look in evidence.against_it(now, 2)] == ["veto"]
    assert [look.what for look in evidence.against_it(now, 3)] == ["hold"]
    assert "2026-11-01 (a reason)" in evidence.against_it(now, 2)[0].said
    assert evidence.against_it(stand([]), 2) == []


def test_what_is_kept_says_what_was_fitted_and_what_was_tested():
    found = Kept(rows(train=["a"], validation=["b"], test=["c"]), predictions(["c"]))
    ids = pd.Series(["a", "b", "c", "d"])
    assert found.fitted(ids).tolist() == [True, True, False, False]
    assert found.tested(ids).tolist() == [False, False, True, False]
    assert evidence_files.GOLDEN_ROWS == 200
