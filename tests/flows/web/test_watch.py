"""The page of a watch: what it found, with figures then and now, and nothing that a name could break."""

import asyncio
from functools import partial

import httpx
import pytest

from flows.web.application import application
from flows.web.shown import STATIC
from flows.web.watch import kept, words
from tests.flows.web.conftest import EVIL
from tests.support import browser
from tests.support.served.seen import SEEN

pytestmark = pytest.mark.process


def page(server, state, model="pets", path="/watch/{}/"):
    app = application(server.url, watched=partial(kept.read, state))

    async def work():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
            return await client.get(path.format(model))

    return asyncio.run(work())


def test_a_watch_is_shown_with_its_events_columns_and_days(server, tmp_path):
    kept.write(tmp_path, SEEN)
    text = page(server, tmp_path).text
    for told in (
        "Version 7 is champion",
        "`weight` has changed",
        "since 2026-11-12",
        "drifted",
        "9.142 (4.115 to 14.1)",
    ):
        assert told in text
    assert "0.62 (0.491 to 0.738)" in text
    assert text.index("2026-11-13</th>") < text.index("2026-11-12</th>")


def test_names_from_outside_are_text(server, tmp_path):
    evil = SEEN["drift"]["columns"][0] | {"name": EVIL}
    kept.write(tmp_path, SEEN | {"drift": SEEN["drift"] | {"columns": [evil]}, "problems": [EVIL]})
    text = page(server, tmp_path).text
    assert EVIL not in text
    assert text.count("&lt;script&gt;") == 2


def test_a_model_without_answers_and_one_that_was_never_watched(server, tmp_path):
    nothing = dict.fromkeys(("answers", "labels", "quality", "drift", "expected", "trial"))
    kept.write(tmp_path, SEEN | nothing | {"events": []})
    assert "No row was answered and kept" in page(server, tmp_path).text
    assert page(server, tmp_path, "weights").status_code == 404
    assert page(server, tmp_path, "..%2f..").status_code == 404


def test_the_list_of_models_leads_to_it(server, tmp_path):
    assert "/watch/" not in page(server, tmp_path, path="/").text
    kept.write(tmp_path, SEEN)
    assert page(server, tmp_path, path="/").text.count("/watch/pets/") == 1


@pytest.mark.parametrize(("seconds", "said"), [(30, "30 s"), (600, "10 min"), (129_600, "36 h"), (302_400, "3.5 d")])
def test_a_time_is_said_in_its_unit(seconds, said):
    assert words.span(seconds) == said


@browser.needed
@pytest.mark.parametrize("width", [1440, 390])
def test_it_fits_a_wide_and_a_narrow_screen(server, tmp_path, width):
    kept.write(tmp_path, SEEN)
    text, style = page(server, tmp_path).text, (STATIC / "style.css").read_text()
    with browser.opened(tmp_path, viewport={"width": width, "height": 900}) as tab:
        tab.page.set_content(text)
        tab.page.add_style_tag(content=style)
        assert tab.value("document.documentElement.scrollWidth") <= width
        tab.page.screenshot(path=tmp_path / "watch.png", full_page=True)
