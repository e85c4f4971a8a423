"""The page to label in a real browser: by keyboard, without scripts, on a narrow screen."""

import json
import socket
import threading
import time
from datetime import datetime

import pytest
import uvicorn
from playwright.sync_api import expect

from flows.web.application import application
from flows.web.labelling import Case, Told
from tests.support import browser

pytestmark = pytest.mark.process
PICTURE = json.dumps([[0, 16, 0], [0, 16, 0], [0, 16, 16]])


class Rows:
    """Five pictures to label."""

    def __init__(self) -> None:
        self.taken: dict[str, str] = {}

    def person(self, token: str) -> str:
        return "me"

    def case(self, model: str, after: str = "", row: str = "") -> Case:
        names = [name for name in "abcde" if name not in self.taken]
        name = row or (names[names.index(after) + 1] if after in names[:-1] else names[0])
        about = Case(model, "image", "digit", [0, 1, 2], len(names), len(self.taken), 50, (3, 3, 1))
        return about.of(name, {"image": PICTURE}, name in self.taken)

    def take(self, model: str, wanted: str, label: str, person: str, now: datetime) -> Told:
        self.taken[wanted] = label
        return Told(wanted, label, {2: "seven", 1: "nine"}, True)


@pytest.fixture
def rows():
    return Rows()


@pytest.fixture
def address(rows):
    with socket.create_server(("127.0.0.1", 0)) as place:
        server = uvicorn.Server(uvicorn.Config(application("http://127.0.0.1:1", labelling=rows), log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [place]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{place.getsockname()[1]}/label/digits/"
        server.should_exit = True
        thread.join()


@browser.needed
def test_a_key_labels_the_picture_and_then_the_answers_are_shown(address, rows, tmp_path):
    with browser.opened(tmp_path, viewport=browser.NARROW) as tab:
        tab.go(address)
        tab.page.wait_for_load_state("load")  # with its scripts
        expect(tab.page.locator("#picture")).to_be_visible()
        assert "seven" not in tab.page.content()
        tab.page.keyboard.press("2")
        expect(tab.page.locator("#told")).to_contain_text("Version 2 had said seven, version 1 had said nine.")
        tab.page.keyboard.press("n")
        expect(tab.page.locator("input[name=id]")).to_have_value("c")
        assert rows.taken == {"a": "2"}
        assert tab.value("document.documentElement.scrollWidth") <= browser.NARROW["width"]


@browser.needed
def test_without_scripts_it_works_too_and_a_label_can_be_changed(address, rows, tmp_path):
    with browser.opened(tmp_path, java_script_enabled=False) as tab:
        tab.go(address)
        tab.page.locator("button[value='1']").click()
        tab.page.get_by_role("link", name="Change it").click()
        expect(tab.page.get_by_text("This row has a label.")).to_be_visible()
        tab.page.locator("button[value='0']").click()
        assert rows.taken == {"a": "0"}
