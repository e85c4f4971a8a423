"""The pages and the answering server as they run: what a person reads and sends, without any script."""

import hashlib
import html
import json
import re

import httpx
import numpy as np
import pytest

from flows.web import shown
from flows.web.form import picture
from tests.flows.web.conftest import EVIL
from tests.support.served import versions

pytestmark = pytest.mark.process
HTMX = "71ea67185bfa8c98c39d31717c6fce5d852370fcdfd129db4543774d3145c0de"  # 2.0.10, as its makers publish it


@pytest.fixture(scope="module")
def client(address):
    with httpx.Client(base_url=address, timeout=60, follow_redirects=False) as client:
        yield client


def shape(page: str) -> dict[str, str]:
    """The names and values of the inputs of a page, as a browser without scripts would send them."""
    found = {}
    for tag in re.findall(r"<input [^>]*>", page):
        name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and 'type="file"' not in tag:
            found[name[1]] = html.unescape(value[1]) if value else ""
    for name, options in re.findall(r'<select [^>]*name="([^"]*)"[^>]*>(.*?)</select>', page, re.DOTALL):
        found[name] = html.unescape(re.search(r'value="([^"]*)" selected', options)[1])
    for name, text in re.findall(r'<textarea [^>]*name="([^"]*)"[^>]*>\n?(.*?)</textarea>', page, re.DOTALL):
        found[name] = html.unescape(text)
    return found


def sent(client: httpx.Client, model: str, changes: dict[str, str], row: int = 0, **more) -> httpx.Response:
    page = client.get(f"/models/{model}/", params={"row": row}).text
    return client.post(
        f"/models/{model}/", data=shape(page) | changes, headers={"Origin": str(client.base_url)}, **more
    )


def prediction(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return html.unescape(re.search(r'<strong id="prediction">(.*?)</strong>', answer.text)[1])


def test_the_first_page_lists_what_is_served_and_what_is_not(client):
    page = client.get("/").text
    for model in versions.MODELS:
        assert f'href="/models/{model}/"' in page
    assert "29 Nov 2026, 08:00 UTC" in page
    assert "withdrawn by &lt;script&gt;" in page


@pytest.mark.parametrize("model", versions.MODELS)
@pytest.mark.parametrize("row", [0, 1])
def test_a_form_that_is_sent_as_it_is_gets_the_answer_of_its_row(server, client, model, row):
    wanted = server.post(f"/models/{model}/predict", versions.MODELS[model].examples[row]).json()
    found = prediction(sent(client, model, {}, row))
    assert found == shown.number(wanted["prediction"])


def test_an_answer_says_all_that_is_known_of_it(server, client):
    answer = sent(client, "pets", {"value.2": "other", "other.2": "green"})
    about = server.get("/models/pets").json()
    for text in ("Probability of each class", about["model_hash"], "Version</dt><dd>2<", "29 Nov 2026, 08:00 UTC"):
        assert text in answer.text
    assert "Never seen in training: colour." in answer.text
    assert "the model has never seen this" in answer.text
    assert re.search(r"In the log</dt><dd>yes, as <code>[0-9a-f]+</code>", answer.text)
    row = json.loads(html.unescape(re.search(r"--data-raw (.*?)</code>", answer.text)[1]).strip("'"))
    assert row == versions.pets_row(colour="green")


def test_what_does_not_fit_is_told_at_its_field_which_stays_as_it_was_typed(client):
    answer = sent(client, "pets", {"value.0": "many"})
    assert answer.status_code == 400
    (field,) = re.findall(r'<div class="field wrong">.*?</div>', answer.text, re.DOTALL)
    assert ">weight</label>" in field
    assert 'value="many"' in field
    assert 'aria-invalid="true"' in field
    assert "many" in field.partition("<strong>")[2]
    assert 'role="alert"' in answer.text


def test_a_word_that_is_markup_is_shown_as_text(client):
    page = client.get("/models/pets/").text + sent(client, "pets", {"value.2": f"word:{EVIL}"}).text
    page += sent(client, "pets", {"value.2": "other", "other.2": f'"{EVIL}'}).text
    assert "&lt;script&gt;alert(" in page
    assert EVIL not in page
    assert len(re.findall("<script", page)) == 2 * 3  # those of the page itself


def test_a_missing_value_is_sent_as_one(server, client):
    wanted = server.post("/models/pets/predict", versions.pets_row(weight=None, colour=None)).json()
    answer = sent(client, "pets", {"value.0": "", "value.2": "missing"})
    assert prediction(answer) == wanted["prediction"]
    assert "Never seen" not in answer.text


def test_a_table_that_cannot_be_read_comes_back_as_it_was_pasted(client):
    answer = sent(client, "shops", {"rows": "at,sold\n2026-01-01T00:00:00Z\n"})
    assert answer.status_code == 422
    assert "Row 1 has 1 cells" in answer.text
    assert shape(answer.text)["rows"].strip() == "at,sold\n2026-01-01T00:00:00Z"


def test_a_row_of_a_table_that_does_not_fit_is_told_below_the_table(client):
    rows = "at,shop,warm,sky,sold\n2026-01-01T00:00:00Z,a,1,clear,0\n2026-01-01T01:00:00Z,a,icy,clear,3\n"
    answer = sent(client, "shops", {"rows": rows})
    assert answer.status_code == 400
    below = answer.text.partition('id="rows-about"')[2].partition("</p>")[0]
    assert below.count("Row 2") == 1
    assert "warm" in below
    assert "icy" in below
    assert shape(answer.text)["rows"] == rows


def test_a_table_of_a_spreadsheet_is_forecast(server, client):
    rows = versions.shops_rows(5)
    wanted = server.post("/models/shops/predict", {"rows": rows}).json()["prediction"]
    lines = [list(rows[0]), *([str(value if value is not None else "") for value in row.values()] for row in rows)]
    assert prediction(sent(client, "shops", {"rows": "\r\n".join(map("\t".join, lines))})) == shown.number(wanted)


@pytest.mark.parametrize("side", [0, 3])
def test_a_picture_from_a_file_is_sent_as_it_is(client, side):
    levels = np.full((6, 6, 1), 20, "uint8")
    levels[:, side : side + 3] = 200
    content = picture.base64.b64decode(picture.png(levels))
    answer = sent(client, "tiles", {}, files={"file": ("tile.png", content, "image/png")})
    assert prediction(answer) == str(side // 3)


def test_a_picture_of_another_size_is_told_with_both(client):
    content = picture.base64.b64decode(picture.png(np.zeros((5, 4, 1), "uint8")))
    answer = sent(client, "tiles", {}, files={"file": ("tile.png", content, "image/png")})
    assert answer.status_code == 400
    assert "6 x 6" in answer.text
    assert "5 x 4" in answer.text


@pytest.mark.parametrize("pixels", ["[[[1]]]", "[" * 100_000, "no", "NaN", '{"a": 1}'])
def test_a_drawing_that_is_none_is_told(client, pixels):
    assert sent(client, "tiles", {"pixels": pixels}, files={"file": ("", b"")}).status_code == 422


def test_the_examples_go_round(client):
    assert 'href="?row=1"' in client.get("/models/weights/").text
    assert 'href="?row=0"' in client.get("/models/weights/", params={"row": 1}).text
    assert client.get("/models/weights/", params={"row": -7}).status_code == 200


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/models/pats/", 404, "pets"),
        ("/models/pets/?row=first", 404, "no such page"),
        ("/nothing", 404, "no such page"),
        ("/static/../application.py", 404, ""),
        ("/static/%2e%2e/application.py", 404, ""),
        ("/openapi.json", 404, ""),
        ("/models/empty/", 200, "It was withdrawn"),
    ],
)
def test_what_is_not_there_is_told(client, path, status, told):
    answer = client.get(path)
    assert (answer.status_code, told in answer.text) == (status, True)
    assert "Traceback" not in answer.text
    assert "<form" not in answer.text


def test_a_form_of_another_site_reaches_nothing(server, client):
    before = server.get("/metrics").text.count("weights")
    answer = client.post("/models/weights/", data={"value.0": "1"}, headers={"Origin": "http://evil.example"})
    assert answer.status_code == 403
    assert server.get("/metrics").text.count("weights") == before


def test_htmx_is_the_file_of_its_makers():
    content = (shown.STATIC / "htmx.min.js").read_bytes()
    assert hashlib.sha256(content).hexdigest() == HTMX
    assert "Zero-Clause BSD" in (shown.STATIC / "htmx.LICENSE").read_text()


def test_no_page_has_a_script_or_a_style_of_its_own():
    for path in (shown.HERE / "templates").rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text), path
        assert not re.search(r"<script(?![^>]* src=\"/static/)", text), path
        assert not re.search(r"(href|src)=\"(https?:)?//", text), path
