"""A real browser, Chromium without a window, spoken to by its DevTools protocol."""

import itertools
import json
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from websockets.sync.client import ClientConnection, connect

from tests.support.clone import environment

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--window-size=1300,900",
)
PATIENCE = 90  # seconds for a page to become what it should: busy machines
needed = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium here (apt-get install chromium)")


class Tab:
    """The one tab of a browser. asked: the address of every request that it has made."""

    def __init__(self, line: ClientConnection):
        self._line, self._numbers = line, itertools.count(1)
        self.asked: list[str] = []
        for domain in ("Network", "Page", "Runtime"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._line.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._line.recv(timeout=PATIENCE))
            if message.get("method") == "Network.requestWillBeSent":
                self.asked.append(message["params"]["request"]["url"])
            if message.get("id") == number:
                return dict(message.get("result", {}))

    def go(self, address: str) -> None:
        self.send("Page.navigate", url="about:blank")  # else another fragment of the same page is no new page
        self.send("Page.navigate", url=address)

    def value(self, expression: str) -> Any:
        return self.send("Runtime.evaluate", expression=expression).get("result", {}).get("value")

    def until(self, wanted: Callable[[str], bool]) -> str:
        """The text of the page, once it is wanted."""
        end = time.monotonic() + PATIENCE
        while not wanted(text := self.value("document.body ? document.body.innerText : ''") or ""):
            assert time.monotonic() < end, text
            time.sleep(0.2)
        return str(text)


@contextmanager
def opened(folder: Path) -> Iterator[Tab]:
    """A fresh browser whose profile is in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [str(PROGRAM), *OPTIONS, f"--user-data-dir={folder}", "about:blank"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment(HOME=str(folder)))
    try:
        end, place = time.monotonic() + PATIENCE, folder / "DevToolsActivePort"
        while not place.exists() or not (port := place.read_text().partition("\n")[0]):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < end, (folder / "log").read_text()
            time.sleep(0.05)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=PATIENCE) as answer:
            tabs = [tab for tab in json.load(answer) if tab["type"] == "page"]
        with connect(tabs[0]["webSocketDebuggerUrl"], max_size=None) as line:
            yield Tab(line)
    finally:
        group = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        for one in group:
            one.send_signal(signal.SIGKILL) if one.is_running() else None
        process.wait()
