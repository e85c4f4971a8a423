"""The pages as a process of their own, as `ratchet up` starts them."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.clone import ROOT, environment


@contextmanager
def opened(server: str, *words: str) -> Iterator[str]:
    """The address of the pages, without a slash at its end, which ask the answering server at `server`."""
    command = [sys.executable, "-m", "flows.web", "--server", server, *words]
    process = subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        address = process.stdout.readline().strip()
        assert address.startswith("http://"), address
        yield address.rstrip("/")
    finally:
        process.terminate()
        process.wait()
