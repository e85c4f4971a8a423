"""The guard around Prefect's server: who may speak to it, and what may not be asked of it."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import prefect.context
import pytest
from prefect.server.api import server
from prefect.settings import PREFECT_SERVER_API_AUTH_STRING, PREFECT_UI_API_URL, temporary_settings
from pydantic import TypeAdapter
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from flows.servers import login_page, prefect_login
from flows.servers.prefect_guard import ENTRYPOINT, FREE, NEVER, Guard

SECRET = "ratchet:" + "x" * 43
LOGIN = {"Authorization": prefect_login.header(SECRET)}
HERE = "http://127.0.0.1:4200"
WEBSOCKETS = (
    "/api/events/in",
    "/api/events/out",
    "/api/logs/out",
    "/api/task_runs/subscriptions/scheduled",
    "/api/work_pools/pool/workers/connect",
)
SHELL = [{"prefect.deployments.steps.run_shell_script": {"script": "touch marker"}}]
MEANS_CODE = re.compile(  # a key so named may say what runs: one that Prefect adds is to be looked at
    r"bundle|code|command|document_id|entrypoint|env$|image|infra|manifest|module|path|pickle|(?<!de)script|serializer|step"
    r"|storage|template|_variables"
)
LOOKED_AT = {  # ... and found to say nothing of the kind, wherever they are
    "block_document_id",  # of an automation: whom it tells
    "checksum_code",
    "code_example",
    "infrastructure_pid",  # only a worker reads it
    "parameter_openapi_schema",
    "storage_configuration",  # what it holds is looked at
    "template",  # of a text, in a sandbox
}


@pytest.fixture(scope="module")
def app() -> Iterator[Any]:
    """Prefect's own, as our server starts it, without its database."""
    settings = {PREFECT_SERVER_API_AUTH_STRING: SECRET, PREFECT_UI_API_URL: "/api"}
    with pytest.MonkeyPatch.context() as patch, temporary_settings(settings):
        patch.setattr(prefect.context, "GLOBAL_SETTINGS_CONTEXT", prefect.context.get_settings_context())
        yield server.create_app(ignore_cache=True)


@pytest.fixture(scope="module")
def client(app) -> TestClient:
    return TestClient(Guard(app, SECRET), base_url=HERE, raise_server_exceptions=False)


@pytest.fixture
def behind() -> tuple[TestClient, list[bytes]]:
    """A guard around an application that notes what reaches it."""
    heard: list[bytes] = []

    async def note(scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        heard.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"reached"})

    return TestClient(Guard(note, SECRET), base_url=HERE), heard


# ------------------------------------------------------------------ who speaks


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:4200", 200),
        ("localhost:9999", 200),
        ("LocalHost", 200),
        ("[::1]:8", 200),
        ("evil.example", 403),
        ("evil.example:4200", 403),
        ("127.0.0.1.evil.example", 403),
        ("127.0.0.1@evil.example", 403),
        ("evil.example/127.0.0.1", 403),
        ("127.0.0.1:4200#evil.example", 403),
        ("127.0.0.1:x", 403),
        ("192.168.0.7:4200", 403),
        ("0.0.0.0:4200", 403),
        ("", 403),
    ],
)
def test_it_is_called_as_this_machine(behind, host, status):
    client, heard = behind
    assert client.get("/dashboard", headers={"Host": host}).status_code == status
    assert len(heard) == (status == 200)


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "DELETE"])
@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:4201", "http://localhost:4200", "file://"]
)
def test_a_page_of_another_place_is_refused_with_and_without_the_login(behind, origin, method):
    client, heard = behind
    for login in ({}, LOGIN):
        found = client.request(method, "/api/flow_runs/count", headers={"Origin": origin, **login})
        assert found.status_code == 403
        assert "access-control-allow-origin" not in found.headers
    assert heard == []


def test_a_page_of_ours_is_answered_by_whatever_port_it_has_come(behind):
    client, heard = behind
    for host in ("127.0.0.1:4200", "localhost:9000", "[::1]:4200"):
        given = LOGIN | {"Host": host, "Origin": f"http://{host}"}
        assert client.post("/api/flow_runs/count", json={}, headers=given).status_code == 200
    assert len(heard) == 3


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "Basic",
        prefect_login.header(SECRET + "x"),
        prefect_login.header("ratchet:"),
        prefect_login.header(SECRET).replace("Basic", "basic"),
        prefect_login.header(SECRET) + " ",
        f"Bearer {SECRET}",
    ],
)
def test_prefects_api_needs_the_login_in_full(client, behind, given):
    small, heard = behind
    for one in (client, small):
        headers = {"Authorization": given} if given else {}
        found = one.post("/api/deployments/", json={"pull_steps": SHELL}, headers=headers)  # and nobody looks at that
        assert (found.status_code, "needs a login" in found.text) == (401, True)
    assert heard == []


def test_prefect_itself_asks_for_the_login_too(app):
    bare = TestClient(app, base_url=HERE)
    assert bare.post("/api/flow_runs/count", json={}).status_code == 401
    assert bare.get("/api/admin/version", headers=LOGIN).status_code == 200


def test_with_the_login_it_is_prefect_that_answers(client):
    assert client.get("/api/admin/version", headers=LOGIN).json() == prefect.__version__


def test_what_says_nothing_is_open(client):
    assert client.get("/api/health").json() is True
    assert client.post("/api/health").status_code == 401
    assert client.get("/api/variables/name/health").status_code == 401


def test_pages_come_with_rules_and_call_the_server_by_the_name_they_came_by(client):
    page = client.get("/runs", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert "connect-src" not in page.headers["content-security-policy"]  # so that default-src holds for it
    assert "default-src 'self'; " in page.headers["content-security-policy"]
    assert page.headers["x-frame-options"] == "DENY"
    assert client.get("/ui-settings").json()["api_url"] == "/api"


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect"])
def test_pages_whose_scripts_come_from_the_web_are_not_there(client, path):
    assert client.get(path).status_code == 404


# ------------------------------------------------------------------ websockets


def test_these_are_all_the_websockets_of_prefect():
    routes = [route for router in server.API_ROUTERS for route in router.routes]
    found = {route.path.replace("{work_pool_name}", "pool") for route in routes if not hasattr(route, "methods")}
    assert {f"/api{path}" for path in found} == set(WEBSOCKETS)


def greeted(client: TestClient, path: str, token: str | None, **more: Any) -> dict[str, Any]:
    with client.websocket_connect(f"{HERE.replace('http', 'ws')}{path}", **more) as line:
        line.send_json({"type": "auth", "token": token})
        return dict(line.receive_json())


@pytest.mark.parametrize("path", WEBSOCKETS)
def test_a_websocket_needs_the_login(client, path):
    assert greeted(client, path, SECRET, subprotocols=["prefect"]) == {"type": "auth_success"}
    for token in (None, "", "ratchet:wrong"):
        with pytest.raises(WebSocketDisconnect) as refused:
            greeted(client, path, token, subprotocols=["prefect"])
        assert refused.value.code == 1008
    with pytest.raises(WebSocketDisconnect):  # as old clients spoke, without a handshake
        greeted(client, path, SECRET)


@pytest.mark.parametrize("path", WEBSOCKETS)
@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}])
def test_a_websocket_of_another_place_is_refused_with_the_login(client, path, headers):
    with pytest.raises(WebSocketDisconnect) as refused:
        greeted(client, path, SECRET, subprotocols=["prefect"], headers=headers)
    assert refused.value.code == 1008


# ------------------------------------------------------------------ what is posted


@pytest.mark.parametrize(
    "body",
    [
        {"name": "digits", "pull_steps": SHELL},
        {"name": "digits", "entrypoint": "evil.flow"},
        {"name": "digits", "entrypoint": "flows/retrain.py:retrain"},
        {"entrypoint": ENTRYPOINT, "path": "/tmp"},
        {"storage_document_id": "0"},
        {"job_variables": {"env": {"PYTHONSTARTUP": "/tmp/x.py"}}},
        [{"job_variables": {"command": "sh"}}],
        {"actions": [{"type": "run-deployment", "job_variables": {"a": 1}}]},
        {"storage_configuration": {"bundle_execution_step": {"x": None}}},
    ],
)
def test_what_says_which_code_runs_is_refused(behind, body):
    client, heard = behind
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for path in ("/api/deployments/", "/api/deployments", "/api/flow_runs/1", "/api/anything/new"):
            found = client.request(method, path, json=body, headers=LOGIN)
            assert (found.status_code, "is refused" in found.text) == (403, True)
    assert heard == []


@pytest.mark.parametrize(
    "body",
    [
        {"entrypoint": ENTRYPOINT, "path": None, "pull_steps": [], "job_variables": {}, "storage_document_id": None},
        {"parameters": {"model": "digits", "path": "x", "job_variables": {"a": 1}}},
        {"parameter_openapi_schema": {"properties": {"path": {"type": "string"}}}},
        {"state": {"type": "COMPLETED", "data": None}, "force": True},
        {"state": "CANCELLED"},
    ],
)
def test_the_rest_passes_as_it_was_sent(behind, body):
    client, heard = behind
    assert client.post("/api/deployments/", json=body, headers=LOGIN).text == "reached"
    assert [json.loads(found) for found in heard] == [body]


def test_where_a_result_lies_is_not_passed_on_and_the_rest_of_the_state_is(behind):
    client, heard = behind
    place = {"serializer": {"type": "json", "object_decoder": "os.system"}, "storage_key": "/tmp/x"}
    state = {"type": "FAILED", "message": "\u00e9", "data": place}
    one = {"state": state}
    for body in (one | {"force": True}, [one, one], {"flow_runs": {}, "a": one}):
        assert client.post("/api/flow_runs/x/set_state", json=body, headers=LOGIN).text == "reached"
        assert json.loads(heard.pop()) == json.loads(json.dumps(body).replace(json.dumps(place), "null"))


def test_texts_and_data_of_runs_are_not_looked_at(behind):
    client, heard = behind
    body = [{"payload": {}, "path": "/a/file", "command": "x"}]
    for path in FREE:
        assert client.post(path, json=body, headers=LOGIN).text == "reached"
    assert len(heard) == len(FREE)
    assert client.post("/api/logsx", json=body, headers=LOGIN).status_code == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"pull_steps": [1], "pull_steps": []}', 400),
        (b"{", 400),
        (b"\xff\xfe\x00", 400),
        (b"[" * 100_000, 400),
        (b" " * (9 << 20), 413),
        (b"", 200),
    ],
)
def test_what_cannot_be_looked_at_is_refused(behind, body, status):
    client, _ = behind
    given = LOGIN | {"Content-Type": "application/json"}
    assert client.post("/api/deployments/", content=body, headers=given).status_code == status


Place = tuple[str, ...]  # the names from the whole body to a key


@cache
def posted() -> list[tuple[str, str, set[Place]]]:
    """Of all routes of Prefect that take a body and are looked at: method, path, every key of the body."""
    return [(method, path, set(keys(whole))) for method, path, whole in bodies() if not path.startswith(FREE)]


def bodies() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Of all routes of Prefect that take a body: method, path, schema of the body."""
    for router in server.API_ROUTERS:
        for route in router.routes:
            fields = route.dependant.body_params if getattr(route, "methods", None) else []
            schemas = {field.name: TypeAdapter(field.field_info.annotation).json_schema() for field in fields}
            for method in route.methods if schemas else ():
                one = len(fields) == 1 and not getattr(fields[0].field_info, "embed", None)
                whole = next(iter(schemas.values())) if one else {"properties": schemas}
                yield method, f"/api{re.sub('{[^}]+}', 'x', route.path)}", whole


def keys(schema: Any, at: Place = (), root: Any = None, seen: Place = ()) -> Iterator[Place]:
    """Every key that a schema knows. root: the whole of it; seen: the definitions that lead here."""
    root = schema if "$defs" in schema else (root or schema)
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name not in seen:
            yield from keys(root["$defs"][name], at, root, (*seen, name))
    for name, below in schema.get("properties", {}).items():
        yield (*at, name)
        yield from keys(below, (*at, name), root, seen)
    for word in ("anyOf", "oneOf", "allOf"):
        for below in schema.get(word, []):
            yield from keys(below, at, root, seen)
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            yield from keys(schema[word], at, root, seen)


def test_no_route_of_prefect_takes_what_says_which_code_runs(behind):
    client, heard = behind
    refused = set()
    for method, path, places in posted():
        for place in places:
            if place[-1] in NEVER or place[-1] == "entrypoint":
                body: Any = {place[-1]: "evil"}
                for name in reversed(place[:-1]):
                    body = {name: [body]}
                assert client.request(method, path, json=body, headers=LOGIN).status_code == 403, (path, place)
                refused.add((method, path, place[-1]))
    assert heard == []
    for method, path in (("POST", "/api/deployments/"), ("PATCH", "/api/deployments/x")):
        assert {(method, path, key) for key in ("pull_steps", "job_variables", "entrypoint", "path")} <= refused
    for path in ("/api/deployments/x/create_flow_run", "/api/deployments/x/create_flow_run/bulk", "/api/automations/"):
        assert ("POST", path, "job_variables") in refused
    assert ("PUT", "/api/admin/storage", "default_result_storage_block_id") in refused


def test_prefect_has_no_other_key_that_may_say_which_code_runs():
    found = {place[-1] for _, _, places in posted() for place in places}
    assert {key for key in found if MEANS_CODE.search(key)} - LOOKED_AT <= {*NEVER, "entrypoint"}


# ------------------------------------------------------------------ the page that logs in


def test_the_page_that_logs_in_holds_no_secret_and_runs_only_its_own_script(client):
    page = client.get(prefect_login.PAGE)
    assert page.status_code == 200
    assert SECRET not in page.text
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["content-security-policy"] == login_page.RULES
    assert f"'sha256-{login_page.HASH}'" in login_page.RULES
    assert client.post(prefect_login.PAGE).status_code == 404


def test_it_leaves_the_password_where_prefects_pages_look_for_it():
    for name in ("ui", "ui-v2"):
        scripts = (Path(prefect.__file__).parent / "server" / name / "assets").glob("*.js")
        assert any(login_page.KEY in script.read_text(encoding="utf-8", errors="replace") for script in scripts)
