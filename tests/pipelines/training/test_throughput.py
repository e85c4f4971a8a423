"""What a training waits for is told apart from what it computes, and only of the training that it was."""

import numpy as np
import pytest

from flows.records import epochs
from flows.records import throughput as told
from pipelines.training import compiled_fit, data_loader, keras_callbacks, throughput
from pipelines.training.data_loader import Held, Window
from tests.pipelines.training.test_compiled_fit import BATCH, ROWS, rows, stream
from tests.support.world import World, pets


class Clock:
    """In place of the module time: on a busy machine nobody knows how long anything takes. Here a look takes `look`."""

    def __init__(self, look: float = 0.0):
        self.now, self.look = 0.0, look

    def perf_counter(self) -> float:
        self.now += self.look
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(throughput, "time", found)
    return found


def windows(sizes: list[int], clock: Clock, seconds: float = 0.0):
    for size in sizes:
        clock.sleep(seconds)
        yield Window((np.zeros(8),), np.arange(size, dtype=np.int32))


def test_a_meter_lets_everything_through_and_counts_rows_and_waiting(clock):
    meter = throughput.Meter()
    assert [len(window.order) for window in meter.watch(windows([8, 8, 3], clock, 0.02))] == [8, 8, 3]
    assert meter.rows == 19
    assert meter.waited == pytest.approx(0.06)


def test_time_between_windows_is_no_waiting(clock):
    meter = throughput.Meter()
    for _ in meter.watch(windows([1, 1], clock, 0.02)):
        clock.sleep(5)
    assert meter.waited == pytest.approx(0.04)


class Slow(Held):
    """Rows that are late."""

    def epoch(self, number):
        throughput.time.sleep(0.2)
        yield from super().epoch(number)


def fitted(
    folder, training: data_loader.Feed, epochs: int = 3, initial_epoch: int = 0, kind=Held
) -> list[epochs.Epoch]:
    """The pace of a small network's training. kind: of its validation rows."""
    import keras

    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input([4]), keras.layers.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    logs = [throughput.log(folder / "pace.csv"), keras_callbacks.log(folder / "history.csv", 1.0)]
    validation = kind(rows([4], 20, seed=1), None)
    plan = compiled_fit.Plan(BATCH, xla="off")  # to compile takes longer than to train
    compiled_fit.fit(model, training, validation, plan, epochs=epochs, initial_epoch=initial_epoch, callbacks=logs)
    return read(folder)


def read(folder) -> list[epochs.Epoch]:
    return epochs.read(folder / "pace.csv")


@pytest.mark.usefixtures("hardware")
def test_rows_that_are_late_are_waited_for_and_rows_at_hand_are_not(tmp_path, clock):
    clock.look = 0.001
    late, here = tmp_path / "late", tmp_path / "here"
    for folder in (late, here):
        folder.mkdir()
    columns = rows([4])
    slow, quick = fitted(late, Slow(columns, 0)), fitted(here, Held(columns, 0), kind=Slow)
    assert [line["epoch"] for line in slow] == [1, 2, 3]
    assert all(line["waiting"] > 0.8 and line["seconds"] > 0.2 for line in slow)
    assert all(line["waiting"] < 0.5 for line in quick)
    assert all(0 <= line["waiting"] <= 1 for line in [*slow, *quick])
    for line in quick:
        assert line["seconds"] - ROWS / line["rows_per_second"] > 0.2, "validation counts as training"
    assert "train.threads" in told.advice(late / "history.csv")


@pytest.mark.long
@pytest.mark.usefixtures("hardware")
def test_a_training_that_starts_anew_forgets_the_last_one_and_one_that_goes_on_keeps_what_is_done(tmp_path):
    (tmp_path / "pace.csv").write_text(throughput.HEAD + "1,2,500,0.1,0.7\n4,2,500,0.1,0.6\n")
    before = fitted(tmp_path, Held(rows([4]), 0))
    assert [line["epoch"] for line in before] == [1, 2, 3]
    after = fitted(tmp_path, stream(tmp_path, rows([4]), seed=3), epochs=4, initial_epoch=2)
    assert [line["epoch"] for line in after] == [1, 2, 3, 4]
    assert after[:2] == before[:2]


def test_the_stage_writes_it_beside_its_outputs_and_no_time_into_them(world: World, hardware):
    world.pin(pets())
    folder = world.run("ingest", "validate", "clean", "check", "train")
    history = epochs.read(folder / "history.csv")
    found = told.beside(history, folder / "pace.csv")
    assert [set(epoch) - set(line) for line, epoch in zip(history, found, strict=True)] == [
        {told.RATE, told.SECONDS, told.WAITING}
    ] * 3
    assert not any(name.startswith("pace") or "second" in name for name in history[0])


def test_lines_of_another_training_are_not_taken(tmp_path):
    path = tmp_path / "pace.csv"
    path.write_text(throughput.HEAD + "1,2,500,0.1,0.7\n2,2,500,0.1,0.6\n")
    found = told.beside([{"epoch": 1, "train/loss": 0.7}, {"epoch": 2, "train/loss": 0.61}], path)
    assert found[0] == {"epoch": 1, "train/loss": 0.7, told.SECONDS: 2, told.RATE: 500, told.WAITING: 0.1}
    assert found[1] == {"epoch": 2, "train/loss": 0.61}
    assert told.beside(found, tmp_path / "none.csv") == found


def test_words_are_short_and_silent_where_nothing_is_known():
    assert told.words({told.RATE: 51_823.0, told.WAITING: 0.031}) == "52,000 rows/s, 3 % waiting for data"
    assert told.words({"epoch": 1}) == ""


@pytest.mark.parametrize(("shares", "expected"), [([0.9, 0.1, 0.1], ""), ([0.1, 0.3, 0.4], told.ADVICE), ([0.2], "")])
def test_only_much_waiting_in_most_epochs_is_worth_a_sentence(tmp_path, shares, expected):
    lines = [f"{number},1,1,{share},0.5\n" for number, share in enumerate(shares, 1)]
    (tmp_path / "pace.csv").write_text(throughput.HEAD + "".join(lines))
    losses = [f"{number},0.5\n" for number in range(1, len(shares) + 1)]
    (tmp_path / "history.csv").write_text("epoch,train/loss\n" + "".join(losses))
    assert told.advice(tmp_path / "history.csv") == expected
