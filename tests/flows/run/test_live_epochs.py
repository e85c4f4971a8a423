"""Epochs reach MLflow in order, one call at a time, and a store that is away is left alone for a while."""

import time
from concurrent.futures import Future
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flows.run.live_epochs import LiveEpochs


class Store:
    """What was sent to it, and the call that is still open."""

    def __init__(self) -> None:
        self.calls: list[list[Any]] = []
        self.open: Future[None] | None = None

    def send(self, found: list[Any]) -> "Future[None]":
        assert self.open is None or self.open.done(), "a second call while one is open"
        self.calls.append(list(found))
        self.open = Future()
        return self.open

    def answers(self) -> None:
        if self.open and not self.open.done():
            self.open.set_result(None)


@given(st.lists(st.booleans(), min_size=1, max_size=20))
def test_every_epoch_is_sent_once_and_in_order_however_slow_the_store_is(answers):
    store = Store()
    live = LiveEpochs(store.send)
    for number, answered in enumerate(answers):
        live.add([{"epoch": number}])  # type: ignore[typeddict-item]
        if answered:
            store.answers()
    store.answers()
    live.add([])
    assert [epoch["epoch"] for call in store.calls for epoch in call] == list(range(len(answers)))


def test_after_a_failure_nothing_is_sent_for_a_while():
    store = Store()
    live = LiveEpochs(store.send, silence=0.1)
    live.add([{"epoch": 1}])  # type: ignore[typeddict-item]
    assert store.open
    store.open.set_exception(OSError("away"))
    live.add([{"epoch": 2}])  # type: ignore[typeddict-item]
    assert len(store.calls) == 1
    time.sleep(0.15)
    live.add([{"epoch": 3}])  # type: ignore[typeddict-item]
    assert store.calls[1] == [{"epoch": 2}, {"epoch": 3}]


def test_without_anybody_to_send_to_nothing_happens():
    LiveEpochs(lambda found: None).add([{"epoch": 1}])  # type: ignore[typeddict-item]
