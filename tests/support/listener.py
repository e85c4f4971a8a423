"""A real receiver of what is told over HTTP."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Listener(http.server.BaseHTTPRequestHandler):
    """heard: the JSON objects that it was sent. status: what it answers."""

    heard: list[dict[str, Any]] = []
    status = 200

    def do_POST(self) -> None:
        self.heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *about: Any) -> None:
        pass


@contextmanager
def listening() -> Iterator[int]:
    """Its port. It has heard nothing yet."""
    Listener.heard, Listener.status = [], 200
    with http.server.HTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_port
        server.shutdown()
