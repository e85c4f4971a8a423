"""Joined: each answer with its newest label, as it was known at an instant."""

from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.labels import counts, joined, newest, store
from tests.support.served import labelled
from tests.support.served.labelled import days

ROW = {"weight": 4.0, "age": 3, "colour": "brown"}
SHOWN = ("id", "label", "known", "corrections", "asked")


def found(state, model, until=None) -> list[tuple[Any, ...]]:
    return [
        tuple(row[name] for name in SHOWN) for batch in joined.joined(state, model, until) for row in batch.to_pylist()
    ]


def content(state, model, until) -> bytes:
    """Everything that is known at an instant, as bytes."""
    sink = pa.BufferOutputStream()
    for batch in joined.joined(state, model, until):
        with pa.ipc.new_stream(sink, batch.schema) as out:
            out.write_batch(batch)
    return sink.getvalue().to_pybytes()


@pytest.fixture
def model():
    return labelled.declared()


class TestOneAnswer:
    def test_has_the_columns_of_the_log_and_its_label(self, tmp_path, model):
        labelled.log(tmp_path, {"a": ROW, "b": ROW})
        labelled.label(tmp_path, model, [{"id": "a", "label": "dog", "happened": days(0.5), "known": days(1)}], days(2))
        (batch,) = joined.joined(tmp_path, model)
        (row,) = batch.to_pylist()
        assert (row["id"], row["at"], row["version"], row["row"]["colour"]) == ("a", days(0), 7, "brown")
        assert (row["label"], row["happened"], row["known"], row["taken"]) == ("dog", days(0.5), days(1), days(2))
        assert (row["corrections"], row["asked"]) == (0, None)

    def test_takes_the_label_that_was_known_last(self, tmp_path, model):
        labelled.log(tmp_path, {"a": ROW})
        labelled.label(tmp_path, model, [{"id": "a", "label": "dog", "known": days(2)}], days(3))
        labelled.label(tmp_path, model, [{"id": "a", "label": "cat", "known": days(1)}], days(4))
        assert found(tmp_path, model) == [("a", "dog", days(2), 1, None)]

    def test_a_label_that_is_said_again_is_no_correction(self, tmp_path, model):
        labelled.log(tmp_path, {"a": ROW})
        for day in (1, 2, 3):
            labelled.label(tmp_path, model, [{"id": "a", "label": "dog"}], days(day), asked=0.5 / day)
        assert found(tmp_path, model) == [("a", "dog", days(1), 0, 0.5)]

    def test_a_label_that_came_unasked_too_was_not_asked_for(self, tmp_path, model):
        labelled.log(tmp_path, {"a": ROW})
        labelled.label(tmp_path, model, [{"id": "a", "label": "dog"}], days(1), asked=0.5)
        labelled.label(tmp_path, model, [{"id": "a", "label": "dog"}], days(2))
        assert found(tmp_path, model) == [("a", "dog", days(1), 0, None)]

    def test_is_not_known_before_it_was_given(self, tmp_path, model):
        labelled.label(tmp_path, model, [{"id": "a", "label": "dog"}], days(1))
        labelled.log(tmp_path, {"a": ROW}, at=days(2))
        assert found(tmp_path, model, days(1.5)) == []
        assert len(found(tmp_path, model, days(2))) == 1


def test_rows_come_in_the_order_in_which_their_labels_were_taken(tmp_path, model):
    labelled.log(tmp_path, dict.fromkeys("abcd", ROW))
    labelled.label(tmp_path, model, [{"id": "d", "label": "dog", "known": days(2)}], days(3))
    labelled.label(tmp_path, model, [{"id": name, "label": "cat", "known": days(1)} for name in "cab"], days(4))
    assert [row[0] for row in found(tmp_path, model)] == ["d", "a", "b", "c"]


def test_large_logs_come_out_in_the_same_order(tmp_path, model, monkeypatch):
    """Batches of a few rows, so that the order is not that of the log."""
    monkeypatch.setattr(joined, "ROWS", 3)
    names = [f"{number:02}" for number in range(40)]
    for day in range(4):
        labelled.log(tmp_path, dict.fromkeys(names[day::4], ROW), at=days(day / 10))
    known = {name: days(1) + timedelta(seconds=int(name) * 5 % 7) for name in names}
    labelled.label(tmp_path, model, [{"id": name, "label": "cat", "known": known[name]} for name in names], days(2))
    wanted = sorted(names, key=lambda name: (known[name], int(name) % 4, name))
    assert [row[0] for row in found(tmp_path, model)] == wanted


class TestByKey:
    MODEL = labelled.declared(labels={"key": ["chip", "age"]})

    def test_every_answer_of_an_event_gets_its_label(self, tmp_path):
        """The key is read as the source is: 3, 3.0 and "3" are one number, 12 and "12" one word."""
        rows = {"a": ROW | {"chip": 12}, "b": ROW | {"chip": "12", "age": "3"}, "c": ROW | {"chip": 13}}
        labelled.log(tmp_path, rows)
        labelled.label(tmp_path, self.MODEL, [{"chip": "12", "age": "3.0", "label": "dog"}], days(1))
        assert [row[:2] for row in found(tmp_path, self.MODEL)] == [("a", "dog"), ("b", "dog")]

    def test_a_row_without_the_key_has_no_label(self, tmp_path):
        labelled.log(tmp_path, {"a": ROW | {"chip": None}, "b": ROW | {"chip": "x", "age": None}, "c": ROW})
        labelled.label(tmp_path, self.MODEL, [{"chip": "x", "age": 3, "label": "dog"}], days(1))
        assert found(tmp_path, self.MODEL) == []
        assert counts.counts(tmp_path, self.MODEL).never_served == 1

    def test_labels_of_another_key_name_other_events(self, tmp_path, model):
        labelled.log(tmp_path, {"a": ROW})
        labelled.label(tmp_path, model, [{"id": "a", "label": "dog"}], days(1))
        assert found(tmp_path, self.MODEL) == []
        assert len(found(tmp_path, model)) == 1


LABELS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["cat", "dog"]), st.integers(0, 5), st.integers(0, 3)), max_size=8
)


class TestAnyDay:
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=8)
    @given(labels=LABELS, later=LABELS)
    def test_gives_the_same_bytes_for_ever(self, tmp_path_factory, model, labels, later):
        state = tmp_path_factory.mktemp("state")
        labelled.log(state, {"a": ROW, "b": ROW})
        self.take(state, model, labels, days(6))
        first = content(state, model, days(7))
        self.take(state, model, later, days(8))
        labelled.log(state, {"c": ROW | {"new": "x"}}, at=days(9))
        assert content(state, model, days(7)) == first

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=8)
    @given(labels=LABELS, order=st.randoms(use_true_random=False))
    def test_does_not_depend_on_the_order_of_arrival(self, tmp_path_factory, model, labels, order):
        once = {(name, day): (name, label, day, 0) for name, label, day, _ in labels}  # no contradictions
        known = list(once.values())
        mixed = order.sample(known, len(known))
        two = [tmp_path_factory.mktemp("state") for _ in range(2)]
        for state, rows in zip(two, (known, mixed), strict=True):
            labelled.log(state, {"a": ROW, "b": ROW})
            for row in rows:
                self.take(state, model, [row], days(6))
        assert sorted(found(two[0], model)) == sorted(found(two[1], model))

    @staticmethod
    def take(state, model, labels, at):
        rows = [{"id": name, "label": label, "known": days(day)} for name, label, day, _ in labels]
        if rows:
            labelled.label(state, model, rows, at)


def test_counts_tell_events_answers_and_delays_apart(tmp_path):
    model = labelled.declared(labels={"key": ["chip"], "depend_on_answer": True})
    labelled.log(tmp_path, {name: ROW | {"chip": chip} for name, chip in zip("abcd", "1123", strict=True)})
    labelled.label(tmp_path, model, [{"chip": chip, "label": "dog"} for chip in "129"], days(1))
    labelled.label(tmp_path, model, [{"chip": "1", "label": "cat"}], days(3))
    now, before = counts.counts(tmp_path, model), counts.counts(tmp_path, model, days(2))
    assert (now.labels, now.answered, now.never_served, now.rows, now.labelled) == (3, 2, 1, 4, 3)
    assert (now.corrected, now.corrections, now.asked, now.selective) == (1, 1, 0, True)
    assert (before.labels, before.corrections, before.delay[0.5]) == (3, 0, 86_400.0)
    assert counts.new_since(tmp_path, model, days(2)) == 1
    assert counts.new_since(tmp_path, model, days(0)) == 2
    known = newest.labels(tmp_path, model)["event"].combine_chunks()
    wanted = pa.concat_arrays([pa.array(["nobody", "a"]), known.take(pa.array([2, 0, 1, 0]))])
    assert counts.served(tmp_path, model, wanted) == 2


def test_without_log_or_labels_there_is_nothing(tmp_path, model):
    assert found(tmp_path, model) == []
    assert counts.counts(tmp_path, model).labels == 0
    assert store.parts(tmp_path, "shop") == []
    assert list(tmp_path.iterdir()) == []
