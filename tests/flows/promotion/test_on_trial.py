"""On trial: with a shadow or a canary in the YAML, what the gate accepts becomes champion later."""

from dataclasses import replace

import pytest

from flows.promotion import champion_alias, decide
from flows.records.champion_state import stand
from flows.registry import model_registry
from pipelines.sections.serve import Canary, Serve, Shadow
from tests.flows.promotion.test_decide import EDITED, Shop
from tests.flows.promotion.test_decide import shop as shop

BOTH = Serve(shadow=Shadow(), canary=Canary())


def wants(it: Shop, serve: Serve) -> None:
    it.declared = replace(it.declared, sections=it.declared.sections | {"serve": serve})


@pytest.fixture
def tried(shop):
    """A first champion, which needs no trial, and a second version on trial."""
    it = shop()
    wants(it, BOTH)
    assert it.decide(it.candidate("one"))["champion"] == 1
    it.two = it.candidate("two")
    it.found = it.decide(it.two, margin=0.5)
    return it


def test_what_the_gate_accepts_is_tried_first_and_asked_again_it_is_still_on_trial(tried):
    assert (tried.found["decision"], tried.found["champion"]) == ("on trial", 1)
    assert tried.found["reason"].startswith("version 2 answers the same rows unseen before it becomes champion; the")
    standing = stand(tried.book.lines("pets"))
    assert (standing.beside.version, standing.beside.role) == (2, "shadow")
    assert (len(standing.uses), standing.reference) == (2, 1)
    assert tried.store.get_model_version("pets", "2").tags["ratchet.decision"] == "on trial"
    assert model_registry.champion(tried.store, "pets").version == 1
    assert tried.decide(tried.two, margin=0.5) == tried.found
    assert tried.actions() == ["accepted", "on trial"]


def test_a_newer_candidate_takes_its_place_and_that_is_said(tried):
    three = tried.candidate("three")
    assert "it replaces version 2, whose trial ends undecided" in tried.decide(three, margin=0.5)["reason"]
    assert stand(tried.book.lines("pets")).beside.version == 3
    found = tried.decide(tried.two, margin=0.5)
    assert (found["decision"], "`ratchet promote` decides" in found["reason"]) == ("unchanged", True)


def test_where_the_yaml_asks_for_no_trial_any_more_the_next_run_promotes_it(tried, monkeypatch):
    wants(tried, Serve(rollback="automatic"))
    monkeypatch.setattr(decide.evidence, "gather", None)
    assert tried.decide(tried.two, margin=0.5)["champion"] == 2
    standing = stand(tried.book.lines("pets"))
    assert [use.promoted for use in standing.uses] == [True, True]
    assert (standing.beside.version, standing.beside.role) == (1, "before")


def test_an_experiment_waits_and_is_tried_after_the_commit(shop):
    it = shop()
    wants(it, Serve(canary=Canary()))
    it.decide(it.candidate("one"))
    two = it.candidate("two")
    assert it.decide(two, EDITED, margin=0.5)["decision"] == "waits"
    assert it.decide(two, margin=0.5)["decision"] == "on trial"
    standing = stand(it.book.lines("pets"))
    assert (standing.beside.role, len(standing.uses)) == ("canary", 2)
    assert standing.verdicts[2].facts["waited"] == 2


def test_a_person_ends_a_trial(tried):
    champion_alias.promote(tried.project, "pets", 2, "it is what we want")
    standing = stand(tried.book.lines("pets"))
    assert (standing.champion, standing.beside) == (2, None)
