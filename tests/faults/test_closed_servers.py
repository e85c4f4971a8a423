"""What another user of the machine, a page of another site, and somebody with the login can do with servers.

With real servers, a real scheduler, a second Unix user and a real browser.
"""

import functools
import http.server
import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tests.support import browser
from tests.support.clone import answer, clone, git, prefect, ratchet

MODEL = "diabetes"
ENTRYPOINT = "flows.retrain.retrain"
NOBODY = 65534  # a user of every Unix
PATIENCE = 120  # seconds
OWN_CODE = """
import json, os
from pathlib import Path


def clean(table):
    Path({seen!r}).write_text(json.dumps(dict(os.environ)))
    return table
"""
pytestmark = pytest.mark.long


class Place:
    """A clone with its servers and its scheduler up, and what its stages and hooks have seen."""

    def __init__(self, root: Path, folder: Path):
        self.root, self.folder = clone(root), folder
        (self.root / "models" / f"{MODEL}.py").write_text(OWN_CODE.format(seen=str(folder / "stage.json")))
        git(self.root, "commit", "-qam", "a model that looks around")
        self.hook = folder / "hook.py"
        self.hook.write_text(f"import json, os; json.dump(dict(os.environ), open({str(folder / 'hook.json')!r}, 'w'))")
        self.more = {
            "RATCHET_HOOK": f"{sys.executable} {self.hook}",
            "PREFECT_API_AUTH_STRING": "me:mine-alone",
            "PREFECT_API_KEY": "mine-alone",
        }

    def up(self) -> dict[str, Any]:
        return answer(self.root, "up", "--no-serve", "--no-warm", **self.more)

    @property
    def secret(self) -> str:
        return (self.root / ".ratchet" / "prefect-login").read_text()

    def url(self, name: str) -> str:
        servers = json.loads((self.root / ".ratchet" / "servers.json").read_text())["servers"]
        return str(next(server["url"] for server in servers if server["name"] == name))

    def deployment(self) -> dict[str, Any]:
        return dict(prefect(self.root, f"deployments/name/retrain/{MODEL}", "GET").json())

    def processes(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if Path(process.cwd()).is_relative_to(self.root):
                    yield process


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("closed")
    found = Place(folder / "clone", folder)
    found.up()
    yield found
    wait(lambda: ratchet(found.root, "down").returncode == 0)
    assert list(found.processes()) == []


def wait(look: Callable[[], Any]) -> Any:
    until = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < until, "it never came"
        time.sleep(0.2)
    return found


def attack(deployment: dict[str, Any], marker: Path) -> dict[str, Any]:
    """The deployment, with a step that runs a shell before the flow."""
    steps = [{"prefect.deployments.steps.run_shell_script": {"script": f"touch {marker}"}}]
    same = {key: deployment[key] for key in ("flow_id", "name", "entrypoint", "parameters")}
    return same | {"pull_steps": steps, "enforce_parameter_schema": False}


def ended(run: str, root: Path) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = dict(prefect(root, f"flow_runs/{run}", "GET").json())
        return found if found["state_type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") else None

    return dict(wait(look))


# ------------------------------------------------------------------ who has the login


def test_who_has_the_login_cannot_let_the_scheduler_run_other_code(place, tmp_path):
    marker, deployment = tmp_path / "marker", place.deployment()
    assert prefect(place.root, "deployments/", content=attack(deployment, marker)).status_code == 403
    assert (
        prefect(place.root, f"deployments/{deployment['id']}", "PATCH", {"entrypoint": "os.abort"}).status_code == 403
    )
    asked = f"deployments/{deployment['id']}/create_flow_run"
    assert prefect(place.root, asked, content={"job_variables": {"env": {"A": "b"}}}).status_code == 403
    created = prefect(place.root, asked, content={"parameters": {"model": MODEL, "force": True}})
    assert created.status_code == 201
    assert ended(created.json()["id"], place.root)["state_name"] == "Promoted"
    assert not marker.exists()


def test_neither_stages_nor_own_code_nor_hooks_have_the_login_and_nothing_records_it(place):
    answer(place.root, "run", MODEL, **place.more)
    for name in ("stage.json", "hook.json"):  # by the scheduled run of the test before, and by this one
        seen = json.loads((place.folder / name).read_text())
        assert "PATH" in seen
        assert not {"PREFECT_API_AUTH_STRING", "PREFECT_API_KEY", "PREFECT_SERVER_API_AUTH_STRING"} & set(seen)
        assert place.secret not in str(seen)
    for process in place.processes():
        with suppress(psutil.Error):
            assert place.secret not in " ".join([*process.cmdline(), *process.environ().values()])
    word = place.secret.partition(":")[2].encode()
    holding = [
        path.name
        for path in place.root.rglob("*")
        if path.is_file() and not path.is_symlink() and word in path.read_bytes()
    ]
    assert holding == ["prefect-login"]
    with closing(sqlite3.connect(place.root / "mlflow" / "mlflow.db")) as database:
        rows = database.execute("SELECT value FROM tags WHERE key = 'prefect.flow_run_url'").fetchall()
    assert rows
    assert all(re.fullmatch(r"http://127\.0\.0\.1:\d+/runs/flow-run/[0-9a-f-]+", row[0]) for row in rows)


def test_commands_speak_to_the_server_with_the_login(place):
    assert answer(place.root, "data", MODEL, "--changed")["event"] == "ratchet.dataset.changed"
    status = answer(place.root, "status")
    assert status["login"] == f"{place.url('prefect')}/ratchet/login#{place.secret}"
    (entry,) = [entry for entry in status["models"] if entry["model"] == MODEL]
    assert entry["next_run"]
    assert all(check["ok"] for check in answer(place.root, "doctor")["checks"] if check["name"] in ("login", "prefect"))


# ------------------------------------------------------------------ another user


AS_ANOTHER = """
import encodings.idna, json, os, urllib.request
os.setgroups([]); os.setgid({nobody}); os.setuid({nobody})
found = {{}}
def attempt(name, work):
    try:
        found[name] = work()
    except Exception as error:
        found[name] = f"{{type(error).__name__}} {{getattr(error, 'code', '')}}".strip()
def ask(path, body=None, **headers):
    data = json.dumps(body).encode() if body is not None else None
    headers |= {{"Content-Type": "application/json"}}
    request = urllib.request.Request("{url}" + path, data=data, headers=headers)
    return urllib.request.urlopen(request, timeout=20).read().decode()[:200]
attempt("secret", lambda: open("{state}/prefect-login").read())
attempt("list", lambda: os.listdir("{state}"))
attempt("environment", lambda: open("/proc/{pid}/environ").read())
attempt("read", lambda: ask("/api/flow_runs/filter", {{}}))
attempt("post", lambda: ask("/api/deployments/", {body}))
attempt("event", lambda: ask("/api/events", []))
attempt("rebound", lambda: ask("/", Host="evil.example"))
attempt("health", lambda: ask("/api/health"))
attempt("lines", lambda: [open(f"/proc/{{name}}/cmdline").read() for name in os.listdir("/proc") if name.isdigit()])
print(json.dumps(found))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_another_user_of_the_machine_gets_nowhere(place, tmp_path):
    marker = tmp_path / "marker"
    for folder in [*reversed(place.root.parents), place.root]:  # the way there is open; what is inside is not
        if folder.stat().st_uid == 0 and str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    code = AS_ANOTHER.format(
        nobody=NOBODY,
        url=place.url("prefect"),
        state=place.root / ".ratchet",
        pid=json.loads((place.root / ".ratchet" / "servers.json").read_text())["servers"][0]["pid"],
        body=attack(place.deployment(), marker),
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["health"] == "true"  # it has really asked the server
    assert {found[what] for what in ("secret", "list", "environment")} == {"PermissionError"}
    assert {found[what] for what in ("read", "post", "event")} == {"HTTPError 401"}
    assert found["rebound"] == "HTTPError 403"
    assert any("flows.servers.prefect_app" in line for line in found["lines"])
    assert not any(place.secret in line for line in found["lines"])
    assert not marker.exists()


# ------------------------------------------------------------------ a browser


FOREIGN_PAGE = """<!doctype html><p id="found"></p><script>
const found = {{}};
const json = {{"Content-Type": "application/json"}};
const login = {{Authorization: "Basic " + btoa("{secret}")}};
const attempt = async (name, path, options) => {{
  try {{
    const answer = await fetch("{url}" + path, options);
    found[name] = answer.type === "opaque" ? "opaque" : answer.status + " " + (await answer.text()).slice(0, 40);
  }} catch (error) {{ found[name] = "refused"; }}
}};
const line = (name, path) => new Promise((done) => {{
  const socket = new WebSocket("{url}".replace("http", "ws") + path, ["prefect"]);
  socket.onopen = () => socket.send(JSON.stringify({{type: "auth", token: "{secret}"}}));
  socket.onmessage = (message) => {{ found[name] = message.data; done(); }};
  socket.onclose = socket.onerror = () => {{ found[name] ??= "refused"; done(); }};
}});
(async () => {{
  const body = JSON.stringify({body});
  await attempt("read", "/api/health");
  await attempt("simple", "/api/deployments/", {{method: "POST", body}});
  await attempt("blind", "/api/deployments/", {{method: "POST", body, mode: "no-cors"}});
  await attempt("asked", "/api/deployments/", {{method: "POST", body, headers: json}});
  await attempt("with login", "/api/deployments/", {{method: "POST", body, headers: {{...json, ...login}}}});
  await attempt("run", "{run}", {{method: "POST", body: "{{}}", headers: {{...json, ...login}}}});
  await attempt("mlflow", "", {{method: "POST"}});
  for (const path of {sockets}) await line(path, path);
  const frame = document.createElement("iframe");
  frame.src = "{url}/runs";
  document.body.append(frame);
  await new Promise((done) => {{ frame.onload = done; setTimeout(done, 3000); }});
  try {{ found.frame = frame.contentWindow.localStorage.length; }} catch (error) {{ found.frame = "refused"; }}
  document.querySelector("#found").textContent = "found " + JSON.stringify(found);
}})();
</script>"""
SOCKETS = ["/api/events/in", "/api/events/out", "/api/logs/out", "/api/task_runs/subscriptions/scheduled"]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *about: Any) -> None:
        pass


@browser.needed
@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_page_of_another_origin_gets_nowhere_even_with_the_login(place, tmp_path, name):
    marker, deployment = tmp_path / "marker", place.deployment()
    before = prefect(place.root, "flow_runs/count", content={}).json()
    page = FOREIGN_PAGE.format(
        url=place.url("prefect"),
        secret=place.secret,
        body=json.dumps(attack(deployment, marker)),
        run=f"/api/deployments/{deployment['id']}/create_flow_run",
        sockets=json.dumps(SOCKETS),
    )
    (tmp_path / "page.html").write_text(page)
    serve = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with browser.opened(tmp_path / "browser") as tab:
            tab.go(f"http://{name}:{server.server_port}/page.html")
            text = tab.until(lambda text: text.startswith("found "))
        server.shutdown()
    found = json.loads(text.partition("\n")[0].removeprefix("found "))
    assert set(found) == {"read", "simple", "blind", "asked", "with login", "run", "mlflow", "frame", *SOCKETS}
    assert found.pop("blind") in ("opaque", "refused")  # sent, and nothing can be read of it
    assert set(found.values()) == {"refused"}
    assert not marker.exists()
    assert prefect(place.root, "flow_runs/count", content={}).json() == before
    assert not place.deployment()["pull_steps"]


@browser.needed
def test_the_address_that_up_prints_logs_a_browser_in_and_no_other_does(place, tmp_path):
    address, url = place.up()["login"], place.url("prefect")
    assert address == f"{url}/ratchet/login#{place.secret}"
    with browser.opened(tmp_path / "browser") as tab:
        tab.go(f"{url}/runs")
        tab.until(lambda text: "login" in text.lower())  # Prefect's own page asks for a password
        tab.go(f"{url}/ratchet/login#ratchet:wrong&/runs")
        tab.until(lambda text: "out of date" in text)
        assert tab.value("localStorage.getItem('prefect-password')") is None
        tab.go(f"{url}/ratchet/login")
        tab.until(lambda text: "in a terminal" in text)
        tab.go(f"{address}&/runs")
        tab.until(lambda text: "Flow runs" in text and "clone-" in text)
        for wanted in ("", "&//evil.example/", "&https://evil.example/", "&/\\evil.example", "&javascript:alert(1)"):
            tab.go(address + wanted)
            tab.until(lambda text: "Dashboard" in text and "Settings" in text)
            assert tab.value("location.origin") == url
            assert place.secret not in tab.value("location.href")
        tab.go(url.replace("127.0.0.1", "localhost") + f"/ratchet/login#{place.secret}&/v2/runs")  # as by `ssh -L`
        tab.until(lambda text: "Flow Runs" in text and "clone-" in text)
        assert not any(place.secret in asked.partition("#")[0] for asked in tab.asked)


@browser.needed
def test_prefects_pages_reach_nobody_else(place, tmp_path):
    """They would report to their maker; and a text that they show could try to send the login away."""
    with browser.opened(tmp_path / "browser") as tab:
        tab.go(f"{place.up()['login']}&/v2/runs")
        tab.until(lambda text: "Flow Runs" in text)
        tab.value("addEventListener('securitypolicyviolation', (event) => { window.last = event.blockedURI; })")
        tab.value("fetch('http://localhost:1/report').catch(() => null)")
        tab.until(lambda text: tab.value("window.last") == "http://localhost:1/report")


# ------------------------------------------------------------------ MLflow's server


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Host": "127.0.0.1.evil.example"}]
)
def test_mlflows_server_is_as_strict_as_it_was(place, headers):
    url = f"{place.url('mlflow')}/api/2.0/mlflow/experiments/search"
    assert requests.post(url, json={"max_results": 1}, timeout=30).status_code == 200
    assert requests.post(url, json={"max_results": 1}, headers=headers, timeout=30).status_code == 403


def test_servers_are_heard_on_this_machine_alone(place):
    heard = {
        connection.laddr.ip
        for process in place.processes()
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert heard == {"127.0.0.1"}
