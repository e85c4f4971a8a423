"""The page to label: rows on which two versions differ, first, without their answers, and what becomes of a label."""

import asyncio
import json
import re
import stat

import httpx
import numpy as np
import pytest

from flows.access import tokens
from flows.labels.joined import joined
from flows.rollout import to_label
from flows.rollout.difference import lots
from flows.rollout.labelling import Labelling
from flows.web.application import application
from tests.flows.rollout.conftest import NAMES, ROWS, TRUTH
from tests.support.registered import MODEL

NOWHERE = "http://127.0.0.1:1"
APART = np.where(np.arange(ROWS) < 40, 30.0, 0.5)  # the first 40 rows differ by more than half a margin


@pytest.fixture
def asked(live):
    """Version 2 is a shadow."""
    live.judged(2)
    live.answers(1, TRUTH + 10)
    live.answers(2, TRUTH + 10 + APART, "shadow")
    return live


def wanted(live):
    return to_label.question(live.project.state, live.declared, live.standing, live.now)


@pytest.fixture
def page(asked, monkeypatch):
    """A function of a method, a query and a form: the page's answer. Now is after the answers."""
    found = Labelling(asked.project)
    monkeypatch.setattr(Labelling, "_question", lambda self, model: (asked.declared, wanted(asked)))
    app = application(NOWHERE, labelling=found)

    def got(method="GET", query="", app=app, **more) -> httpx.Response:
        async def work():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
                return await client.request(method, f"/label/{MODEL}/{query}", **more)

        return asyncio.run(work())

    return got


def shown(answer: httpx.Response) -> str:
    found = re.search(r'name="id" value="([^"]*)"', answer.text)
    return found[1] if found else ""


class TestTheOrder:
    def test_rows_that_differ_come_first_with_the_chance_1_and_a_few_of_the_others_with_theirs(self, asked):
        found = wanted(asked).wanted
        assert {one.id for one in found[:40]} == set(NAMES[:40])
        assert {one.asked for one in found[:40]} == {1.0}
        others = [one.id for one in found[40:]]
        chance = {name for name, lot in zip(NAMES, lots(np.array(NAMES)), strict=True) if lot < to_label.ALIKE}
        assert set(others) == chance - set(NAMES[:40])
        assert {one.asked for one in found[40:]} <= {to_label.ALIKE}
        assert found == wanted(asked).wanted

    def test_a_row_with_a_label_is_asked_for_no_more(self, asked):
        asked.labels(39)
        assert [one.id for one in wanted(asked).wanted if one.differ] == NAMES[39:40]

    def test_without_a_trial_nothing_is(self, live):
        assert wanted(live) == to_label.NOTHING


class TestThePage:
    def test_shows_the_row_and_no_answer_before_the_label(self, page):
        answer = page()
        assert answer.status_code == 200
        row = NAMES.index(shown(answer))
        assert "<dt>caller</dt>" in answer.text
        for value in (TRUTH[row] + 10, TRUTH[row] + 10 + APART[row]):
            assert f"{value:.4g}"[:5] not in answer.text

    def test_takes_a_label_with_its_chance_and_then_says_what_was_answered(self, page, asked):
        first = shown(page())
        answer = page("POST", data={"id": first, "label": "123,5"})
        assert answer.status_code == 200
        assert re.search(r"Version 2 had said.*version 1 had said", answer.text, re.S)
        assert shown(answer) not in ("", first)
        (batch,) = joined(asked.project.state, asked.declared, asked.now.replace(year=2100))
        assert batch.select(["id", "label", "asked"]).to_pylist() == [{"id": first, "label": 123.5, "asked": 1.0}]
        note = asked.project.state / "labels" / MODEL / "given.jsonl"
        assert json.loads(note.read_text())["id"] == first
        assert stat.S_IMODE(note.stat().st_mode) == 0o600

    def test_a_row_can_be_passed_over_and_a_label_changed(self, page):
        first = shown(page())
        second = shown(page(query=f"?after={first}"))
        assert second != first
        page("POST", data={"id": first, "label": "100"})
        again = page(query=f"?row={first}")
        assert (shown(again), "This row has a label" in again.text) == (first, True)

    @pytest.mark.parametrize("label", ["", "many", "1e999", "nan"])
    def test_what_is_no_label_is_refused_and_the_row_stays(self, page, label, asked):
        first = shown(page())
        answer = page("POST", data={"id": first, "label": label})
        assert (answer.status_code, shown(answer)) == (422, first)
        assert "Not taken" in answer.text
        assert list(joined(asked.project.state, asked.declared)) == []

    def test_a_row_that_nobody_asks_for_takes_none(self, page, asked):
        answer = page("POST", data={"id": "row 1000", "label": "1"})
        assert (answer.status_code, "Nobody asks" in answer.text) == (422, True)

    def test_sensitive_columns_are_not_shown(self, asked, page):
        data = asked.declared.data.model_copy(update={"sensitive": ["caller"]})
        asked.declared.sections["data"] = data
        assert "caller" not in page().text

    def test_another_site_cannot_send_a_label(self, page):
        answer = page("POST", data={"id": "row 1", "label": "1"}, headers={"Origin": "https://evil.example"})
        assert answer.status_code == 403

    def test_a_person_of_another_machine_needs_a_token_with_a_role(self, page, asked):
        app = application(NOWHERE, login=True, labelling=Labelling(asked.project))
        made = {role: tokens.add(asked.project.state, f"{role}er", [role]) for role in ("look", "run")}
        try:
            codes = [page(app=app, auth=("me", token)).status_code for token in made.values()]
            assert codes == [401, 200]
            assert page(app=app).status_code == 401
        finally:
            tokens.path(asked.project.state).unlink()

    def test_pages_without_a_project_have_none(self, page):
        assert page(app=application(NOWHERE)).status_code == 404
