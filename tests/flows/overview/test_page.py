"""The overview as a page: the process that `ratchet up` starts, in a browser, and its words."""

import subprocess
import sys
from contextlib import contextmanager
from urllib.request import urlopen

import pytest
from starlette.testclient import TestClient

from flows.overview import facts
from flows.overview.facts import Machine
from flows.overview.rows import Reader
from flows.web.application import application
from tests.support import browser
from tests.support.clone import environment
from tests.support.world import ROOT

NOWHERE = "http://127.0.0.1:9"  # an answering server that is away
TROUBLES = {
    "refused": "weight: 31 of 200 rows are below 0",
    "undecided": "about 455 test rows are missing",
    "moved": "changed outside Ratchet",
    "dead": "the scheduler has ended by itself",
    "drifted": "weight drifted",
    "worse": "0.94 was promised",
    "unmade": "was not made again as it was",
}


def page(planted, path="/"):
    client = TestClient(application(NOWHERE, overviewed=Reader(planted.project)), base_url="http://127.0.0.1")
    return client.get(path)


@contextmanager
def opened(folder):
    """The address of the pages of a project, in a process of their own."""
    command = [sys.executable, "-m", "flows.overview", "--server", NOWHERE]
    variables = environment(PYTHONPATH=str(ROOT))
    process = subprocess.Popen(command, cwd=folder, env=variables, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


def test_every_model_has_a_line_and_the_worst_is_first(planted):
    planted.troubled()
    found = page(planted)
    assert found.status_code == 200
    places = [found.text.index(f'<a href="/models/{model}/">') for model in (*TROUBLES, "sound")]
    broken, warnings = places[0], places[1]
    assert broken < warnings < places[-1]
    assert all(words in found.text for words in TROUBLES.values())


def test_a_search_needs_no_script_and_what_it_says_is_escaped(planted):
    planted.troubled()
    found = page(planted, "/?q=Live+Quality")
    assert "/models/worse/" in found.text
    assert "/models/sound/" not in found.text
    assert "1 of 8 models" in found.text
    assert "<b>x" not in page(planted, "/?q=%3Cb%3Ex").text


def test_words_of_records_are_no_markup(planted):
    planted.sound("pets")
    planted.tick("pets", "refused", "<img src=x onerror=alert(1)> \u202e`<i>`")
    found = page(planted).text
    assert "<img" not in found
    assert "<code>&lt;i&gt;</code>" in found
    assert "\u202e" not in found


def test_a_ledger_that_cannot_be_read_is_said(planted):
    planted.sound("pets")
    (planted.world.root / "mlflow" / "ledger.db").write_bytes(b"SQLite format 3\0" + b"x" * 200)
    found = page(planted)
    assert found.status_code == 200
    assert "Nothing can be shown" in found.text


def test_a_disk_that_is_nearly_full_stands_above_all_models(planted, monkeypatch):
    planted.sound("pets")
    monkeypatch.setattr(facts, "machine", lambda project: Machine(1 << 30, 100 << 30))
    assert "1.0 of 100 GiB of the disk are free" in page(planted).text


def test_without_a_project_the_models_that_are_served_are_shown():
    client = TestClient(application(NOWHERE), base_url="http://127.0.0.1")
    assert "The answering server is away" in client.get("/").text


@pytest.mark.process
@browser.needed
def test_every_trouble_is_on_the_first_screen_and_the_page_fits_a_telephone(planted, tmp_path_factory):
    planted.troubled()
    with opened(planted.world.root) as address, browser.opened(tmp_path_factory.mktemp("browser")) as tab:
        assert urlopen(address).status == 200
        tab.page.goto(address)
        for model in TROUBLES:
            line = tab.page.locator("tr", has=tab.page.get_by_role("link", name=model, exact=True))
            box = line.bounding_box()
            assert box["y"] + box["height"] <= browser.WIDE["height"], model
            assert line.locator(".status").first.is_visible()
        tab.page.set_viewport_size({"width": 390, "height": 844})
        assert tab.value("document.documentElement.scrollWidth") == 390
        tab.page.set_viewport_size(browser.WIDE)
        tab.page.keyboard.press("Tab")
        tab.page.get_by_role("searchbox").focus()
        tab.page.keyboard.type("alias")
        tab.page.keyboard.press("Enter")
        browser.expect(tab.page.locator("tbody tr")).to_have_count(1)
        assert {url.partition("?")[0].partition("static")[0] for url in tab.asked} <= {address}
