"""Why an answer is what it is, and what matters to a model: the pages and the answering server as they run."""

import re

import httpx
import pytest
from playwright.sync_api import expect

from tests.flows.web.conftest import EVIL, PNG
from tests.flows.web.test_pages import shape
from tests.support import browser

pytestmark = pytest.mark.process
COST = re.compile(r'<th scope="row">weight <span class="quiet">12\.5</span></th>.*?<td class="digits">\+4', re.DOTALL)


@pytest.fixture(scope="module")
def client(address):
    with httpx.Client(base_url=address, timeout=60) as client:
        yield client


def test_without_scripts_a_button_asks_why_and_nothing_is_logged(client):
    page = client.get("/models/pets/").text
    answered = client.post("/models/pets/", data=shape(page)).text
    assert 'formaction="/models/pets/why#why"' in answered
    found = client.post("/models/pets/why", data=shape(page))
    assert found.status_code == 200
    assert COST.search(found.text)
    assert "On average over 5 training rows the probability of dog is" in found.text
    assert "If weight were 5 instead of 12.5, animal would be cat." in found.text
    assert "no: it was asked for the reasons" in found.text


def test_what_matters_stands_below_the_form_and_markup_is_text(client):
    page = client.get("/models/pets/").text
    for words in ("What matters to this model", "0.25 to 0.37", "weight + age", "weight &lt;= 9.1: cat", "97.0 %"):
        assert words in page
    assert EVIL not in page
    assert 'src="/models/pets/explanations/seen.png"' in page
    assert "importance.png" not in page


def test_a_picture_that_is_named_is_there_and_no_other_file(client):
    found = client.get("/models/pets/explanations/seen.png")
    assert (found.status_code, found.content, found.headers["content-type"]) == (200, PNG, "image/png")
    for name in ("unnamed.png", "background.parquet", "..%2Fcolumns.json"):
        assert client.get(f"/models/pets/explanations/{name}").status_code == 404


def test_a_row_that_does_not_fit_has_no_reasons_and_a_model_without_explanations_has_no_button(client):
    page = client.get("/models/pets/").text
    wrong = client.post("/models/pets/why", data=shape(page) | {"value.0": "heavy"})
    assert wrong.status_code == 400
    assert "Not explained" in wrong.text
    assert "is not a number" in wrong.text
    page = client.get("/models/weights/").text
    assert "What matters" not in page
    assert "why#why" not in client.post("/models/weights/", data=shape(page)).text
    without = client.post("/models/weights/why", data=shape(page))
    assert without.status_code == 409
    assert "was made without explanations" in without.text


@browser.needed
def test_in_a_browser_the_reasons_come_by_themselves_on_a_narrow_screen_too(tmp_path, address):
    with browser.opened(tmp_path, viewport=browser.NARROW) as tab:
        said: list[str] = []
        tab.page.on("console", lambda message: said.append(message.text))
        tab.page.goto(f"{address}/models/pets/")
        tab.page.get_by_role("button", name="Predict").click()
        expect(tab.page.locator("#why-title")).to_be_visible()
        expect(tab.page.locator("#prediction")).to_have_text("dog")
        expect(tab.page.get_by_role("row", name="weight 12.5")).to_be_visible()
        assert tab.value("document.documentElement.scrollWidth") == browser.NARROW["width"]
        assert said == []
        assert all(url.startswith((address, "data:")) for url in tab.asked)
