"""A real browser: Debian's Chromium without a window, driven by Playwright."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Page, ViewportSize, expect, sync_playwright

from tests.support.clone import environment

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE = 60  # seconds for a page to become what it should: busy machines
WIDE: ViewportSize = {"width": 1440, "height": 900}
NARROW: ViewportSize = {"width": 360, "height": 740}
expect.set_options(timeout=PATIENCE * 1000)


def needed(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that looks at pages; it is skipped where there is no Chromium."""
    skipped = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium here (apt-get install chromium)")
    return pytest.mark.browser(skipped(test))


class Tab:
    """The one tab of a browser. asked: the address of every request that it has made."""

    def __init__(self, page: Page):
        self.page = page
        self.asked: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))

    def go(self, address: str) -> None:
        self.page.goto("about:blank")  # else another fragment of the same page is no new page
        self.page.goto(address, wait_until="commit")

    def value(self, expression: str) -> Any:
        return self.page.evaluate(expression)

    def until(self, wanted: Callable[[str], bool]) -> str:
        """The text of the page, once it is wanted."""
        end = time.monotonic() + PATIENCE
        while not wanted(text := self._text()):
            assert time.monotonic() < end, text
            self.page.wait_for_timeout(100)
        return text

    def _text(self) -> str:
        try:
            return str(self.value("document.body ? document.body.innerText : ''"))
        except Error:  # between two pages there is none
            return ""


@contextmanager
def opened(folder: Path, **more: Any) -> Iterator[Tab]:
    """A fresh browser whose files are in `folder`. more: of Playwright's new_context."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=PROGRAM,
            args=["--no-sandbox", "--disable-dev-shm-usage"],
            env=environment(HOME=str(folder)),
        )
        try:
            yield Tab(_page(browser, **more))
        finally:
            browser.close()


@contextmanager
def beside(tab: Tab, **more: Any) -> Iterator[Tab]:
    """Another tab of the same browser, which knows nothing of the first."""
    browser = tab.page.context.browser
    assert browser is not None
    page = _page(browser, **more)
    try:
        yield Tab(page)
    finally:
        page.context.close()


def _page(browser: Browser, **more: Any) -> Page:
    page = browser.new_context(**{"viewport": WIDE, **more}).new_page()
    page.set_default_timeout(PATIENCE * 1000)
    return page
