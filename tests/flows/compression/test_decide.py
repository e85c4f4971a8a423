"""In which form a version answers: judged on real files, with a real MLflow store and a real ledger."""

import json
from pathlib import Path

import pytest

from flows.compression import chosen, decide, kept, waiting
from flows.deployment import deploy, freshness, live_file
from flows.promotion.statistics import budget
from flows.records import ledger
from flows.records.ledger import Line
from pipelines import model_file
from pipelines.errors import IntegrityError
from tests.flows.compression import forms
from tests.flows.compression.forms import THRESHOLD, graph, wrong
from tests.support.registered import MODEL


@pytest.fixture
def one(tmp_path, monkeypatch):
    """A champion with 400 test rows, whose own file is 20 kB larger than any form of it."""
    monkeypatch.chdir(tmp_path)
    return forms.project(tmp_path, tmp_path / "temporary")


def judged(one, name: str = "int8") -> dict:
    return one.lines[-1].facts["variants"][name]


def test_an_equal_and_smaller_form_answers(one):
    one.make(int8=graph())
    found = one.decide()
    assert (found["state"], found["served_as"]) == ("Ran", "int8")
    line = one.lines[-1]
    assert (line.action, line.version, line.from_version, line.to_version) == ("compressed", 1, 1, 1)
    assert chosen.of(one.standing, 1) == chosen.Chosen("int8", judged(one)["serving_hash"])
    assert judged(one)["labels_changed"] == 0
    assert judged(one)["smaller"] > 10
    assert one.version.tags[kept.SERVED_AS] == "int8"
    content = json.loads(Path(one.store.download_artifacts(one.version.run_id, "compression.json")).read_text())
    assert content["served_as"] == "int8"


def test_it_moves_no_champion_and_spends_no_entry_of_the_budget(one):
    before = one.standing
    one.make(int8=graph(), float16=graph(padding=10))
    one.decide()
    after = one.standing
    assert (after.champion, after.reference, after.seats, after.moved) == (1, 1, before.seats, before.moved)
    assert len(after.uses) == len(before.uses) == 1


@pytest.mark.parametrize(
    ("content", "decision"),
    [
        pytest.param(wrong(THRESHOLD), "rejected", id="flipped weights"),
        pytest.param(graph(THRESHOLD + 9), "rejected", id="worse by several margins"),
        pytest.param(graph(THRESHOLD + 2.5), "undecided", id="too few rows to tell"),
    ],
)
def test_a_form_that_is_not_shown_to_be_as_good_never_answers(one, content, decision):
    one.make(int8=content)
    assert one.decide()["served_as"] == ""
    assert judged(one)["decision"] == decision
    assert "the version itself answers" in one.lines[-1].reason
    assert one.version.tags[kept.SERVED_AS] == kept.ITSELF


def test_a_form_that_is_not_smaller_does_not_answer(one):
    one.make(int8=graph(padding=18_000))
    assert one.decide()["served_as"] == ""
    assert "but 1.5 times smaller is required" in judged(one)["reason"]


def test_few_rows_are_not_enough_for_equal_answers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    few = forms.project(tmp_path, tmp_path / "temporary", count=60)
    few.make(int8=graph())
    assert few.decide()["served_as"] == ""
    said = judged(few)["reason"]
    assert "about" in said
    assert "new rows are missing" in said
    assert "ratchet promote" not in said


def test_of_those_that_pass_the_smallest_answers(one):
    one.make(int8=graph(padding=500), float16=graph(padding=9))
    assert one.decide()["served_as"] == "float16"
    assert "int8 passes too, and is larger" in one.lines[-1].reason


def test_the_same_forms_are_judged_once_and_others_again(one):
    one.make(int8=graph())
    one.decide()
    assert (one.decide()["state"], len(one.lines)) == ("Unchanged", 2)
    one.make(int8=graph(padding=1))
    assert (one.decide()["state"], judged(one)["confidence"]) == ("Ran", pytest.approx(1 - 2 * 0.025 / 3))
    one.make(smaller=2.0, int8=graph(padding=1))
    assert one.decide()["state"] == "Ran"
    assert len(one.lines) == 4


def test_the_version_itself_answers_when_the_yaml_asks_for_no_form_any_more(one):
    one.make(int8=graph())
    one.decide()
    one.make()
    assert one.decide()["served_as"] == ""
    assert chosen.of(one.standing, 1) is None
    assert one.decide()["state"] == "Unchanged"


def test_nothing_is_written_about_a_version_without_forms(one):
    one.make()
    assert one.decide()["state"] == "Skipped"
    assert [line.action for line in one.lines] == ["accepted"]


def test_a_version_that_does_not_answer_is_not_judged(one):
    one.make(int8=graph())
    now = one.standing
    book = ledger.of(one.project)
    book.append(now.last, Line(MODEL, 0, "rolled back", 1, 1, None, None, "a test"))
    assert one.decide()["reason"] == "the version does not answer"


def test_files_that_do_not_answer_as_they_were_evaluated_never_answer(one):
    one.make(int8=wrong(THRESHOLD))
    forms.answers(graph(), one.rows).to_parquet(one.folder / "compressed/int8/predictions.parquet", index=False)
    assert one.decide()["served_as"] == ""
    assert "golden rows" in judged(one)["reason"]


def test_a_changed_file_of_the_stage_is_refused(one):
    one.make(int8=graph())
    (one.folder / "compressed/int8/model.onnx").write_bytes(graph(THRESHOLD + 1))
    with pytest.raises(IntegrityError, match=r"model\.onnx is not the file"):
        one.decide()
    assert [line.action for line in one.lines] == ["accepted"]


def test_rows_that_fail_together_say_less(one):
    """The same answers, once of independent rows and once of twenty customers."""
    rows = one.rows.assign(customer=[f"c{place % 20}" for place in range(len(one.rows))])
    rows.to_parquet(one.folder / "test.parquet", index=False)
    one.make(int8=graph(THRESHOLD + 0.5))
    assert one.decide()["served_as"] == "int8"
    one.declare("quantize: int8, smaller: 1.6", ", customer: carried", ", key: [customer]")
    assert one.decide()["served_as"] == ""
    assert judged(one)["decision"] == "undecided"


def test_small_steps_do_not_add_up(one):
    """Of two versions the second was accepted as not worse than the first, and its form is not worse than it is. From
    the reference, the first version, the form is too far."""
    two = forms.another(one, graph(THRESHOLD + 2), better=False)
    assert (two.standing.champion, two.standing.reference) == (2, 1)
    two.make(int8=graph(THRESHOLD + 2.5))
    assert two.decide()["served_as"] == ""
    found = judged(two)
    verdicts = {look["what"]: look["verdict"] for look in found["looks"]}
    assert (verdicts["parent"], verdicts["reference"]) == ("pass", "not enough evidence")
    assert found["reason"].startswith("too few rows to tell")
    assert "reference (version 1)" in found["reason"]


# ------------------------------------------------------------------ budget


def test_all_judgements_of_a_version_share_its_entry():
    entry = budget.Budget(judged=3, since_promotion=2, since_reference=2, promotions=0)
    for forms_judged in (1, 2, 4):
        parts = [forms_judged * decide.evidence.shared(entry, forms_judged, j).alpha for j in range(1, 400)]
        assert parts[0] == pytest.approx(entry.alpha)
        assert sum(parts) <= 2 * entry.alpha


# ------------------------------------------------------------------ what is live


def live(one):
    found = live_file.read(one.project, MODEL)
    assert found is not None
    return found


def test_what_was_judged_is_live_byte_for_byte(one):
    one.publish_own()
    one.make(int8=graph())
    one.decide()
    assert not freshness.fresh(one.project, MODEL)
    assert deploy.now(one.project, MODEL)["variant"] == "int8"
    found = live(one)
    place = live_file.place(one.project, MODEL) / found.folder / "serving"
    assert (place / "model.onnx").read_bytes() == graph()
    assert (found.variant, found.serving_hash) == ("int8", judged(one)["serving_hash"])
    assert found.parent == one.version.tags["ratchet.serving_hash"]
    assert freshness.fresh(one.project, MODEL)
    assert deploy.now(one.project, MODEL)["problem"] == ""


def test_a_form_that_was_changed_in_the_store_does_not_answer(one):
    one.publish_own()
    one.make(int8=graph())
    one.decide()
    place = one.store.get_run(one.version.run_id).info.artifact_uri.removeprefix("file://")
    Path(place, kept.place(judged(one)["serving_hash"]), "model.onnx").write_bytes(wrong(THRESHOLD))
    found = deploy.now(one.project, MODEL)
    assert (found["variant"], found["runtime"]) == ("", "onnx")
    assert "was lost or changed" in found["problem"]
    assert not freshness.fresh(one.project, MODEL)


def test_a_rollback_serves_what_that_version_was_served_as(one):
    one.publish_own()
    one.make(int8=graph())
    one.decide()
    other = forms.another(one).published.version
    deploy.now(one.project, MODEL)
    assert (live(one).version, live(one).variant) == (other, "")
    book = ledger.of(one.project)
    book.append(one.standing.last, Line(MODEL, 0, "rolled back", other, other, 1, 1, "a test"))
    deploy.now(one.project, MODEL)
    assert (live(one).version, live(one).variant) == (1, "int8")


# ------------------------------------------------------------------ crashes


@pytest.mark.parametrize("step", [(decide, "_write"), (decide, "_note"), (kept, "_keep")])
def test_after_a_kill_the_next_one_completes_it(one, monkeypatch, step):
    one.publish_own()
    one.make(int8=graph())
    with monkeypatch.context() as patch:
        patch.setattr(*step, killed)
        with pytest.raises(SystemExit):
            one.decide()
    declared = model_file.check(MODEL)
    made = decide.variants.read(one.project, MODEL)
    is_waiting = waiting.of(made, declared, one.found.test_hash, one.standing, 1)
    assert is_waiting or not freshness.fresh(one.project, MODEL)
    assert one.decide()["served_as"] == "int8"
    assert [line.action for line in one.lines] == ["accepted", "compressed"]
    assert one.version.tags[kept.LINE] == "2"
    assert deploy.now(one.project, MODEL)["variant"] == "int8"


def killed(*_: object, **__: object) -> None:
    raise SystemExit("killed")
