"""A server in front of MLflow's that fails as servers do: for some requests it answers an error, or takes its time."""

import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class Front(ThreadingHTTPServer):
    """status, first, last: what requests of these numbers are answered with. delay: seconds before each answer."""

    daemon_threads = True

    def __init__(self, behind: str):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind, self.count = behind, 0
        self.status, self.first, self.last, self.delay = 0, 0, 0, 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Front

    def _pass(self) -> None:
        front = self.server
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        front.count += 1
        time.sleep(front.delay)
        if front.first <= front.count <= front.last:
            return self._answer(front.status, b'{"error_code": "INTERNAL_ERROR", "message": "on purpose"}', {})
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection", "accept-encoding")}
        asked = urllib.request.Request(
            front.behind + self.path, data=content or None, headers=headers, method=self.command
        )
        try:
            with urllib.request.urlopen(asked, timeout=120) as found:
                self._answer(found.status, found.read(), dict(found.headers))
        except urllib.error.HTTPError as found:
            self._answer(found.code, found.read(), dict(found.headers))
        except OSError:
            self.close_connection = True

    def _answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass

    def log_message(self, *about: object) -> None:
        pass


@contextmanager
def front(behind: str) -> Iterator[Front]:
    server = Front(behind)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
