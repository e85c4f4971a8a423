"""Learned rows: labelled answers become rows of the source, each event once, in one split."""

import base64
import os
import shutil
import time
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.data import pin_file, refresh
from flows.data.arrivals import arrival_order, scan
from flows.graph.pipeline import Graph
from flows.labels import learned
from flows.project.environment import Project
from pipelines import model_file
from pipelines.readers import sources
from pipelines.table.splits import SPLITS
from tests.support.clone import edit
from tests.support.served import labelled
from tests.support.served.labelled import days
from tests.support.world import PETS, ROOT, pets

COLUMNS = PETS["data"]["columns"] | {"chip": "carried"}
SPLIT = {"by": "hash", "seed": 0, "key": ["chip"]}
DECLARED = {
    "data": {"columns": COLUMNS},
    "clean": {"event": ["chip"], "split": SPLIT},
    "ingest": {"source": "data/incoming/pets", "reader": 2},
    "labels_": {"key": ["chip"], "learn": True},
}


class Doors:
    """The model `pets`, with its source and its log."""

    def __init__(self, world, begun, monkeypatch):
        self.world, self.root = world, world.root
        monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(world.root / ".ratchet" / "dvc"))
        (world.root / ".ratchet" / "locks").mkdir(parents=True)
        shutil.copytree(begun, world.root, dirs_exist_ok=True)
        (world.root / ".gitignore").write_text("/.ratchet/\n")
        self.incoming = world.root / "data" / "incoming" / "pets"
        self.incoming.mkdir(parents=True)
        shutil.copyfile(ROOT / "data" / ".gitignore", world.root / "data" / ".gitignore")
        self.project = Project(world.root, world.root / ".ratchet", "", "")
        self.declare()

    def declare(self, **more) -> None:
        self.world.declare(**DECLARED | more)
        edit(self.root / "dvc.yaml", "[digits, breast_cancer, diabetes]", "[pets]")
        self.model = model_file.check("pets")

    def arrive(self, name: str, frame: pd.DataFrame) -> Path:
        path = self.incoming / name
        frame.to_csv(path, index=False)
        os.utime(path, (time.time() - 60,) * 2)
        return path

    def answer(self, frame: pd.DataFrame, at: float = 0.0) -> None:
        """The rows of a frame, without the target; the id of an answer is the chip and the day."""
        told = frame.drop(columns="animal").astype(object).where(frame.notna(), None).to_dict("records")
        rows = {f"{row['chip']}-{at:g}": row for row in told}
        labelled.log(self.project.state, rows, days(at), model="pets")

    def label(self, frame: pd.DataFrame, day: float, **more) -> None:
        rows = frame[["chip", "animal"]].rename(columns={"animal": "label"}).to_dict("records")
        labelled.label(self.project.state, self.model, rows, days(day), **more)

    def learn(self, day: float) -> str:
        found = learned.learn(self.project, self.model, days(day))
        if found.path:
            os.utime(found.path, (time.time() - 60,) * 2)  # nobody waits for it to be complete
        return found.said

    def refresh(self, day: float) -> str:
        """Pin what is there, as a run does."""
        with Graph(self.project, "pets") as graph:
            return learned.refreshed(self.project, graph, self.model, "", days(day))[1]

    def pin(self, day: float) -> str:
        """The same without DVC."""
        said = self.learn(day)
        found = arrival_order.of(self.model, pin_file.pinned("pets"), scan.look(self.project, self.model)[0], [])
        shutil.copytree(self.incoming, sources.source_folder("pets"), dirs_exist_ok=True)
        pin_file.write(self.project, "pets", pin_file.of_files(self.model, found))
        return said

    def splits(self) -> pd.DataFrame:
        """The rows of all splits after the stages. No rule sets a row aside."""
        folder = self.world.run("ingest")
        pq.write_table(pa.table({"row_id": pa.array([], pa.string())}), folder / "quarantine.parquet")
        self.world.run("clean")
        return pd.concat(pq.read_table(folder / f"{name}.parquet").to_pandas().assign(split=name) for name in SPLITS)

    def pinned(self) -> list[str]:
        return [entry["name"] for entry in sources.read_pin("pets")["files"]]


@pytest.fixture
def doors(world, begun, monkeypatch):
    return Doors(world, begun, monkeypatch)


def frame(first: int, last: int) -> pd.DataFrame:
    """Pets with chips from a number to another. The same chip is always the same pet."""
    every = pets(300).assign(chip=[f"c{number}" for number in range(300)])
    return every[first:last].reset_index(drop=True)


def flipped(found: pd.DataFrame) -> pd.DataFrame:
    return found.assign(animal=found["animal"].map({"cat": "dog", "dog": "cat"}))


def said(found: pd.DataFrame) -> dict[str, str]:
    return found.set_index("chip")["animal"].to_dict()


class TestBothDoors:
    def test_each_event_is_there_once_with_its_newest_label_in_one_split(self, doors):
        """150 from the source, 150 answered, 50 of them in both; 20 labels are corrected, on both sides of the edge."""
        doors.arrive("a.csv", frame(0, 200))
        doors.answer(frame(150, 300))
        doors.pin(0.5)
        before = doors.splits().set_index("chip")["split"].to_dict()
        doors.label(frame(150, 300), 1)
        assert "150 labelled answers learned" in doors.pin(2)
        doors.label(flipped(frame(190, 210)), 3)
        assert "20 labelled answers learned" in doors.pin(4)
        found = doors.splits()
        assert len(found) == found["chip"].nunique() == 300
        truth = pd.concat([frame(0, 190), flipped(frame(190, 210)), frame(210, 300)])
        assert said(found) == said(truth)
        now = found.set_index("chip")["split"].to_dict()
        assert {chip: now[chip] for chip in before} == before
        pd.testing.assert_frame_equal(  # features are those of the source, whichever door they took
            found.set_index("chip")[["weight", "age", "colour"]].sort_index(),
            frame(0, 300).set_index("chip")[["weight", "age", "colour"]].sort_index(),
        )

    def test_the_same_event_through_either_door_is_the_same_row(self, doors):
        doors.arrive("a.csv", frame(0, 200))
        doors.pin(0)
        one = doors.splits()
        doors.answer(frame(0, 200))
        doors.label(frame(0, 200), 1)
        doors.pin(2)
        assert sorted(doors.splits()["row_id"]) == sorted(one["row_id"])

    def test_a_file_that_arrives_after_a_label_corrects_it(self, doors):
        doors.arrive("b.csv", frame(0, 200))
        doors.answer(frame(0, 200))
        doors.label(flipped(frame(0, 10)), 1)
        doors.pin(2)
        doors.arrive("a.csv", frame(0, 10))
        doors.pin(3)
        names = doors.pinned()
        assert (names[0], names[1][:8], names[2]) == ("b.csv", "learned-", "a.csv")
        assert said(doors.splits()) == said(frame(0, 200))

    def test_of_what_arrives_together_the_learned_rows_are_the_newest(self, doors):
        doors.answer(frame(0, 10))
        doors.label(flipped(frame(0, 10)), 1)
        doors.arrive("z.csv", frame(0, 200))
        doors.pin(2)
        assert said(doors.splits()) == said(pd.concat([flipped(frame(0, 10)), frame(10, 200)]))

    def test_a_file_that_grows_keeps_its_place_and_one_that_is_replaced_is_new(self, doors):
        doors.arrive("a.csv", frame(0, 200))
        doors.answer(frame(0, 200))
        doors.label(flipped(frame(0, 10)), 1)
        doors.pin(2)
        grown = pd.concat([frame(0, 200), frame(0, 1).assign(chip="d1")])
        doors.arrive("a.csv", grown)
        doors.pin(3)
        assert doors.pinned()[0] == "a.csv"
        assert said(doors.splits())["c0"] == said(flipped(frame(0, 1)))["c0"]
        doors.arrive("a.csv", frame(0, 199))
        doors.pin(4)
        assert doors.pinned()[-1] == "a.csv"
        assert said(doors.splits()) == said(frame(0, 199))


class TestLearned:
    def test_the_row_is_the_newest_answer_before_it_happened(self, doors):
        doors.arrive("a.csv", frame(0, 200))
        for day, weight in ((0, 1.0), (1, 2.0), (3, 3.0)):
            doors.answer(frame(200, 201).assign(weight=weight), day)
        row = {"chip": "c200", "label": "dog", "happened": days(2)}
        labelled.label(doors.project.state, doors.model, [row], days(4))
        doors.pin(5)
        assert doors.splits().set_index("chip").loc["c200", "weight"] == 2.0

    def test_an_event_that_was_answered_only_afterwards_is_told(self, doors):
        doors.arrive("a.csv", frame(0, 200))
        doors.answer(frame(200, 202), 3)
        rows = [{"chip": chip, "label": "dog", "happened": days(2)} for chip in ("c200", "c201")]
        labelled.label(doors.project.state, doors.model, rows, days(4))
        assert "2 not learned: answered only after it happened" in doors.pin(5)
        assert doors.pinned() == ["a.csv"]

    def test_nothing_new_writes_nothing(self, doors):
        doors.arrive("a.csv", frame(0, 200))
        doors.answer(frame(200, 220))
        doors.label(frame(200, 210), 1)
        doors.pin(2)
        names = doors.pinned()
        assert "learned" not in doors.pin(3)
        doors.label(frame(200, 210), 4)  # the same again
        assert "learned" not in doors.pin(5)
        assert doors.pinned() == names

    def test_rows_that_were_asked_for_are_training_rows_only(self, doors):
        doors.arrive("a.csv", frame(0, 200))
        doors.answer(frame(200, 300))
        doors.label(frame(200, 300), 1, asked=0.5)
        told = doors.pin(2)
        asked = doors.splits().set_index("chip")["split"].drop(frame(0, 200)["chip"])
        assert set(asked) == {"train"}
        assert f"{100 - len(asked)} not learned: asked for, and no training row" in told
        doors.label(frame(200, 300), 3)  # they came by themselves too
        doors.pin(4)
        assert set(doors.splits().set_index("chip")["split"].drop(frame(0, 200)["chip"])) == set(SPLITS)

    def test_by_time_no_row_that_was_asked_for_is_learned(self, doors):
        columns = COLUMNS | {"born": "date"}
        split = {"by": "time", "column": "born", "validation": 0.1, "test": 0.2}
        doors.declare(data={"columns": columns}, clean_={"event": ["chip"], "split": split})
        doors.arrive("a.csv", frame(0, 200).assign(born="2026-01-01T00:00Z"))
        doors.answer(frame(200, 202).assign(born="2026-02-01T00:00Z"))
        doors.label(frame(200, 201), 1, asked=0.5)
        doors.label(frame(201, 202), 1)
        told = doors.pin(2)
        assert "1 labelled answer learned, 1 not learned: asked for" in told

    @pytest.mark.parametrize("reader", [1, 2])
    @pytest.mark.parametrize("beside", [{}, {"month": "number"}])
    def test_columns_that_are_ignored_or_make_a_date_are_there(self, doors, reader, beside):
        """A request may have a date that others make, or these. So may a key."""
        columns = {"weight": "number", "chip": "carried", "born": "date"} | beside
        more = {"reader": reader, "instants": {"born": ["year", "month"]}, "ignore": ["note"], "timezone": "UTC"}
        doors.declare(
            data={"columns": columns},
            ingest=DECLARED["ingest"] | more,
            clean={"event": ["chip", "born"], "split": SPLIT | {"key": ["chip", "born"]}},
            labels_={"key": ["chip", "born"], "learn": True},
        )
        whole = frame(0, 200)[["weight", "chip", "animal"]].assign(year=2026, month=3, note="x")
        doors.arrive("a.csv", whole)
        sent = frame(195, 220)[["weight", "chip", "animal"]].assign(year=2026, month=3)
        whole = sent.drop(columns=["year", "month"]).assign(born="2026-03-01T00:00:00Z")
        doors.answer(sent[:15])
        doors.answer(sent[15:] if beside else whole[15:])  # a column that others need has to be there
        rows = flipped(frame(195, 220)).assign(year=2026, month=3)[["chip", "year", "month", "animal"]]
        found = rows.rename(columns={"animal": "label"}).to_dict("records")
        labelled.label(doors.project.state, doors.model, found, days(1))
        assert doors.pin(2) == "25 labelled answers learned"
        splits = doors.splits().set_index("chip")
        assert len(splits) == 220
        assert set(splits["born"]) == {"2026-03-01T00:00:00+00:00"}
        assert splits["animal"].to_dict() == said(pd.concat([frame(0, 195), flipped(frame(195, 220))]))

    def test_pictures_are_rows_with_their_values(self, doors):
        data = {"kind": "image", "task": "classification", "target": "tile", "label": "integer", "shape": [1, 2, 1]}
        doors.world.declare(
            data_=data | {"columns": {"chip": "carried"}}, **{k: v for k, v in DECLARED.items() if k != "data"}
        )
        doors.model = model_file.check("pets")
        sent = {"a": [[7, 8]], "b": base64.b64encode(bytes([9, 10])).decode()}
        rows = {name: {"image": image, "chip": name} for name, image in sent.items()}
        labelled.log(doors.project.state, rows, model="pets")
        found = [{"chip": name, "label": 1} for name in sent]
        labelled.label(doors.project.state, doors.model, found, days(1))
        path = learned.learn(doors.project, doors.model, days(2)).path
        there = {row["chip"]: row["image"] for row in pq.read_table(path).to_pylist()}
        assert there == {"a": bytes([7, 8]), "b": bytes([9, 10])}

    def test_a_model_that_does_not_learn_is_left_alone(self, doors):
        doors.declare(labels_={"key": ["chip"]})
        doors.arrive("a.csv", frame(0, 200))
        doors.answer(frame(200, 210))
        doors.label(frame(200, 210), 1)
        doors.pin(2)
        assert doors.pinned() == ["a.csv"]


def test_a_run_pins_learned_rows_with_the_other_arrivals_and_finds_nothing_new_after_it(doors):
    doors.declare(labels_=DECLARED["labels_"] | {"depend_on_answer": True})
    doors.arrive("b.csv", frame(0, 100))
    doors.answer(frame(100, 120))
    doors.label(frame(100, 120), 1)
    doors.incoming.joinpath(".learned-x.partial").write_bytes(b"of a process that was killed")
    assert learned.news(doors.project, doors.model, days(2)) == "20 labelled answers to learn"
    told = doors.refresh(2)
    assert "120 rows" in told
    assert told.endswith(
        "20 labelled answers learned; only of the rows whose answer let a label come (`labels: depend_on_answer`)"
    )
    assert [path.name[:8] for path in sorted(doors.incoming.iterdir())] == ["b.csv", "learned-"]
    before = (doors.root / "data" / "pets" / "pin.json").read_bytes()
    doors.arrive("a.csv", frame(120, 130))
    doors.refresh(3)
    assert [name[:7] for name in doors.pinned()] == ["b.csv", "learned", "a.csv"]
    assert doors.refresh(4) == "data/incoming/pets: nothing new"
    assert (doors.root / "data" / "pets" / "pin.json").read_bytes() != before
    with Graph(doors.project, "pets") as graph:
        assert refresh.news(doors.project, graph, doors.model) == ""
    assert learned.news(doors.project, doors.model, days(5)) == ""


def test_without_events_files_are_pinned_by_their_names(doors):
    doors.declare(clean_={"split": SPLIT}, labels_={})
    doors.arrive("b.csv", frame(0, 100))
    doors.pin(0)
    doors.arrive("a.csv", frame(100, 200))
    doors.pin(1)
    assert doors.pinned() == ["a.csv", "b.csv"]
