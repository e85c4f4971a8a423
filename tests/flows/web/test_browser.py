"""The page to try a model in a real browser: by keyboard, with a mouse, on a narrow screen, and without scripts."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.support import browser
from tests.support.served import pages, versions

pytestmark = pytest.mark.process
DIGITS = {  # lines from point to point, in parts of the paper's sides
    0: [[(0.5, 0.1), (0.3, 0.2), (0.25, 0.5), (0.3, 0.8), (0.5, 0.9), (0.7, 0.8), (0.75, 0.5), (0.7, 0.2), (0.5, 0.1)]],
    1: [[(0.5, 0.1), (0.5, 0.9)]],
    2: [[(0.28, 0.3), (0.4, 0.13), (0.6, 0.13), (0.7, 0.3), (0.6, 0.5), (0.3, 0.87), (0.75, 0.87)]],
    3: [[(0.28, 0.15), (0.6, 0.12), (0.7, 0.28), (0.48, 0.47), (0.7, 0.65), (0.6, 0.85), (0.28, 0.88)]],
    4: [[(0.6, 0.9), (0.6, 0.1), (0.25, 0.6), (0.8, 0.6)]],
    6: [[(0.65, 0.1), (0.4, 0.3), (0.3, 0.6), (0.35, 0.85), (0.6, 0.88), (0.7, 0.68), (0.55, 0.55), (0.33, 0.65)]],
    7: [[(0.25, 0.15), (0.75, 0.15), (0.45, 0.9)]],
}
UNNAMED = """() => [...document.querySelectorAll("input:not([type=hidden]), select, textarea, canvas, a, button")]
  .filter((one) => !(one.labels?.length || one.ariaLabel || one.textContent.trim())).map((one) => one.outerHTML)"""


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    """A browser that all tests share; what is wrong on a page, by the page itself, fails the test after it."""
    with browser.opened(tmp_path_factory.mktemp("browser")) as tab:
        yield tab


@pytest.fixture
def tab(window, address):
    said: list[str] = []
    window.page.on("console", listener := lambda message: said.append(message.text))
    window.page.on("pageerror", failed := lambda error: said.append(str(error)))
    window.page.set_viewport_size(browser.WIDE)
    window.asked.clear()
    yield window
    window.page.remove_listener("console", listener)
    window.page.remove_listener("pageerror", failed)
    assert not [text for text in said if "status of 400" not in text]  # which a test has asked for
    assert {url.partition("/models")[0].partition("/static")[0] for url in window.asked} <= {address, "about:blank"}


def predict(page):
    """Press the button; returns the answer when it has come."""
    with page.expect_response(lambda response: response.request.method == "POST"):
        page.get_by_role("button", name="Predict").click()
    expect(page.locator("form.htmx-request")).to_have_count(0)
    return page.locator("#prediction")


def draw(page, lines):
    paper = page.locator("#paper")
    paper.scroll_into_view_if_needed()
    box = paper.bounding_box()
    for line in lines:
        points = [(box["x"] + across * box["width"], box["y"] + down * box["height"]) for across, down in line]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point, steps=2)
        page.mouse.up()


@browser.needed
def test_a_row_is_changed_and_sent_by_keyboard_alone(tab, address):
    page, keys = tab.page, tab.page.keyboard
    page.goto(f"{address}/models/pets/")
    keys.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    for _ in range(5):  # the three links above, and the button for another row
        keys.press("Tab")
    expect(page.get_by_label("weight", exact=True)).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    keys.press("Control+A")
    keys.type("2")
    keys.press("Tab")
    keys.press("Tab")
    expect(page.get_by_label("colour", exact=True)).to_be_focused()
    expect(page.get_by_label("Another word for colour")).to_be_hidden()
    keys.type("other")
    keys.press("Tab")
    expect(page.get_by_label("Another word for colour")).to_be_focused()
    keys.type("green")
    keys.press("Enter")
    expect(page.locator("#prediction")).to_have_text("cat")
    expect(page.locator("#said")).to_have_text("Answer: cat")
    expect(page.locator("#answer")).to_contain_text("Never seen in training: colour")
    expect(page.get_by_label("weight", exact=True)).to_have_value("2")
    assert page.evaluate(UNNAMED) == []


@browser.needed
def test_the_field_that_is_wrong_says_so_and_has_the_focus(tab, address):
    page = tab.page
    page.goto(f"{address}/models/pets/")
    page.get_by_label("age", exact=True).fill("many")
    predict(page)
    expect(page.get_by_label("age", exact=True)).to_be_focused()
    expect(page.get_by_label("age", exact=True)).to_have_accessible_description(re.compile("many"))
    page.get_by_label("age", exact=True).fill("4")
    expect(predict(page)).to_have_text("dog")
    expect(page.locator("[aria-invalid]")).to_have_count(0)


@browser.needed
def test_another_row_comes_without_loading_the_page(tab, address):
    page = tab.page
    page.goto(f"{address}/models/pets/")
    page.evaluate("window.here = 1")
    page.get_by_role("link", name="Another row").click()
    expect(page.get_by_label("weight", exact=True)).to_have_value("4")
    expect(page.get_by_role("link", name="Another row")).to_be_focused()
    assert page.url.endswith("?row=1")
    assert page.evaluate("window.here") == 1


@browser.needed
def test_digits_that_are_drawn_with_the_mouse_are_recognised(tab, address):
    page = tab.page
    page.goto(f"{address}/models/digits/")
    found = {}
    for digit, lines in DIGITS.items():
        page.get_by_role("button", name="Clear").click()
        draw(page, lines)
        found[digit] = predict(page).inner_text()
    assert found == {digit: str(digit) for digit in DIGITS}


@browser.needed
def test_a_small_drawing_in_a_corner_is_as_good_as_a_large_one(tab, address):
    page = tab.page
    page.goto(f"{address}/models/digits/")
    draw(page, [[(across / 3, 0.6 + down / 3) for across, down in line] for line in DIGITS[3]])
    expect(predict(page)).to_have_text("3")


def picture(folder: Path, side: int, bright: str) -> Path:
    levels = np.full((side, side), 20, "uint8")
    half = slice(0, side // 2) if bright == "left" else slice(side // 2, side)
    levels[:, half] = 200
    Image.fromarray(levels).save(path := folder / f"{bright}-{side}.png")
    return path


@browser.needed
@pytest.mark.parametrize("side", [6, 90], ids=["as it is", "scaled"])
def test_a_picture_from_a_file_is_answered(tab, address, tmp_path, side):
    page = tab.page
    page.goto(f"{address}/models/tiles/")
    for bright, tile in (("right", "1"), ("left", "0")):
        page.locator("#file").set_input_files(picture(tmp_path, side, bright))
        expect(page.locator("#seen")).to_be_visible()
        expect(predict(page)).to_have_text(tile)
        expect(predict(page)).to_have_text(tile)  # what was chosen stays chosen


@browser.needed
@pytest.mark.parametrize("model", [*versions.MODELS, "digits"])
def test_nothing_is_wider_than_a_narrow_screen(tab, address, model):
    page = tab.page
    page.set_viewport_size(browser.NARROW)
    page.goto(f"{address}/models/{model}/")
    wide = "document.documentElement.scrollWidth"
    assert page.evaluate(wide) == browser.NARROW["width"]
    expect(predict(page)).to_be_in_viewport()
    page.locator("summary").click()
    assert page.evaluate(wide) == browser.NARROW["width"]
    assert page.evaluate(UNNAMED) == []


@browser.needed
def test_without_scripts_the_form_works_as_a_plain_one(window, address, tmp_path):
    with browser.beside(window, java_script_enabled=False) as tab:
        page = tab.page
        page.goto(f"{address}/models/pets/")
        page.get_by_label("weight", exact=True).fill("2")
        page.get_by_label("age", exact=True).fill("many")
        page.get_by_role("button", name="Predict").click()
        expect(page.locator("[aria-invalid]")).to_have_value("many")
        page.get_by_label("age", exact=True).fill("")
        page.get_by_role("button", name="Predict").click()
        expect(page.locator("#prediction")).to_have_text("cat")
        page.goto(f"{address}/models/tiles/?row=1")
        expect(page.locator("#paper")).to_be_hidden()
        expect(page.get_by_text("without JavaScript nothing scales it")).to_be_visible()
        page.get_by_role("button", name="Predict").click()
        expect(page.locator("#prediction")).to_have_text("0")
        page.locator("#file").set_input_files(picture(tmp_path, 6, "right"))
        page.get_by_role("button", name="Predict").click()
        expect(page.locator("#prediction")).to_have_text("1")


@browser.needed
def test_a_form_stays_when_the_pages_have_gone(server, window):
    page = window.page
    with pages.opened(server.url) as address:
        page.goto(f"{address}/models/pets/")
        page.get_by_label("weight", exact=True).fill("7")
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#said")).to_have_text("These pages do not answer any more.")
    expect(page.get_by_label("weight", exact=True)).to_have_value("7")
