"""What the columns of a table say of each other and of the target: told, and left out where a data scientist would.

Made-up tables of each kind, and beside each an honest one of which nothing may be left out.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn import datasets

from flows.new import column_types
from flows.new import target as targets
from flows.new.relations import find as relations
from flows.new.relations import leaks, problem, sums
from flows.new.relations.find import Relations
from flows.new.relations.sample import Sample
from pipelines.table.rows import MISSING

ROWS = 1000
RANDOM = np.random.default_rng(5)
X = RANDOM.normal(size=(ROWS, 4)).round(3)
NUMBERS = pd.DataFrame(X, columns=[*"abcd"])
PARTS = pd.DataFrame({f"p{i}": RANDOM.gamma(2, 10, ROWS).round(2) for i in range(5)})
RARE = X[:, 0] + RANDOM.normal(size=ROWS) > 2
HALF = X[:, 0] + RANDOM.normal(size=ROWS) > 0.3
SHARED = Path(__file__).parents[5] / "shared"


def sample(table: pd.DataFrame, target: str, classes: bool = False) -> Sample:
    """As of a file, without gaps in the target."""
    rest = table.drop(columns=target)
    numbers = {name: rest[name].to_numpy(float) for name in rest.select_dtypes("number")}
    spelled = {name: pd.factorize(rest[name]) for name in rest.select_dtypes(exclude="number")}
    words, names = ({name: part[index] for name, part in spelled.items()} for index in (0, 1))
    if not classes:
        return Sample(numbers, words, table[target].to_numpy(float), [])
    counts = table[target].value_counts()
    kept = [*counts[counts >= 10].index]
    known = table[target].isin(kept).to_numpy()
    codes = pd.Index(kept).get_indexer(table.loc[known, target]).astype(int)
    numbers, words = ({name: values[known] for name, values in part.items()} for part in (numbers, words))
    return Sample(numbers, words, codes, kept, spelled={name: [*found] for name, found in names.items()})


def found(table: pd.DataFrame, target: str) -> Relations:
    file = pa.Table.from_pandas(table.astype(str).replace("nan", ""), preserve_index=False)
    columns = column_types.columns(file.drop_columns([target]), MISSING)
    return relations.find(file, columns, targets.target(target, file[target], MISSING, "x.csv"), None, [], MISSING)


# ------------------------------------------------------------------ numbers that contain the target, or make it up

WHOLE = PARTS.sum(axis=1).round(2)
AREA = RANDOM.integers(30, 200, ROWS)
PRICE = (AREA * 3000 + 20000 * X[:, 0] + 30000 * RANDOM.normal(size=ROWS) + 190000).round(-2)
HONEST = (50 + 10 * X[:, 0] + 10 * RANDOM.normal(size=ROWS)).round(2)
MADE = {  # columns and target, and what is left out
    "a total of three": (PARTS[["p0", "p1"]].assign(all=PARTS[["p0", "p1", "p2"]].sum(axis=1), y=PARTS["p2"]), {"all"}),
    "a total of six": (PARTS.assign(y=HONEST).assign(all=WHOLE + HONEST), {"all"}),
    "a total that holds more": (
        PARTS[["p0", "p1"]].assign(all=PARTS[["p0", "p1", "p2"]].sum(axis=1) + RANDOM.gamma(1, 1, ROWS), y=PARTS["p2"]),
        {"all"},
    ),
    "the sum of five": (NUMBERS.assign(**PARTS, y=WHOLE), set(PARTS)),
    "a mark of two exams": (
        NUMBERS.assign(e=PARTS["p0"], f=PARTS["p1"], y=0.3 * PARTS["p0"] + 0.7 * PARTS["p1"]),
        {*"ef"},
    ),
    "a profit": (NUMBERS.assign(sold=PARTS["p0"], cost=PARTS["p1"], y=PARTS["p0"] - PARTS["p1"]), {"sold"}),
    "a price for each unit": (NUMBERS.assign(area=AREA, each=(PRICE / AREA).round(2), y=PRICE), {"each"}),
    "a near copy": (NUMBERS.assign(y=HONEST, guess=HONEST + 0.8 * RANDOM.normal(size=ROWS)), {"guess"}),
    "a sum with noise": (NUMBERS.assign(y=X[:, 0] + X[:, 1] + 0.3 * RANDOM.normal(size=ROWS)), set()),
    "a difference with noise": (NUMBERS.assign(y=X[:, 0] - X[:, 1] + 0.3 * RANDOM.normal(size=ROWS)), set()),
    "yesterday's price": (
        NUMBERS.assign(y=(walk := 100 + RANDOM.normal(size=ROWS + 1).cumsum())[1:], before=walk[:-1]),
        set(),
    ),
    "strong columns": (NUMBERS.assign(y=3.1 * X[:, 0] + 1.7 * X[:, 1] + 0.05 * RANDOM.normal(size=ROWS)), set()),
}


@pytest.mark.parametrize("name", MADE)
def test_numbers_that_hold_the_target_are_found_by_a_linear_fit(name):
    table, left_out = MADE[name]
    assert set(sums.of_sample(sample(table, "y"))) == left_out


def test_a_reason_names_the_other_parts():
    table, _ = MADE["a total of three"]
    assert "contains the target: it is about the target + p0 + p1" in sums.of_sample(sample(table, "y"))["all"]


# ------------------------------------------------------------------ what is written down afterwards

GONE = np.where(RARE & (RANDOM.random(ROWS) < 0.6), 1.0, 0.0)
WORDS = RANDOM.choice(["open", "closed"], ROWS)
OTHERS = ~RARE & (np.cumsum(~RARE) <= 0.07 * GONE.sum())  # rows that a sharp symptom takes for ill
LATER = {  # a column and whether the target is rare, and whether it is left out
    "a flag of failure": (GONE, RARE, True),
    "an amount paid back": (GONE * PARTS["p0"], RARE, True),
    "a word of a list": (np.where(GONE == 1, "written off", WORDS), RARE, True),
    "filled for one class alone": (np.where(HALF, PARTS["p0"], np.nan), HALF, True),
    "empty for one class alone": (np.where(HALF, np.nan, PARTS["p0"]), HALF, True),
    "a word only where it ended": (np.where(HALF, WORDS, None), HALF, True),
    "a flag by chance": ((RANDOM.random(ROWS) < 0.1).astype(float), RARE, False),
    "a strong symptom": ((RARE & (RANDOM.random(ROWS) < 0.8) | (RANDOM.random(ROWS) < 0.1)).astype(float), RARE, False),
    "a sharp symptom": (np.where(OTHERS, 1.0, GONE), RARE, False),
    "gaps by chance": (np.where(RANDOM.random(ROWS) < 0.2, np.nan, PARTS["p0"]), HALF, False),
    "a word of the common class": (np.where(HALF & (RANDOM.random(ROWS) < 0.9), "x", "y"), HALF, False),
}


@pytest.mark.parametrize("name", LATER)
def test_what_is_known_only_afterwards_is_found_by_the_rows_that_it_gives_away(name):
    values, target, left_out = LATER[name]
    table = NUMBERS.assign(later=values, y=target.astype(int))
    assert {column for column, leak in leaks.of_sample(sample(table, "y", True)).items() if leak.sure} == (
        {"later"} if left_out else set()
    )


SETS = [datasets.load_iris, datasets.load_wine, datasets.load_breast_cancer, datasets.load_digits]


@pytest.mark.parametrize("load", SETS)
def test_no_column_of_a_known_set_of_classes_is_taken_for_a_leak_and_its_classes_stay(load):
    table = load(as_frame=True).frame
    assert leaks.of_sample(sample(table, "target", True)) == {}
    assert problem.ordered(sample(table, "target", True)) == ""


def test_no_column_of_a_known_set_of_numbers_is_taken_for_a_leak():
    made = datasets.make_regression(500, 12, noise=0.0, random_state=0)
    friedman = datasets.make_friedman1(500, 10, random_state=0)
    frames = [pd.DataFrame(x).rename(columns=str).assign(target=y) for x, y in (made, friedman)]
    for table in [datasets.load_diabetes(as_frame=True).frame, *frames]:
        assert sums.of_sample(sample(table, "target")) == {}


# ------------------------------------------------------------------ classes or amounts

STARS = np.clip(np.round(3 + X[:, 0] + RANDOM.normal(size=ROWS)), 1, 5).astype(int)
ORDERED = {
    "stars": (STARS, True),
    "stars in tens": (10 * STARS, True),
    "counts": (RANDOM.poisson(np.exp(0.3 + 0.5 * X[:, 0])), True),
    "mostly one": (1 + (RANDOM.random(ROWS) < 0.04) * RANDOM.choice([1, 1, 2], ROWS), True),
    "two values": (HALF.astype(int), False),
    "codes of the largest": (np.abs(X).argmax(axis=1), False),
    "codes of eight": (np.column_stack([X, -X]).argmax(axis=1), False),
    "codes by chance": (RANDOM.integers(0, 8, ROWS), False),
    "codes with gaps": (np.array([1, 2, 5, 7])[np.abs(X).argmax(axis=1)], False),
}


@pytest.mark.parametrize("name", ORDERED)
def test_grades_and_counts_are_amounts_and_codes_are_classes(name):
    values, amounts = ORDERED[name]
    assert bool(problem.ordered(sample(NUMBERS.assign(y=values), "y", True))) == amounts


NAMES = ["mean_absolute_error", "root_mean_squared_error", "r2"]
OF_CLASSES = ["accuracy", "balanced_accuracy", "log_loss", "f1_macro"]


@pytest.mark.parametrize("values", [HONEST, 1 + (X[:, 0] > 1.9), np.exp(2 * X[:, 0] + RANDOM.normal(size=ROWS))])
def test_the_constant_answer_does_not_win_by_the_metric_of_a_regression(values):
    judged = problem.of_numbers(sample(NUMBERS.assign(y=values), "y"), NAMES)
    assert judged.scores[judged.metric].wins


def test_the_constant_answer_does_not_win_by_the_metric_of_uneven_classes():
    values = np.where(RARE, "fatal", np.where(X[:, 1] + RANDOM.normal(size=ROWS) > 1.6, "grave", "light"))
    judged = problem.of_classes(sample(NUMBERS.assign(y=values), "y", True), OF_CLASSES, uneven=True)
    assert (judged.metric, judged.scores["log_loss"].wins) == ("log_loss", True)
    values = np.where(X[:, 0] > 1.6, "high", np.where(X[:, 0] > 0, "middle", "low"))  # the rare one is told apart well
    judged = problem.of_classes(sample(NUMBERS.assign(y=values), "y", True), OF_CLASSES, uneven=True)
    assert judged.metric != "accuracy"


# ------------------------------------------------------------------ entities, copies, dates, identifiers

HOUSES = pd.DataFrame({"house": np.arange(500), "a": X[:500, 0], "b": X[:500, 1], "y": HONEST[:500]})
TWICE = pd.concat([HOUSES.assign(cover="wood"), HOUSES.sample(200, random_state=1).assign(cover="brick")])
GUESTS = pd.DataFrame({"guest": np.arange(200), "age": RANDOM.integers(18, 80, 200), "pay": PARTS["p0"][:200]})
VISITS = GUESTS.loc[RANDOM.integers(0, 200, ROWS)].assign(spent=PARTS["p1"].to_numpy(), y=HONEST)


@pytest.mark.parametrize("spelled", [lambda key: key, lambda key: f"H-{key * 7919 % 1009:04d}"])
def test_rows_of_one_entity_that_repeat_the_target_stay_together(spelled):
    answer = found(TWICE.assign(house=TWICE["house"].map(spelled)), "y")
    assert answer.group == ["house"]
    assert "500 different values" in answer.why_group


def test_rows_of_one_entity_with_targets_of_their_own_are_told():
    answer = found(VISITS, "y")
    assert answer.group == []
    assert any("--group guest" in sentence for sentence in answer.look)


def test_a_measurement_that_comes_again_is_no_entity():
    table = NUMBERS.assign(rooms=RANDOM.integers(0, 300, ROWS))
    answer = found(table.assign(y=(5 * table["rooms"] + X[:, 1]).round(1)), "y")
    assert (answer.group, answer.look) == ([], [])


PEOPLE = pd.DataFrame({"sex": RANDOM.choice([*"fm"], ROWS), "cls": RANDOM.integers(1, 4, ROWS), "y": HALF})
KEYED = PEOPLE.assign(key=3 * np.arange(ROWS) + 7)
EQUAL = {  # equal rows are dropped, kept, or told apart by an identifier
    "nobody has a key": (PEOPLE, "keep", []),
    "each has a key": (KEYED, "keep", []),
    "each has a key, some rows are copies": (pd.concat([KEYED, KEYED[:90]]), "drop", ["key"]),
    "no rows are equal": (NUMBERS.assign(y=HALF), "drop", []),
    "all equal rows are copies": (pd.concat([q := NUMBERS.assign(k=KEYED["key"], y=HALF), q[:90]]), "drop", []),
}


@pytest.mark.parametrize("name", EQUAL)
def test_equal_rows_are_kept_unless_an_identifier_says_that_they_are_copies(name):
    table, equal, carried = EQUAL[name]
    answer = found(table, "y")
    assert (answer.equal, answer.carried, answer.group) == (equal, carried, [])
    assert answer.why_equal


DAYS = pd.Series(pd.date_range("2022-01-01", periods=ROWS, freq="7h"))
BORN = pd.Series(pd.to_datetime("1950-01-01") + pd.to_timedelta(RANDOM.integers(0, 15000, ROWS), unit="D"))
MIXED = RANDOM.permutation(ROWS)
LONG = pd.to_timedelta(RANDOM.integers(60, 3000, ROWS), unit="s")
DATES = {  # the date that orders the rows
    "the order of the file": ({"born": BORN, "bought": DAYS}, "bought"),
    "the order of the file, from the newest": ({"born": BORN, "bought": DAYS[::-1].reset_index(drop=True)}, "bought"),
    "the first of an event": ({"off": (DAYS + LONG)[MIXED], "on": DAYS[MIXED]}, "on"),
    "nobody knows": ({"born": BORN, "bought": DAYS[MIXED]}, ""),
}


@pytest.mark.parametrize("name", DATES)
def test_of_several_dates_the_one_that_orders_the_rows_or_a_word_why_none(name):
    dates, chosen = DATES[name]
    texts = {column: [f"{day:%Y-%m-%d %H:%M:%S}" for day in days] for column, days in dates.items()}
    answer = found(NUMBERS.assign(**texts, y=HALF), "y")
    assert (str(answer.moments.name) if answer.moments is not None else "") == chosen
    assert (chosen or "nothing says which of them orders the rows") in answer.why_split


def test_columns_that_say_the_same_are_told_and_stay():
    table = NUMBERS.assign(cls=KEYED["cls"], named=KEYED["cls"].map({1: "first", 2: "second", 3: "third"}), y=HALF)
    answer = found(table, "y")
    assert answer.look == ["named says the same as cls in every row: one of them is enough"]
    assert all(column.role != "ignore" for column in answer.columns)


def test_words_that_count_as_missing_are_told_and_words_that_look_alike():
    table = NUMBERS.assign(g=RANDOM.choice(["NA", "good", "bad"], ROWS), y=HALF)
    assert [sentence.partition(" counts")[0] for sentence in found(table, "y").look] == ["g: 'NA'"]
    assert column_types.alike(["01", "2", "1"]) == "; look: '01' and '1' are two words"
    assert column_types.alike(["01", "02", "0", "x1"]) == ""


GAPS = np.sort(RANDOM.choice(3 * ROWS, ROWS, replace=False))
IDENTIFIERS = {  # whole numbers, and whether they name rows
    "with gaps": (GAPS, True),
    "with gaps, in any order": (RANDOM.permutation(GAPS), True),
    "in tens": (10 * RANDOM.permutation(GAPS), True),
    "a few twice": ([*GAPS[:-3], *GAPS[:3]], True),
    "amounts": (RANDOM.integers(0, 5000, ROWS), False),
    "skewed amounts": (np.exp(RANDOM.normal(11, 1, ROWS)).astype(int), False),
    "years": (RANDOM.integers(1900, 2020, ROWS), False),
}


@pytest.mark.parametrize("name", IDENTIFIERS)
def test_whole_numbers_that_were_handed_out_name_rows_and_amounts_come_again(name):
    values, named = IDENTIFIERS[name]
    column = column_types.column("x", pa.chunked_array([[str(value) for value in values]]), MISSING)
    assert (column.role, column.key) == (("ignore", True) if named else ("number", False))


@pytest.mark.parametrize(("name", "target"), [("taxis", "tip"), ("taxis", "fare"), ("diamonds", "price")])
def test_of_real_sets_only_what_holds_the_target_is_left_out(name, target):
    path = SHARED / "data" / f"{name}.csv"
    if not path.is_file():
        pytest.skip(f"{path.name} is not here")
    table = pd.read_csv(path).select_dtypes("number").dropna()
    assert set(sums.of_sample(sample(table, target))) == ({"total"} if name == "taxis" else set())
