"""The application behind a real server: rows in, answers out; everything else has its status, its words, its repair."""

import base64
import json
import re

import httpx
import pytest

from tests.support.served import running, versions

ROW = versions.pets_row()
MANY = [ROW, versions.pets_row(weight=None), versions.pets_row(colour="green")]


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    folder = tmp_path_factory.mktemp("state")
    for model in ("pets", "weights", "tiles", "shops"):
        versions.promote(folder, model)
    (folder / "serving" / "empty").mkdir()
    versions.retire(folder, "empty", "The champion was withdrawn.")
    return folder


@pytest.fixture(scope="module")
def server(state):
    with running.server(state) as found:
        yield found


def problem(answer: httpx.Response, status: int) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    content = answer.json()
    assert content["status"] == status
    assert content["type"].startswith("urn:ratchet:problem:")
    assert content["repair"]
    assert "Traceback" not in answer.text
    return dict(content)


# ------------------------------------------------------------------ answers


def test_one_object_has_one_answer_and_a_list_as_many(server):
    one = server.post("/models/pets/predict", ROW).json()
    many = server.post("/models/pets/predict", MANY).json()
    about = server.get("/models/pets").json()
    assert list(one) == [
        *("id", "model", "version", "model_hash", "prediction", "probabilities", "unknown", "logged"),
    ]
    assert list(many) == ["model", "version", "model_hash", "answers", "logged"]
    for found in (one, many):
        assert (found["model"], found["version"], found["model_hash"]) == ("pets", 1, about["model_hash"])
        assert found["logged"] is True
    assert sum(one["probabilities"].values()) == pytest.approx(1, abs=1e-6)
    assert one["prediction"] == max(one["probabilities"], key=one["probabilities"].get)
    assert many["answers"][0]["probabilities"] == pytest.approx(one["probabilities"], abs=1e-6)
    assert [answer["unknown"] for answer in many["answers"]] == [[], [], ["colour"]]


def test_ids_are_unique_and_in_the_order_of_time(server):
    found = [server.post("/models/pets/predict", ROW).json()["id"]]
    found += [answer["id"] for answer in server.post("/models/pets/predict", MANY).json()["answers"]]
    found += server.post("/models/pets/invocations", {"dataframe_records": MANY}).json()["ids"]
    assert sorted(set(found)) == found
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in found)


@pytest.mark.parametrize("model", ["pets", "weights", "tiles", "shops"])
def test_the_example_of_every_kind_of_model_works_as_it_is(server, model):
    about = server.get(f"/models/{model}").json()
    answer = server.post(f"/models/{model}/predict", about["example"]).json()
    assert answer["prediction"] is not None
    assert set(answer["probabilities"]) == set(map(str, about["classes"]))
    for row in server.get(f"/models/{model}/examples").json()["rows"]:
        assert server.post(f"/models/{model}/predict", row).status_code == 200


def test_the_forms_of_mlflow_have_the_same_answers(server):
    plain = server.post("/models/pets/predict", MANY).json()["answers"]
    wanted = [
        {"prediction": answer["prediction"]}
        | {f"probability_{name}": value for name, value in answer["probabilities"].items()}
        for answer in plain
    ]
    columns = list(ROW)
    cells = [[row[name] for name in columns] for row in MANY]
    text = "\n".join(
        [",".join(columns), *(",".join("" if cell is None else str(cell) for cell in row) for row in cells)]
    )
    asked = [
        {"json": {"dataframe_records": MANY, "params": {"temperature": 1}}},
        {"json": {"dataframe_split": {"columns": columns, "data": cells, "index": [5, 6, 7]}}},
        {"json": {"instances": MANY}},
        {"json": {"inputs": {name: [row[name] for row in MANY] for name in columns}}},
        {"content": text, "headers": {"content-type": "text/csv"}},
        {"content": text, "headers": {"content-type": 'Text/CSV; charset="UTF-8"'}},
    ]
    for more in asked:
        found = server.post("/models/pets/invocations", **more).json()
        assert [list(one) for one in found["predictions"]] == [list(one) for one in wanted]
        for one, other in zip(found["predictions"], wanted, strict=True):
            assert one["prediction"] == other["prediction"]
            assert one["probability_cat"] == pytest.approx(other["probability_cat"], abs=1e-6)
        assert (found["version"], len(found["ids"])) == (1, 3)


def test_a_picture_may_be_the_bytes_of_its_pixels_as_in_mlflow(server):
    pixels = server.get("/models/tiles").json()["example"]["image"]
    flat = base64.b64encode(bytes(pixel for line in pixels for pixel in line)).decode()
    wanted = server.post("/models/tiles/predict", {"image": pixels}).json()
    for content in ({"inputs": [flat]}, {"dataframe_split": {"columns": ["image"], "data": [[flat]]}}):
        found = server.post("/models/tiles/invocations", content).json()["predictions"][0]
        assert found["prediction"] == wanted["prediction"]


def test_the_id_of_a_row_comes_back_as_in_mlflow(server):
    rows = [ROW | {"row_id": "a"}, ROW | {"row_id": "b"}]
    found = server.post("/models/pets/invocations", {"dataframe_records": rows}).json()["predictions"]
    assert [next(iter(one)) for one in found] == ["row_id", "row_id"]
    assert [one["row_id"] for one in found] == ["a", "b"]


# ------------------------------------------------------------------ what does not fit


def test_a_row_that_does_not_fit_is_told_with_row_column_value_and_repair(server):
    rows = [ROW, versions.pets_row(weight="heavy")]
    for path, content in (("predict", rows), ("invocations", {"dataframe_records": rows})):
        told = problem(server.post(f"/models/pets/{path}", content), 400)
        assert (told["row"], told["column"]) == (2, "weight")
        assert "heavy" in told["value"]


@pytest.mark.parametrize(
    ("content", "status", "detail"),
    [
        (b"[]", 400, "no row"),
        (b"3", 400, "neither an object nor a list"),
        (b"[3]", 400, ""),
        (b"{}", 400, ""),
        (b'{"weight": 1', 400, "line 1"),
        (b'{"weight": NaN}', 400, "line 1"),
        (b'{"weight": 1, "weight": 2}', 400, "twice"),
        (json.dumps([{}] * 10_001).encode(), 413, "10,001"),
        (b" " * ((16 << 20) + 1), 413, "16,777,216 bytes"),
    ],
)
def test_a_body_that_does_not_fit(server, content, status, detail):
    answer = server.post("/models/pets/predict", content=content, headers={"content-type": "application/json"})
    assert detail in problem(answer, status)["detail"]


def test_what_is_in_a_cell_may_be_anything_and_is_never_an_error_of_ours(server):
    deep = json.loads("[" * 60 + "]" * 60)
    for cell in (deep, {"a": deep}, [1], {}, True, 1e308, -(10**30), "\x00", "\U0001f600" * 1000, ""):
        for name in ROW:
            assert server.post("/models/pets/predict", ROW | {name: cell, "more": cell}).status_code < 500
        rows = [ROW | {"row_id": cell}]
        assert server.post("/models/pets/invocations", {"dataframe_records": rows}).status_code < 500


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ({"content-type": "application/x-www-form-urlencoded"}, "x-www-form-urlencoded"),
        ({"content-type": "text/csv"}, "text/csv"),
        ({"content-type": "application/json; charset=latin-1"}, "latin-1"),
        ({"content-type": "application/json; version=2"}, "version=2"),
        ({"content-type": "application/json", "content-encoding": "gzip"}, "gzip"),
    ],
)
def test_another_content_type_charset_or_encoding(server, headers, detail):
    answer = server.post("/models/pets/predict", content=json.dumps(ROW), headers=headers)
    assert detail in problem(answer, 415)["detail"]


def test_unknown_models_and_addresses(server):
    assert "'pets'" in problem(server.post("/models/pet/predict", ROW), 404)["repair"]
    assert "'pets'" in problem(server.get("/models/pet"), 404)["repair"]
    for path in ("/", "/favicon.ico", "/models/pets/", "/models/pets/x", "/docs", "/redoc", "/models//predict", "/%ff"):
        problem(server.get(path), 404)


def test_a_model_without_a_champion_is_not_answered_now(server):
    answer = server.post("/models/empty/predict", ROW)
    assert "was withdrawn" in problem(answer, 503)["detail"]
    assert answer.headers["retry-after"]
    about = server.get("/models/empty").json()
    assert (about["version"], about["problem"]) == (None, "The champion was withdrawn.")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/models/pets/predict", "POST"),
        ("PUT", "/models/pets/invocations", "POST"),
        ("DELETE", "/models", "GET"),
    ],
)
def test_another_method(server, method, path, allow):
    answer = httpx.request(method, server.url + path)
    problem(answer, 405)
    assert answer.headers["allow"] == allow


def test_a_question_for_the_head_alone_has_that_of_the_answer(server):
    for path in ("/models", "/health", "/metrics"):
        head, whole = httpx.head(server.url + path), server.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == whole.headers["content-type"]


def test_a_page_of_another_site_gets_no_answer(server):
    for headers in ({"host": "evil.example"}, {"origin": "http://evil.example"}):
        problem(server.post("/models/pets/predict", ROW, headers=headers), 403)
    assert "access-control-allow-origin" not in server.get("/models", headers={"origin": "http://evil.example"}).headers


def test_an_error_of_ours_is_told_by_its_number_alone_and_the_log_has_it(server, state):
    examples = state / "serving" / "weights" / "versions"
    file = next(examples.glob("*/examples.json"))
    content = file.read_text()
    file.write_text("{")
    try:
        told = problem(server.get("/models/weights/examples"), 500)
    finally:
        file.write_text(content)
    number = re.search(r"as (\w+)\.", told["detail"])[1]
    assert f"{number}: unforeseen error at /models/weights/examples" in server.errors.read_text()
    assert "JSONDecodeError" in server.errors.read_text()


# ------------------------------------------------------------------ what is told


def test_a_new_version_is_told_within_seconds(server, state):
    versions.promote(state, "weights", 2)
    running.until(lambda: server.get("/models/weights").json()["version"] == 2)
    running.until(lambda: "weights: version 2 answers (onnx)" in server.errors.read_text())
    found = server.post("/models/weights/predict", {"age": 1, "colour": None}).json()
    assert (found["version"], found["model_hash"]) == (2, server.get("/models/weights").json()["model_hash"])


def test_the_numbers_count_every_request_and_row(server):
    before = numbers(server)
    server.post("/models/pets/predict", MANY)
    server.post("/models/pets/predict", ROW | {"weight": "heavy"})
    server.post("/models/nobody/predict", ROW)
    after = numbers(server)
    grown = {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name)}
    for name, value in {
        'ratchet_requests_total{model="pets",route="predict",status="200"}': 1,
        'ratchet_requests_total{model="pets",route="predict",status="400"}': 1,
        'ratchet_requests_total{model="",route="predict",status="404"}': 1,
        'ratchet_rows_total{logged="yes",model="pets"}': 3,
        'ratchet_unknown_words_total{column="colour",model="pets"}': 1,
        'ratchet_request_seconds_count{model="pets",route="predict"}': 2,
    }.items():
        assert grown[name] == value, name
    info = next(name for name in after if name.startswith('ratchet_model_info{model="pets"'))
    assert 'version="1"' in info
    assert after['ratchet_model_problem{model="empty"}'] == 1


def numbers(server: running.Running) -> dict[str, float]:
    answer = server.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = [line.rpartition(" ") for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def test_the_description_has_the_real_columns_and_every_problem(server):
    found = server.get("/openapi.json").json()
    paths = found["paths"]
    assert {f"/models/{name}/predict" for name in ("pets", "weights", "tiles", "shops")} < set(paths)
    assert "/models/empty/predict" not in paths
    operation = paths["/models/pets/predict"]["post"]
    row = operation["requestBody"]["content"]["application/json"]["schema"]["oneOf"][0]
    assert list(row["properties"]) == row["required"] == ["weight", "age", "colour", "born"]
    assert row["properties"]["colour"]["examples"] == ["black", "brown", "white"]
    assert {"400", "404", "413", "415", "422", "503"} < set(operation["responses"])
    assert "ValidationError" not in json.dumps(found)
    assert found["components"]["schemas"]["Problem"]["required"] == ["type", "title", "status", "detail"]
    assert "sequence" not in json.dumps(paths["/models/shops/predict"])
    rows = paths["/models/shops/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]["oneOf"][0]
    assert rows["required"] == ["rows"]
