"""Taking labels: a file is taken whole or not, and it is said what came of each row."""

import json
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.cli.commands.live import label as command
from flows.labels import joined, store, taking
from flows.project.environment import Project
from pipelines.errors import DataError, IntegrityError, RequestError
from tests.support.served import labelled, versions
from tests.support.served.labelled import DAY, days

ROW = {"weight": 4.0, "age": 3, "colour": "brown"}
BY_KEY = labelled.declared(labels={"key": ["chip"], "depend_on_answer": True})


@pytest.fixture
def model():
    return labelled.declared()


@pytest.fixture
def project(tmp_path):
    state = tmp_path / "state"
    labelled.log(state, {"a": ROW, "b": ROW | {"chip": "7"}})
    return Project(root=tmp_path, state=state, tracking="", prefect="")


@pytest.fixture
def take(project, model, tmp_path):
    """Takes the text of a file."""

    def taken(text: str, name: str = "labels.csv", day: float = 1, model=model, zone: str = "", dry: bool = False):
        path = tmp_path / name
        path.write_text(text)
        return taking.take(project, model, path, days(day), zone, dry)

    return taken


def stored(project) -> list[str]:
    return sorted(path.name for path in store.folder(project.state, "shop").glob("*.parquet"))


class TestFile:
    def test_tells_answered_rows_from_others(self, take, project, model):
        found = take("id,label,comment\na,dog,x\nz,cat,y\n")
        (one,) = found["files"]
        assert (found["rows"], found["new"], one["answered"], one["never_served"]) == (2, 2, 1, 1)
        assert (one["ignored"], one["taken"], one["again"]) == (["comment"], days(1).isoformat(), "")
        labelled.log(project.state, {"z": ROW}, at=days(0.5))  # the answer comes to light later
        assert sum(batch.num_rows for batch in joined.joined(project.state, model)) == 2

    def test_of_the_same_rows_changes_nothing_in_any_order_or_form(self, take, project):
        take("id,label\na,dog\nb,cat\n")
        before = stored(project)
        found = take('{"id": "b", "label": "cat"}\n{"id": "a", "label": "dog"}\n', "again.jsonl", day=2)
        assert (found["new"], found["files"][0]["again"], found["files"][0]["taken"]) == (0, days(1).isoformat(), "")
        assert stored(project) == before
        assert "the same labels were taken on 2026-11-03T12:00 UTC: nothing has changed" in command.label_text(found)

    def test_that_goes_back_to_an_earlier_label_is_a_correction(self, take, project, model):
        for day, text in enumerate(
            ("id,label\na,dog\n", "id,label\na,cat\n", "id,label,known\na,dog,2026-11-07T00:00Z\n")
        ):
            take(text, day=day + 3)
        ((row,),) = (batch.to_pylist() for batch in joined.joined(project.state, model))
        assert (row["label"], row["corrections"]) == ("dog", 2)

    def test_is_written_like_the_source_or_with_commas(self, take, project, tmp_path):
        model = labelled.declared(ingest={"source": "data/incoming/shop", "reader": 2, "delimiter": ";"})
        assert take("id;label\na;dog\n", model=model)["new"] == 1
        assert take("id,label\nb,dog\n", model=model)["new"] == 1

    def test_may_have_typed_instants_and_the_name_of_the_target(self, project, model, tmp_path):
        table = pa.table(
            {"id": ["a"], "animal": ["dog"], "known": pa.array([DAY], pa.timestamp("ms", "Europe/Berlin"))}
        )
        pq.write_table(table, tmp_path / "labels.parquet")
        assert taking.take(project, model, tmp_path / "labels.parquet", days(1), "", False)["new"] == 1
        ((row,),) = (batch.to_pylist() for batch in joined.joined(project.state, model))
        assert row["known"] == DAY

    def test_a_dry_run_takes_nothing(self, take, project):
        found = take("id,label\na,dog\n", dry=True)
        assert (found["new"], found["dry_run"], stored(project)) == (1, True, [])
        assert "1 of 1 label would be taken" in command.label_text(found)

    def test_a_folder_is_taken_file_by_file(self, take, project, model, tmp_path):
        folder = tmp_path / "all"
        folder.mkdir()
        for name, text in {"1.csv": "id,label\na,dog\n", "2.csv": "id,label\na,cat\n", "note.md": "x"}.items():
            (folder / name).write_text(text)
        first = taking.take(project, model, folder, days(1), "", False)
        again = taking.take(project, model, folder, days(2), "", False)
        assert (first["new"], again["new"], len(stored(project))) == (2, 0, 2)


class TestAside:
    @pytest.mark.parametrize(
        ("rows", "why"),
        [
            ("a,dog,2026-11-02T13:00Z,2026-11-09T13:00Z", "from the future"),
            ("a,dog,2026-11-09T13:00Z,2026-11-09T13:00Z", "from the future"),
            ("a,dog,2026-11-03T08:00Z,2026-11-02T13:00Z", "known before it happened"),
            ("a,dog,,2026-11-03T08:00Z\na,dog,,2026-11-03T09:00:00+01:00", "twice"),
            ("a,dog,,2026-11-03T08:00Z\na,cat,,2026-11-03T08:00Z", "contradicting"),
        ],
    )
    def test_a_label_that_cannot_be_right_is_kept_and_told(self, take, project, rows, why):
        found = take(f"id,label,happened,known\n{rows}\n")
        count = 2 if why == "contradicting" else 1
        assert found["files"][0]["aside"] == {why: count}
        assert f"{count} {why}: row {2 if why == 'twice' else 1}" in command.label_text(found)
        assert len(stored(project)) == 1

    def test_one_that_contradicts_what_is_known(self, take, project, model):
        take("id,label,known\na,dog,2026-11-03T08:00Z\n")
        found = take("id,label,known\na,cat,2026-11-03T08:00Z\nb,cat,2026-11-03T08:00Z\n", day=2)
        assert (found["new"], found["files"][0]["aside"]) == (1, {"contradicting": 1})
        assert [row["label"] for batch in joined.joined(project.state, model) for row in batch.to_pylist()] == [
            "dog",
            "cat",
        ]

    def test_a_class_waits_until_the_champion_knows_it(self, take, project):
        versions.promote(project.state, "pets", 1)
        model = labelled.declared(name="pets")
        assert take("id,label\na,dog\nb,wolf\n", model=model)["files"][0]["aside"] == {"a class that nobody knows": 1}
        assert take("id,label\na,dog\nb,wolf\n", model=model)["new"] == 0
        labelled.learn_class(project.state, "pets", "wolf")
        found = take("id,label\na,dog\nb,wolf\n", day=2, model=model)
        assert (found["new"], found["files"][0]["aside"]) == (1, {})


class TestRefused:
    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("id,label\na,dog\nb,\n", "row 2 has no label"),
            ("id,label\na,dog\n,cat\n", "row 2 names no event"),
            ("name,label\na,dog\n", "has no column 'id' (there are 'name', 'label'). A label file needs"),
            ("id,lable\na,dog\n", "has no column 'label' (did you mean 'lable'?)"),
            ("id,label\n", "holds no labels"),
            ("id,label,known\na,dog,2026-11-02 08:00\n", "its time zone is unknown. Write each instant with its zone"),
            ("id,label,known\na,dog,soon\n", "Row 1, column 'known'"),
            ("id,label,asked\na,dog,1.5\n", "row 1 was asked for with the probability 1.5"),
            ("id,label,asked\na,dog,often\n", "column 'asked'"),
        ],
    )
    def test_a_file_is_not_taken_if_a_row_cannot_be_read(self, take, project, text, told):
        with pytest.raises(DataError) as error:
            take(text)
        assert told in str(error.value)
        assert str(error.value).count("\n") == 0
        assert stored(project) == []

    def test_a_number_that_is_none(self, take):
        number = labelled.PETS | {"task": "regression", "target": "price"}
        with pytest.raises(DataError, match="'much' is not a number"):
            take("id,label\na,much\n", model=labelled.declared(number))

    def test_what_is_no_file_and_no_zone(self, take, project, model, tmp_path):
        with pytest.raises(RequestError, match="There is no file"):
            taking.take(project, model, tmp_path / "none.csv", days(1), "", False)
        with pytest.raises(RequestError, match="no time zone"):
            take("id,label\na,dog\n", zone="Mars")
        with pytest.raises(RequestError, match="holds no labels that can be read"):
            take("id,label\na,dog\n", name="labels.png")


def test_instants_of_another_zone_are_those_of_utc(take, project, model):
    take("id,label,happened,known\na,dog,2026-11-02 14:00,2026-11-02T15:00:00+02:00\n", zone="Europe/Berlin")
    ((row,),) = (batch.to_pylist() for batch in joined.joined(project.state, model))
    assert (row["happened"].isoformat(), row["known"].isoformat()) == (
        "2026-11-02T13:00:00+00:00",
        "2026-11-02T13:00:00+00:00",
    )


def test_by_key_and_where_the_answer_decides_it_is_said(take):
    found = take("chip,label\n7.0,dog\n8,cat\n", model=BY_KEY)
    assert (found["answered"], found["never_served"]) == (1, 1)
    assert "only of the rows whose answer let a label come" in command.label_text(found)
    assert json.loads(json.dumps(found)) == found


class TestStore:
    def test_many_who_take_at_once_lose_nothing(self, project, model):
        """Each at the same instant: they get one after the other."""

        def work(number: int) -> None:
            for place in range(5):
                labelled.label(project.state, model, [{"id": f"{number}.{place}", "label": "dog"}], DAY)

        workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        found = store.parts(project.state, "shop")
        assert len({part.taken for part in found}) == len(found) == 20
        assert len(set(store.read(model, found)["event"].to_pylist())) == 20

    def test_what_a_killed_process_has_left_goes_with_the_next_labels(self, take, project):
        """It was killed before the file got its name: nothing was taken."""
        there = store.folder(project.state, "shop")
        there.mkdir(parents=True)
        (there / f".20261103T120000.000000Z-{'0' * 16}.parquet.ab12.partial").write_bytes(b"PAR1")
        assert store.parts(project.state, "shop") == []
        take("id,label\na,dog\n")
        assert [path.suffix for path in there.iterdir() if path.name != ".lock"] == [".parquet"]

    def test_only_its_user_can_read_it(self, take, project):
        take("id,label\na,dog\n")
        there = store.folder(project.state, "shop")
        assert {path.stat().st_mode & 0o77 for path in [there, *there.iterdir()]} == {0}

    def test_a_damaged_file_is_named(self, take, project, model):
        take("id,label\na,dog\n")
        (name,) = stored(project)
        (store.folder(project.state, "shop") / name).write_bytes(b"PAR1")
        with pytest.raises(IntegrityError, match="cannot be read as labels of shop"):
            list(joined.joined(project.state, model))
