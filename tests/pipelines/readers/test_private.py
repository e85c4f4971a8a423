"""Private columns: the same for whole columns and single values, stable when they are read again, and never plain."""

import datetime
import math
import secrets

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import ingest, model_file
from pipelines.config.data import Data
from pipelines.errors import DataError, IntegrityError, SettingsError
from pipelines.ingest import Ingest
from pipelines.readers import hash_key
from pipelines.readers.meaning import values
from tests.support.world import PETS

KEY = bytes(range(32))
ROLES = {"mail": "category", "phone": "carried", "age": "number", "pay": "number", "born": "date"}
HOW = {
    "mail": "hash",
    "phone": {"mask": {"first": 1, "last": 2}},
    "age": {"bin": 10},
    "pay": {"bin": [0, 1000, 2500.5]},
    "born": {"bin": "quarter"},
    "name": "drop",
}
DATA = Data(kind="table", task="classification", target="animal", columns=ROLES)
INSTANTS = st.datetimes(datetime.datetime(2, 1, 1), datetime.datetime(9998, 1, 1))
CELLS = {
    "mail": st.none() | st.text() | st.integers(-(2**53), 2**53),
    "phone": st.none() | st.text() | st.from_regex(r"[0-9]{2,9}", fullmatch=True),
    "age": st.none() | st.floats(-1e12, 1e12) | st.sampled_from([10.0, -200.0, 0.1 + 0.2]),
    "pay": st.none() | st.floats(allow_nan=False, allow_infinity=False),
    "born": st.none() | INSTANTS,
}


def config(**more):
    given = {"source": "-", "reader": 2, "timezone": "UTC", "private": HOW, "hash_key": hash_key.fingerprint(KEY)}
    return Ingest(**given | {"missing": ["", "NA", "-200"]} | more)


@pytest.fixture
def key(tmp_path, monkeypatch):
    place = tmp_path / "hash-key"
    place.write_text(KEY.hex())
    monkeypatch.setenv(hash_key.VARIABLE, str(place))
    return place


def read(rows, how):
    """The rows as `ingest` would write them."""
    columns = {name: [row.get(name) for row in rows] for name in ROLES}
    table = pa.table({"name": ["x"] * len(rows), **columns, "animal": ["cat"] * len(rows)})
    return pa.Table.from_batches(ingest.ingest(table.to_batches(), DATA, how, "rows"))


@given(row=st.fixed_dictionaries(CELLS))
def test_a_column_and_a_single_value_are_hidden_alike(row, tmp_path_factory):
    place = tmp_path_factory.getbasetemp() / "hash-key"
    place.write_text(KEY.hex())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(hash_key.VARIABLE, str(place))
        rules = config().rules
        found = read([row], config()).to_pylist()[0]
        assert {name: found[name] for name in ROLES} == {
            name: values.one(row[name], role, rules, name) for name, role in ROLES.items()
        }
        again = read([found], config()).to_pylist()[0]
        assert again == found, "rows that were hidden before stay as they are, and so do their identities"
        plain = config(private={}).rules
        if (mail := values.one(row["mail"], "category", plain, "mail")) and not values.HASHED.fullmatch(mail):
            assert found["mail"] != mail
        assert "name" not in found


@given(value=st.floats(-1e15, 1e15), width=st.floats(1e-6, 1e9))
def test_a_bin_starts_at_or_below_its_values_and_is_no_wider_than_declared(value, width):
    start = values.binned(value, width)
    assert start <= value
    assert math.isclose(value - start, 0, abs_tol=width * (1 + 1e-9) + abs(value) * 1e-15)
    assert values.binned(start, width) == start


@pytest.mark.parametrize(
    ("value", "unit", "start"),
    [
        ("1987-05-14T09:30:00+00:00", "day", "1987-05-14"),
        ("1987-05-14T09:30:00+00:00", "week", "1987-05-11"),
        ("1987-05-14T09:30:00+00:00", "month", "1987-05-01"),
        ("1987-05-14T09:30:00+00:00", "quarter", "1987-04-01"),
        ("1987-05-14T09:30:00+00:00", "year", "1987-01-01"),
    ],
)
def test_an_instant_becomes_the_start_of_its_unit(value, unit, start):
    assert values.floored(value, unit, values.Rules(timezone="UTC")) == f"{start}T00:00:00+00:00"


def test_an_instant_is_binned_by_the_declared_clock():
    berlin = values.Rules(timezone="Europe/Berlin")
    assert values.floored("1990-04-30T22:00:00+00:00", "month", berlin) == "1990-04-30T22:00:00+00:00"


@pytest.mark.parametrize(
    ("value", "masked"), [("0301234567", "0***67"), ("0***67", "0***67"), ("123", "***"), ("1234", "1***34")]
)
def test_a_mask_leaves_the_declared_letters(value, masked):
    assert values.masked(value, 1, 2) == masked


def test_without_the_key_plain_rows_are_refused_and_hashed_ones_are_not(key):
    hashed = read([{"mail": "maria@example.org"}], config()).to_pylist()
    key.unlink()
    assert read(hashed, config()).to_pylist() == hashed
    with pytest.raises(DataError, match="Row 1, column 'mail': a sensitive value cannot be hashed") as caught:
        read([{"mail": "maria@example.org"}], config())
    assert "maria" not in str(caught.value)


def test_another_key_is_refused(key):
    key.write_text(secrets.token_hex(32))
    with pytest.raises(IntegrityError, match=f"is not the key {hash_key.fingerprint(KEY)}"):
        hash_key.of(config().hash_key, ["mail"])
    with pytest.raises(DataError, match="cannot be hashed"):
        read([{"mail": "maria@example.org"}], config())


def test_what_cannot_be_read_is_told_without_the_value(key):
    with pytest.raises(DataError, match="'age': a sensitive value is not a number") as caught:
        read([{"age": "thirty"}], config())
    assert "thirty" not in str(caught.value)
    with pytest.raises(DataError, match="'age': a sensitive value has more digits") as caught:
        read([{"age": "12345678901234567890123"}], config())
    assert "12345678901" not in str(caught.value)


def test_equal_words_have_other_hashes_in_another_column_and_with_another_key():
    assert len({values.hashed("x", key, name) for key in (KEY, b"k" * 32) for name in ("a", "b")}) == 4


@pytest.mark.parametrize(
    ("private", "told"),
    [
        ({"age": "drop"}, "'age' is dropped, so it cannot be one of the columns"),
        ({"agee": "hash"}, "there is no column 'agee'.*age"),
        ({"age": "hash"}, "only a category or a carried column can be so"),
        ({"colour": {"bin": 10}}, "needs a column of role number"),
        ({"age": {"bin": "year"}}, "needs a column of role date"),
        ({"age": {"bin": [2, 1]}}, "must rise"),
        ({"age": {"bin": 0}}, "greater than 0"),
        ({"age": "hsh"}, "'age': write `hash`, `drop`.*got 'hsh'"),
        ({"age": {}}, "write `hash`"),
        ({"age": {"bin": "yaer"}}, "'yaer' is not one of day"),
        ({"colour": {"mask": {"frist": 1}}}, "unknown key.*first"),
        ({"animal": {"mask": {"first": 1}}}, "there is no column 'animal'"),
    ],
)
def test_what_cannot_be_hidden_so_is_refused(world, private, told):
    world.declare(ingest={"reader": 2, "private": private}, data_=PETS["data"])
    with pytest.raises(SettingsError, match=told):
        model_file.check("pets")


def test_the_first_reader_hides_nothing_and_says_so(world):
    world.declare(ingest={"private": {"colour": "hash"}})
    with pytest.raises(SettingsError, match="needs reader 2"):
        model_file.check("pets")
