"""The lines for a terminal: they send the very same row, whatever it holds."""

import base64
import json
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from flows.web.form import code_lines

ROWS = [
    {"weight": 3.5, "colour": None, "old": True},
    {"a'b": 'it\'s $HOME `id` "quoted" \\ ! \n %s', "ü": "日本 😀", "<b>": "</script>"},
    {"rows": [{"at": "2024-01-01T00:00:00Z", "sold": 1}, {"at": "@file", "sold": None}]},
    {"image": [[number % 17 for number in range(60)] for _ in range(60)]},  # too long for a line
]


@pytest.fixture(scope="module")
def echo():
    """A server that keeps what it is sent."""
    kept = []

    class Echo(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.append((self.path, self.headers, json.loads(body)))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"prediction": 1}')

        def log_message(self, *about):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", kept
        server.shutdown()


def asked(echo, folder, command, **variables):
    """Run a command in an empty folder; returns what the server was sent."""
    del echo[1][:]
    done = subprocess.run(
        command, cwd=folder, env={"PATH": "/usr/bin:/bin"} | variables, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "prediction" in done.stdout
    ((path, headers, row),) = echo[1]
    return path, headers, row


@pytest.mark.parametrize("row", ROWS, ids=["plain", "signs", "series", "long"])
@pytest.mark.parametrize("kind", ["curl", "python"])
def test_the_lines_send_the_very_same_row(echo, tmp_path, row, kind):
    if kind == "curl" and not shutil.which("curl"):
        pytest.skip("there is no curl here")
    found = code_lines.lines(echo[0] + "/models/a%20b/predict", row, secured=True)
    if found.file:
        content = re.fullmatch("data:application/json;base64,(.*)", found.file)
        (tmp_path / "row.json").write_bytes(base64.b64decode(content[1]))
    command = ["bash", "-c", found.curl] if kind == "curl" else [sys.executable, "-c", found.python]
    path, headers, sent = asked(echo, tmp_path, command, RATCHET_TOKEN="t0ken")
    assert (path, sent) == ("/models/a%20b/predict", row)
    assert headers["Content-Type"] == "application/json"
    assert headers["Authorization"] == "Bearer t0ken"
    assert "t0ken" not in found.curl + found.python


def test_without_a_token_the_lines_speak_of_none():
    found = code_lines.lines("http://127.0.0.1:1/models/a/predict", {"a": 1}, secured=False)
    assert "TOKEN" not in found.curl + found.python
    assert not found.file
