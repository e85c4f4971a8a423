"""Decide: each special case on purpose, with trained models, a real MLflow store and a real ledger."""

import contextlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from flows.inspect import status
from flows.project.environment import Project
from flows.promotion import champion_alias, decide, trial, waiting
from flows.promotion.statistics import resampling
from flows.promotion.waiting import Experiment
from flows.records import ledger
from flows.records.champion_state import stand
from flows.records.ledger import Line
from flows.records.outputs import Published, StageOutputs
from flows.registry import model_registry
from flows.tracking import evidence_files, mlflow_runs
from pipelines import evaluate, model_file
from pipelines.errors import IntegrityError
from pipelines.model.predictor import Predictor, model_hash, write_manifest
from pipelines.process import seal
from pipelines.sections.promote import Approval, Slice
from pipelines.table import row_sample
from tests.flows.promotion.test_trial import trial_here
from tests.support import golden

NONE = Experiment()
EDITED = Experiment(uncommitted=["models/pets.yaml"])
METRICS = {"pets": {"accuracy": 0.9}, "weights": {"mean_absolute_error": 2.0}}


class Shop:
    """A project in which candidates are made of one trained model by small changes, registered and decided about."""

    def __init__(self, root: Path, model: str):
        self.project = Project(root=root, state=root / ".ratchet", tracking="", prefect="")
        for path in (self.project.state / "locks", root / "mlflow"):
            path.mkdir(parents=True)
        golden.store(self.project)
        self.model, self.store, self.book = model, mlflow_runs.client(self.project), ledger.of(self.project)
        self.folder = self.project.data(model)
        self.declared = model_file.check(model)
        self.test_hash = "the test rows"

    def candidate(
        self, name: str, wrong: int = 0, error: float = 0.0, metric: float | None = None
    ) -> tuple[StageOutputs, Published]:
        """A new version: the trained model by another name, whose evaluated answers are wrong (or off) as asked."""
        about = self.folder / "model" / "model.json"
        about.write_text(json.dumps(json.loads(about.read_text()) | {"name": name}))
        write_manifest(self.folder / "model")
        path = self.folder / "predictions.parquet"
        shutil.copyfile(path.with_suffix(".kept"), path)
        table = pd.read_parquet(path)
        if wrong:
            spoil(table, wrong)
        table["prediction"] += error if self.model == "weights" else ""
        table.to_parquet(path, index=False)
        scores = METRICS[self.model] if metric is None else dict.fromkeys(METRICS[self.model], metric)
        splits = {"test": {"hash": self.test_hash}}
        found = StageOutputs(self.folder, scores, splits, "d", model_hash(self.folder / "model"), f"inputs of {name}")
        place = mlflow_runs.experiment(self.project, self.store, self.model)
        run = mlflow_runs.take_up(self.store, place, found.inputs_hash, name, self.project.clone)
        self.store.set_terminated(run.info.run_id)
        tags = {"ratchet.model_hash": found.model_hash}
        version = model_registry.register(
            self.store,
            self.model,
            self.folder / "model",
            lambda target: evidence_files.write(found, self.declared.data, target),
            run.info.run_id,
            place,
            None,
            tags,
        )
        return found, Published(int(version.version), run.info.run_id, place, fresh=True)

    def decide(
        self, candidate: tuple[StageOutputs, Published], experiment: Experiment = NONE, **rules: Any
    ) -> dict[str, Any]:
        promote = self.declared.promote.model_copy(update=rules)
        raw = self.declared.raw | {"promote": promote.model_dump()}
        declared = replace(self.declared, raw=raw, sections=self.declared.sections | {"promote": promote})
        return decide.decide(self.project, declared, *candidate, experiment)

    def look(self, answer: dict[str, Any], what: str) -> dict[str, Any]:
        return next(look for look in answer["looks"] if look["what"] == what)

    def actions(self) -> list[str]:
        return [line.action for line in self.book.lines(self.model)]


def spoil(table: pd.DataFrame, wrong: int) -> None:
    """Make the first answers that are right wrong ones."""
    right = table.index[table["prediction"] == table["actual"]][:wrong]
    table.loc[right, "prediction"] = table.loc[right, "actual"].map({"cat": "dog", "dog": "cat"})


@pytest.fixture
def shop(made, tmp_path, monkeypatch):
    """model -> a fresh project; the trial runs in this process; golden rows are believed, where answers are made up."""

    def believed(request: trial.Request, folder: Path) -> dict:
        found = trial_here(request, folder)
        return found | {"golden": {"rows": 40, "largest": 0.0, "changed": 0, "same_rows": True}}

    def open_shop(model: str = "pets", believe: bool = True) -> Shop:
        monkeypatch.setattr(trial, "run", believed if believe else trial_here)
        for name in ("models", "data"):
            shutil.copytree(made.root / name, tmp_path / name)
        shutil.copyfile(made.root / "dvc.yaml", tmp_path / "dvc.yaml")
        monkeypatch.chdir(tmp_path)
        path = tmp_path / "data" / model / "predictions.parquet"
        table = pd.read_parquet(path)
        table["prediction"] = table["actual"]  # a champion that is always right
        table.to_parquet(path.with_suffix(".kept"), index=False)
        return Shop(tmp_path, model)

    return open_shop


def test_the_first_one_needs_no_champion_and_becomes_the_reference(shop):
    found = (it := shop()).decide(it.candidate("one"))
    assert (found["decision"], found["champion"]) == ("accepted", 1)
    assert "there is no champion yet" in found["reason"]
    line = it.book.lines("pets")[0]
    assert (line.from_version, line.to_version, line.reference) == (None, 1, 1)
    version = it.store.get_model_version("pets", "1")
    assert version.tags["ratchet.decision_line"] == "1"
    content = json.loads(Path(it.store.download_artifacts(version.run_id, "decision.json")).read_text())
    assert (content["decision"], content["champion"], content["line_hash"]) == ("accepted", 1, line.hash)


def test_a_champion_is_scored_anew_on_the_candidates_kind_of_device(shop):
    """Its answers of a CPU, here made up and always right, are not set beside those of a GPU."""
    it = shop()
    it.decide(it.candidate("one"))
    two = it.candidate("two", wrong=3)
    path = it.folder / "predictions.parquet"
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({evaluate.DEVICE: "gpu"}), path)
    assert evaluate.device_of(path) == "gpu"
    found = it.decide(two, margin=0.5)
    said = it.look(found, "golden rows")["said"]
    assert said.endswith("(evaluated on a gpu, compared on a cpu: 0.0001 is allowed)")
    right = (table.to_pandas()["prediction"] == table.to_pandas()["actual"]).sum()
    anew = evaluate.predict(Predictor(it.folder / "model"), it.folder / "test.parquet", it.declared.data)
    expected = (right - (anew["prediction"] == anew["actual"]).sum()) / len(anew)
    assert it.look(found, "champion")["gain"] == pytest.approx(expected)
    assert expected != pytest.approx(-3 / len(anew))


def test_the_first_one_below_the_floor_is_no_champion(shop):
    found = (it := shop()).decide(it.candidate("one", metric=0.4))
    assert (found["decision"], found["champion"]) == ("rejected", None)
    assert model_registry.champion(it.store, "pets") is None


def test_the_first_one_that_is_no_better_than_the_most_frequent_class_is_no_champion(shop):
    it = shop()
    found = it.decide(it.candidate("one", wrong=20))
    assert found["decision"] in ("rejected", "undecided")
    assert it.look(found, "baseline")["verdict"] != "pass"


def test_the_same_again_is_unchanged_and_leaves_no_line(shop):
    it = shop()
    one = it.candidate("one")
    it.decide(one)
    assert it.decide(one)["decision"] == "unchanged"
    assert it.actions() == ["accepted"]


def test_a_champion_that_misses_an_edited_floor_is_said_once_and_stays(shop):
    it = shop()
    one = it.candidate("one")
    it.decide(one)
    found = it.decide(one, at_least=0.99)
    assert (found["decision"], found["champion"]) == ("rejected", 1)
    assert "0.99" in found["reason"]
    assert it.decide(one, at_least=0.99)["decision"] == "unchanged"
    assert it.actions() == ["accepted", "rejected"]


def test_a_tie_is_undecided_on_few_rows_and_accepted_under_a_wide_margin(shop):
    it = shop()
    it.decide(it.candidate("one"))
    two = it.candidate("two")
    found = it.decide(two, margin=0.02)
    assert (found["decision"], found["champion"]) == ("undecided", 1)
    assert "new rows are missing, or `ratchet promote` decides" in found["reason"]
    assert it.decide(two, margin=0.02)["decision"] == "unchanged"  # asked again, nothing changed
    found = it.decide(two, margin=0.5)
    assert (found["decision"], found["champion"]) == ("accepted", 2)
    last = it.book.lines("pets")[-1]
    assert (last.reference, last.facts["better"], last.facts["judged"]) == (1, False, 2)


def test_candidates_that_were_looked_at_without_the_gate_count_once_and_stay_counted(shop):
    """`dvc repro` with ten settings, say: each has used the test rows, also after its files are gone."""
    it = shop()
    it.decide(it.candidate("one"))
    rows = row_sample.of(pd.read_parquet(it.folder / "test.parquet")["row_id"])
    notes = it.project.state / "tested" / "pets.jsonl"
    notes.parent.mkdir()
    lines = [json.dumps({"model_hash": f"other {n}", "test_rows": rows.content()}) for n in range(10)]
    notes.write_text("\n".join([*lines, lines[0], '{"model_hash": "cut o']))
    it.decide(it.candidate("two"), margin=0.4)
    assert it.actions() == ["accepted", *["seen"] * 10, "accepted"]
    assert it.book.lines("pets")[-1].facts["judged"] == 11
    assert it.book.lines("pets")[-1].reference == 1  # ten others were looked at: this one is not called better
    shutil.rmtree(notes.parent)
    it.decide(it.candidate("three"), margin=0.4)
    assert it.book.lines("pets")[-1].facts["judged"] == 12


def test_the_reference_itself_is_not_compared_with_itself(shop):
    """Its settings of then, run again: no row differs, which for few rows would prove nothing."""
    it = shop("weights")
    one = it.candidate("one", error=1.0)
    it.decide(one)
    assert it.decide(it.candidate("two", error=1.0), margin=30.0)["decision"] == "accepted"
    found = it.decide(one, margin=30.0)
    assert (found["decision"], found["champion"]) == ("accepted", 1)
    assert [look["what"] for look in found["looks"] if look["what"] in ("champion", "reference")] == ["champion"]


def test_rows_that_repeat_an_entity_without_a_key_were_taken_for_independent_and_it_is_said(shop):
    """`check` has noticed them; with a declared key they are resampled together."""
    pets = shop()
    checked = pets.folder / "check.json"
    checked.write_text(json.dumps(json.loads(checked.read_text()) | {"repeats": {"column": "colour"}}))
    pets.decide(pets.candidate("a"))
    answer = pets.decide(pets.candidate("worse", wrong=5))
    assert answer["reason"].endswith("; the rows of one colour were taken for independent")
    line = pets.book.lines("pets")[-1]
    assert line.facts["taken_for_independent"] == "colour"
    assert line.facts["looks"][-1]["said"] == answer["reason"]
    split = pets.declared.sections["clean"].split.model_copy(update={"key": ["colour"]})
    cleaned = pets.declared.sections["clean"].model_copy(update={"split": split})
    pets.declared = replace(pets.declared, sections=pets.declared.sections | {"clean": cleaned})
    pets.decide(pets.candidate("worse again", wrong=6))
    line = pets.book.lines("pets")[-1]
    assert "taken_for_independent" not in line.facts
    assert not any("independent" in look["said"] for look in line.facts["looks"])


def test_a_worse_one_is_rejected_and_a_chain_is_measured_against_the_reference(shop):
    it = shop()
    it.decide(it.candidate("one"))
    assert it.decide(it.candidate("two", wrong=4), margin=0.4)["decision"] == "accepted"
    found = it.decide(it.candidate("three", wrong=12), margin=0.4)
    assert found["decision"] in ("rejected", "undecided")
    assert found["champion"] == 2
    reference, champion = it.look(found, "reference"), it.look(found, "champion")
    assert reference["gain"] < champion["gain"] < 0
    assert reference["verdict"] != "pass"


def test_a_regression_where_less_is_better(shop):
    it = shop("weights")
    it.decide(it.candidate("one", error=1.0))
    worse = it.decide(it.candidate("two", error=1.5), margin=0.2)
    assert (worse["decision"], worse["champion"]) == ("rejected", 1)
    assert it.look(worse, "champion")["gain"] == pytest.approx(-0.5)
    better = it.decide(it.candidate("three", error=0.2), margin=0.2)
    assert (better["decision"], better["champion"]) == ("accepted", 3)
    assert it.book.lines("weights")[-1].reference == 3


def test_a_slice_of_one_class_is_not_enough_evidence_for_the_area_under_a_curve(shop, monkeypatch):
    monkeypatch.setattr(resampling, "RESAMPLES", 50)  # each takes scikit-learn a millisecond
    it = shop()
    it.decide(it.candidate("one"))
    two = it.candidate("two")
    two[0].metrics["roc_auc"] = 0.99
    found = it.decide(two, metric="roc_auc", margin=0.9, slices={"dogs": Slice(column="animal", values=["dog"])})
    assert it.look(found, "slice dogs")["verdict"] == "not enough evidence"
    assert found["champion"] == 1


def test_a_champion_that_cannot_be_loaded_any_more_stays_and_it_is_said(shop):
    it = shop()
    it.decide(it.candidate("one"))
    version = it.store.get_model_version("pets", "1")
    logged = it.store.get_logged_model(model_registry.logged_model(version))
    shutil.rmtree(Path(logged.artifact_location.removeprefix("file://")))
    found = it.decide(it.candidate("two"), margin=0.5)
    assert (found["decision"], found["champion"]) == ("undecided", 1)
    assert "can no longer be scored" in found["reason"]


def test_a_champion_is_scored_again_when_the_test_rows_have_changed(shop):
    it = shop()
    it.decide(it.candidate("one"))
    for name in ("test.parquet", "predictions.kept"):
        path = it.folder / name
        table = pd.read_parquet(path)
        table.loc[table.index[:10], "row_id"] = [f"{number:032x}" for number in range(10)]  # ten rows came later
        table.to_parquet(path, index=False)
    it.test_hash = "other test rows"
    found = it.decide(it.candidate("two"), margin=0.5)
    assert it.look(found, "newer rows")["rows"] == 10
    whole = len(pd.read_parquet(it.folder / "test.parquet"))
    assert it.look(found, "older rows")["rows"] == whole - 10
    assert it.look(found, "champion")["rows"] == whole
    assert found["decision"] == "accepted"
    assert it.look(found, "champion")["gain"] > 0  # its real answers, which are not always right


def test_a_version_that_was_left_by_a_rollback_is_not_promoted_again(shop):
    it = shop()
    it.decide(it.candidate("one"))
    two = it.candidate("two")
    assert it.decide(two, margin=0.5)["champion"] == 2
    champion_alias.rollback(it.project, "pets", "it answers nonsense", False)
    found = it.decide(two, margin=0.5)
    assert (found["decision"], found["champion"]) == ("rejected", 1)
    assert "it answers nonsense" in found["reason"]
    champion_alias.promote(it.project, "pets", 2, "it was the caller")
    assert it.decide(two, margin=0.5)["decision"] == "unchanged"


def test_while_promotion_is_held_nothing_is_promoted_and_afterwards_it_is_decided_again(shop):
    it = shop()
    it.decide(it.candidate("one"))
    it.decide(it.candidate("two"), margin=0.5)
    champion_alias.rollback(it.project, "pets", "an incident", True)
    three = it.candidate("three")
    held = it.decide(three, margin=0.5)
    assert (held["decision"], held["champion"]) == ("rejected", 1)
    assert "an incident" in held["reason"]
    champion_alias.promote(it.project, "pets", 1, "it is over")
    assert it.decide(three, margin=0.5)["decision"] == "accepted"


def test_an_alias_that_was_moved_meanwhile_stops_promotion(shop):
    it = shop()
    it.decide(it.candidate("one"))
    two = it.candidate("two")
    it.store.set_registered_model_alias("pets", model_registry.CHAMPION, "2")
    with pytest.raises(IntegrityError, match="changed outside Ratchet"):
        it.decide(two, margin=0.5)
    assert it.actions() == ["accepted"]


def test_a_champion_that_was_moved_while_the_gate_judged_is_judged_against_anew(shop, monkeypatch):
    it = shop()
    it.decide(it.candidate("one"))
    it.candidate("two")
    three = it.candidate("three")
    gather, once = decide.evidence.gather, []

    def meanwhile(*arguments: Any) -> Any:
        found = gather(*arguments)
        if not once:
            once.append(champion_alias.promote(it.project, "pets", 2, "somebody was faster"))
        return found

    monkeypatch.setattr(decide.evidence, "gather", meanwhile)
    found = it.decide(three, margin=0.5)
    assert (found["decision"], found["champion"]) == ("accepted", 3)
    assert it.actions() == ["accepted", "promoted", "refused", "accepted"]
    assert it.book.lines("pets")[-1].from_version == 2


def test_a_note_that_a_crash_prevented_is_written_by_the_next_run(shop, monkeypatch):
    it = shop()
    one = it.candidate("one")
    with monkeypatch.context() as broken, contextlib.suppress(ZeroDivisionError):
        broken.setattr(decide, "note", lambda *arguments: 1 / 0)
        it.decide(one)
    assert "ratchet.decision" not in it.store.get_model_version("pets", "1").tags
    assert it.decide(one)["decision"] == "accepted"
    assert it.store.get_model_version("pets", "1").tags["ratchet.decision"] == "accepted"
    assert it.decide(one)["decision"] == "unchanged"
    assert it.actions() == ["accepted"]


def test_golden_rows_that_are_predicted_otherwise_reject(shop):
    it = shop(believe=False)  # the answers that were made up are not those of the registered model
    found = it.decide(it.candidate("one"))
    assert found["decision"] == "rejected"
    assert it.look(found, "golden rows")["verdict"] == "fail"


def test_limits_of_size_and_latency_are_looked_at_where_they_are_declared(shop):
    it = shop()
    it.decide(it.candidate("one"))
    found = it.decide(it.candidate("two"), margin=0.5, largest_mb=1e-6, slowdown=1000.0)
    assert (it.look(found, "size")["verdict"], it.look(found, "latency")["verdict"]) == ("fail", "pass")
    assert found["decision"] == "rejected"


def test_where_better_is_required_not_worse_is_not_enough(shop):
    it = shop()
    it.decide(it.candidate("one", wrong=8), margin=0.5)
    equal = it.decide(it.candidate("two", wrong=8), require="better", margin=0.5)
    assert (equal["decision"], equal["champion"]) == ("undecided", 1)
    better = it.decide(it.candidate("three"), require="better", margin=0.5)
    assert (better["decision"], better["champion"]) == ("accepted", 3)


def test_what_changed_after_it_was_made_is_not_judged(shop):
    one = shop()
    found, published = one.candidate("a")
    path = one.folder / "test.parquet"
    found = replace(found, signed=seal.sign([path]))
    path.write_bytes(path.read_bytes())
    with pytest.raises(IntegrityError, match=r"test\.parquet changed after its stage made it"):
        one.decide((found, published))
    assert one.actions() == []


def test_a_candidate_of_uncommitted_files_waits_and_the_commit_promotes_it_without_a_second_judgement(
    shop, monkeypatch
):
    it = shop()
    it.decide(it.candidate("one"))
    two = it.candidate("two")
    found = it.decide(two, EDITED, margin=0.5)
    assert (found["decision"], found["champion"]) == ("waits", 1)
    said = it.look(found, "champion")["said"]
    why = "version 2 waits, because models/pets.yaml differs from the last commit"
    assert found["reason"] == f"{why}; the gate would accept it: {said}"
    assert found["next"] == "commit and run again, or `ratchet promote pets 2 --reason WHY`"
    assert it.store.get_model_version("pets", "2").tags["ratchet.decision"] == "waits"
    judged = stand(it.book.lines("pets"))
    assert it.decide(two, EDITED, margin=0.5) == found  # asked again: no line
    monkeypatch.setattr(decide.evidence, "gather", None)
    found = it.decide(two, margin=0.5)
    assert (found["decision"], found["champion"], found["reason"]) == ("accepted", 2, said)
    assert "next" not in found
    assert it.actions() == ["accepted", "waits", "accepted"]
    waits, last = it.book.lines("pets")[1:]
    assert (last.decision_key, last.facts["waited"], last.facts["looks"]) == (waits.decision_key, 2, found["looks"])
    assert (waits.to_version, waits.reference, last.reference) == (1, 1, 1)
    used = stand(it.book.lines("pets")).uses
    assert used == [judged.uses[0], replace(judged.uses[1], promoted=True)]  # the test rows were used once
    assert it.store.get_model_version("pets", "2").tags["ratchet.decision"] == "accepted"
    assert it.decide(two, margin=0.5)["decision"] == "unchanged"


def test_a_better_candidate_that_has_waited_becomes_the_reference(shop):
    it = shop()
    it.decide(it.candidate("one", wrong=8), margin=0.5)
    two = it.candidate("two")
    it.decide(two, EDITED, margin=0.5)
    assert it.decide(two, margin=0.5)["champion"] == 2
    assert [line.reference for line in it.book.lines("pets")] == [1, 1, 2]


def test_a_waiting_candidate_is_judged_anew_if_the_rules_or_the_champion_are_others(shop):
    it = shop()
    it.decide(it.candidate("one"))
    two = it.candidate("two")
    assert it.decide(two, EDITED, margin=0.5)["decision"] == "waits"
    assert it.decide(two, EDITED, margin=0.02)["decision"] == "undecided"  # as without an experiment
    assert it.decide(two, EDITED, margin=0.5)["decision"] == "waits"
    it.candidate("three")
    champion_alias.promote(it.project, "pets", 3, "a better idea")
    assert (it.decide(two, margin=0.5)["decision"], it.actions()[-1]) == ("accepted", "accepted")
    assert "waited" not in it.book.lines("pets")[-1].facts


def test_a_waiting_candidate_whose_registered_files_have_changed_is_not_promoted(shop):
    it = shop()
    it.decide(it.candidate("one"))
    two = it.candidate("two")
    it.decide(two, EDITED, margin=0.5)
    version = it.store.get_model_version("pets", "2")
    logged = it.store.get_logged_model(model_registry.logged_model(version))
    place = Path(logged.artifact_location.removeprefix("file://"))
    weights = next(place.rglob("model.weights.h5"))
    weights.chmod(0o644)
    weights.write_bytes(weights.read_bytes() + b"x")
    with pytest.raises(IntegrityError):
        it.decide(two, margin=0.5)
    assert it.actions() == ["accepted", "waits"]


def test_a_run_that_is_not_to_promote_never_moves_the_champion_and_files_do_not_keep_from_a_first_one(shop):
    it = shop()
    one, asked = it.candidate("one"), Experiment(no_promote=True)
    found = it.decide(one, asked)
    assert (found["decision"], found["champion"]) == ("waits", None)
    assert found["reason"].startswith("version 1 waits, because the run had --no-promote; the gate would accept it: ")
    assert found["next"] == "run again without --no-promote, or `ratchet promote pets 1 --reason WHY`"
    assert model_registry.champion(it.store, "pets") is None
    assert it.decide(one, EDITED)["champion"] == 1


def test_a_person_can_promote_what_waits(shop):
    it = shop()
    it.decide(it.candidate("one"))
    two = it.candidate("two")
    it.decide(two, Experiment(True, ["a.py", "b.py", "c.py", "d.py"]), margin=0.5)
    line = it.book.lines("pets")[-1]
    told = "the run had --no-promote and a.py, b.py, c.py and 1 more differ from the last commit"
    assert told in line.reason
    assert waiting.advice(line).startswith("commit and run again without --no-promote, or `ratchet promote pets 2")
    entry = status._entry(it.store, it.book, "pets")
    assert (entry["decision"], entry["next"]) == ("waits", waiting.advice(line))
    champion_alias.promote(it.project, "pets", 2, "it is what we want")
    entry = status._entry(it.store, it.book, "pets")
    assert (entry["champion"], entry["next"]) == (2, "")
    assert it.decide(two, EDITED, margin=0.5)["decision"] == "unchanged"


def test_a_note_that_a_crash_prevented_is_written_before_a_waiting_candidate_is_promoted(shop, monkeypatch):
    it = shop()
    it.decide(it.candidate("one"))
    two = it.candidate("two")
    with monkeypatch.context() as broken, contextlib.suppress(ZeroDivisionError):
        broken.setattr(decide, "note", lambda *arguments: 1 / 0)
        it.decide(two, EDITED, margin=0.5)
    assert it.decide(two, margin=0.5)["champion"] == 2
    assert it.store.get_model_version("pets", "2").tags["ratchet.decision"] == "accepted"


def test_a_candidate_that_needs_approval_waits_and_no_run_promotes_it(shop):
    it, rules = shop(), Approval(by=["ana", "ben"])
    one = it.candidate("one")
    found = it.decide(one, approval=rules)  # a first champion, too
    assert (found["decision"], found["champion"]) == ("waits", None)
    assert found["reason"].startswith("version 1 waits for the approval of ana or ben, until ")
    assert found["next"] == "`ratchet approve pets 1`, or `ratchet reject pets 1 --reason WHY`"
    assert (found["approval"]["missing"], found["approval"]["others"]) == (1, ["ana", "ben"])
    assert it.decide(one, approval=rules) == found  # asked again: no line
    assert it.store.get_model_version("pets", "1").tags["ratchet.decision"] == "waits"
    entry = status._entry(it.store, it.book, "pets")
    assert ([one["state"] for one in entry["approvals"]], entry["next"]) == (["waits"], found["next"])
    assert it.actions() == ["waits"]


def test_an_approval_that_was_given_is_followed_by_the_next_run_and_an_expired_one_is_asked_for_anew(shop):
    it, rules = shop(), Approval(by=["ana"])
    one = it.candidate("one")
    it.decide(one, approval=rules)
    wait = it.book.lines("pets")[-1]
    over = json.dumps({"approval_of": wait.sequence})
    it.book.append(wait, Line("pets", 0, "expired", 1, None, None, None, "too late", over))
    found = it.decide(one, approval=rules)
    assert (found["decision"], it.actions()) == ("waits", ["waits", "expired", "waits"])
    last = it.book.lines("pets")[-1]
    given = json.dumps({"approval_of": last.sequence, "name": "ana", "how": "user"})
    it.book.append(last, Line("pets", 0, "approved", 1, None, None, None, "good", given))
    found = it.decide(one, approval=rules)
    assert (found["decision"], found["champion"]) == ("accepted", 1)
    assert it.book.lines("pets")[-1].facts["waited"] == 1
    assert len(stand(it.book.lines("pets")).uses) == 1  # it was judged once
    assert it.store.get_model_version("pets", "1").tags["ratchet.decision"] == "accepted"
    assert it.decide(one, approval=rules)["decision"] == "unchanged"


def test_a_candidate_of_uncommitted_files_waits_for_the_commit_and_then_for_persons(shop):
    it, rules = shop(), Approval(by=["ana"])
    it.decide(it.candidate("one"))
    two = it.candidate("two")
    assert "differs from the last commit" in it.decide(two, EDITED, margin=0.5, approval=rules)["reason"]
    found = it.decide(two, margin=0.5, approval=rules)
    assert (found["decision"], found["champion"]) == ("waits", 1)
    assert "waits for the approval of ana" in found["reason"]
    assert it.book.lines("pets")[-1].facts["waited"] == 2
