"""Explanations by a real server: they add up, no answer waits for them, and what cannot be explained says why."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest

from flows.serving.engine import live_file
from flows.serving.explaining import explainer
from flows.serving.problem import Problem
from tests.support.served import running, versions

ROW = versions.pets_row()
PETS = {
    "weight": [1.0, 5.0, 20.0, 30.0, None],
    "age": [1.0, 2.0, 3.0, 4.0, 5.0],
    "colour": ["black", "brown", "white", None, "black"],
    "born": ["2020-01-31T12:00:00+00:00"] * 4 + [None],
}
AGES = [1.0, 2.0, 3.0, 14.0, 5.0]
SHOPS = {
    "at": ["2026-01-31T12:00:00+00:00"] * 5,
    "shop": ["a", "b", "a", "b", "a"],
    "warm": [[float(day)] * 6 for day in range(5)],
    "past_sold": [[float(day)] * 5 + [40.0 * day] for day in range(5)],
    "sky": [["clear"] * 6] * 5,
}
TILES = {"image": [bytes(np.random.default_rng(seed).integers(0, 255, 36, np.uint8)) for seed in range(20)]}
KINDS = {"pets": PETS, "weights": {"age": AGES}, "shops": SHOPS, "tiles": TILES}


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """Models of each kind with explanations; that of the weights was kept without its sensitive column."""
    folder = tmp_path_factory.mktemp("state")
    for model, background in KINDS.items():
        made = versions.explained(versions.make(folder, model, 1), background)
        versions.point(folder, model, 1, made)
    (folder / "serving" / "empty").mkdir()
    versions.retire(folder, "empty")
    return folder


@pytest.fixture(scope="module")
def server(state):
    with running.server(state) as found:
        yield found


def explained(server, model, row=None):
    row = server.get(f"/models/{model}").json()["example"] if row is None else row
    answer = server.post(f"/models/{model}/explain", row)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("model", KINDS)
def test_base_and_contributions_add_up_to_what_predict_answers(server, model):
    found = explained(server, model)
    row = server.get(f"/models/{model}").json()["example"]
    answer = server.post(f"/models/{model}/predict", row).json()
    assert {name: found[name] for name in ("prediction", "probabilities", "unknown", "version")} == {
        name: answer[name] for name in ("prediction", "probabilities", "unknown", "version")
    }
    total = found["base"] + sum(found["contributions"].values())
    said = answer["probabilities"].get(str(answer["prediction"]), answer["prediction"])
    assert total == pytest.approx(said, abs=1e-6)
    assert found["answer"] == pytest.approx(said)
    assert found["error"] < 1e-6
    assert found["logged"] is False


def test_a_sum_of_columns_is_told_apart_and_no_sensitive_column_is_named(server):
    found = explained(server, "weights", {"age": 9, "colour": "white"})
    assert found["base"] == pytest.approx(2 * np.mean(AGES) + 3)  # the colour was not kept: it is the row's own
    assert found["contributions"] == pytest.approx({"age": 2 * (9 - np.mean(AGES))})
    assert "colour" not in json.dumps(found)
    assert [one["column"] for one in found["counterfactual"]["changes"]] == ["age"]


def test_a_counterfactual_changes_the_answer_of_predict(server):
    found = explained(server, "pets")["counterfactual"]
    (change,) = found["changes"]
    assert (change["column"], change["before"]) == ("weight", 12.5)
    assert change["after"] in PETS["weight"]
    again = server.post("/models/pets/predict", ROW | {change["column"]: change["after"]}).json()
    assert again["prediction"] == found["prediction"] != "dog"


def test_the_last_step_of_a_series_is_what_could_have_been_otherwise(server):
    found = explained(server, "shops")["counterfactual"]
    assert found["changes"] == [{"column": "past_sold", "before": 6, "after": 80, "step": "last"}]


def test_a_picture_is_explained_by_its_patches_and_has_no_change(server):
    found = explained(server, "tiles", {"image": [[250] * 3 + [20] * 3] * 6})
    values = np.array(list(found["contributions"].values())).reshape(6, 6)
    assert found["prediction"] == 0
    assert found["grid"]["tops"] == found["grid"]["lefts"] == list(range(7))
    assert values[:, :3].min() > values[:, 3:].mean()
    assert found["counterfactual"] is None
    assert "picture" in found["why"]


def test_a_list_has_the_same_explanations_and_a_second_request_the_same_bytes(server):
    rows = [ROW, versions.pets_row(weight=None), versions.pets_row(colour="green")]
    first, second = (server.post("/models/pets/explain", rows) for _ in range(2))
    assert first.content == second.content
    many = first.json()["explanations"]
    assert many[0] == {name: explained(server, "pets", ROW)[name] for name in many[0]}
    assert [one["unknown"] for one in many] == [[], [], ["colour"]]


def test_no_answer_waits_for_an_explanation(server):
    with ThreadPoolExecutor(1) as pool:
        waited = pool.submit(server.post, "/models/tiles/explain", [{"image": [[20] * 6] * 6}] * 8)
        answered = 0
        while not waited.done():
            assert server.post("/models/pets/predict", ROW).status_code == 200
            answered += 1
        assert waited.result().status_code == 200
    assert answered > 5


def test_an_explanation_is_counted_and_no_answered_row(server):
    before = server.get("/metrics").text
    explained(server, "pets", [ROW] * 3)
    after = server.get("/metrics").text

    def of(text, start):
        return [line for line in text.splitlines() if line.startswith(start)]

    assert of(before, 'ratchet_rows_total{logged="yes",model="pets"}') == of(
        after, 'ratchet_rows_total{logged="yes",model="pets"}'
    )
    (counted,) = of(after, 'ratchet_requests_total{model="pets",route="explain",status="200"}')
    assert float(counted.split()[-1]) >= 1
    paths = server.get("/openapi.json").json()["paths"]
    assert paths["/models/pets/explain"]["post"]["responses"]["200"]


def test_a_process_that_is_killed_is_started_again(server):
    explained(server, "pets")
    (child,) = [
        one for one in psutil.Process(server.process.pid).children() if explainer.MODULE in " ".join(one.cmdline())
    ]
    child.kill()
    child.wait()
    assert explained(server, "pets")["prediction"] == "dog"


@pytest.mark.parametrize(
    ("model", "body", "status", "kind", "words"),
    [
        ("pots", ROW, 404, "no-model", "Did you mean 'pets'?"),
        ("empty", ROW, 503, "no-champion", "empty"),
        ("pets", [], 400, "no-rows", "Send one row"),
        ("pets", [ROW] * 21, 413, "rows", "20 rows to explain"),
        ("pets", "row", 400, "rows-form", "neither an object nor a list"),
        ("pets", [ROW, {"weight": 3}], 400, "missing-column", "Row 2"),
        ("pets", versions.pets_row(weight="heavy"), 400, "value", "'heavy' is not a number"),
        ("tiles", {"image": [[1]]}, 400, "value", "the model takes 6 x 6"),
        ("weights", {"age": 3, "colour": {}}, 400, "value", "the value does not fit"),
    ],
)
def test_what_does_not_fit_says_where_and_what_to_do(server, model, body, status, kind, words):
    answer = server.post(f"/models/{model}/explain", body)
    assert answer.status_code == status, answer.text
    assert answer.json()["type"].endswith(kind)
    assert words in answer.json()["detail"] + answer.json()["repair"]


def test_another_method_and_another_content_are_refused(server):
    assert server.get("/models/pets/explain").status_code == 405
    told = server.post("/models/pets/explain", content="weight\n3\n", headers={"content-type": "text/csv"})
    assert told.status_code == 415


@pytest.mark.parametrize("off", [True, False], ids=["off", "never made"])
def test_a_version_without_explanations_says_so(state, server, off):
    folder = versions.make(state, "pets", 2)
    if off:
        versions.explained(folder, PETS, off=True)
    versions.point(state, "pets", 2, folder)
    running.until(lambda: server.get("/models/pets").json()["version"] == 2)
    for answer in (server.post("/models/pets/explain", ROW), server.get("/models/pets/explanations")):
        assert answer.status_code == 409
        assert answer.json()["detail"] == "Version 2 of pets was made without explanations."
    versions.promote(state, "pets")
    versions.point(state, "pets", 1, versions.explained(versions.make(state, "pets", 1), PETS))
    running.until(lambda: server.get("/models/pets").json()["version"] == 1)


def test_a_model_that_keras_computes_is_explained_too(tmp_path):
    folder = versions.promote_keras(tmp_path)
    versions.point(tmp_path, "weights", 1, versions.explained(folder, {"age": AGES}))
    with running.server(tmp_path) as server:
        found = explained(server, "weights", {"age": 9, "colour": "white"})
        assert found["contributions"] == pytest.approx({"age": 2 * (9 - np.mean(AGES))})
        told = server.post("/models/weights/explain", {"age": 13, "colour": None})
        assert told.status_code == 500
        assert "ValueError" in told.json()["detail"]


def test_who_asks_while_others_wait_is_told_to_come_back(state):
    told = live_file.read(state / "serving" / "weights")
    rows = [{"age": 3, "colour": None}]

    async def asked():
        mine = explainer.Explainer()
        try:
            return await asyncio.gather(*(mine.explain(told, rows) for _ in range(7)), return_exceptions=True)
        finally:
            await mine.close()

    found = asyncio.run(asked())
    refused = [one for one in found if isinstance(one, Problem)]
    assert [(one.status, one.kind) for one in refused] == [(503, "busy")] * 2
    assert len(found) - len(refused) == explainer.MOST_WAITING + 1


def test_an_explanation_that_takes_too_long_is_ended(state, monkeypatch):
    monkeypatch.setattr(explainer, "SECONDS", 0.05)
    told = live_file.read(state / "serving" / "weights")

    async def asked():
        mine = explainer.Explainer()
        with pytest.raises(Problem) as caught:
            await mine.explain(told, [{"age": 3, "colour": None}])
        assert mine._process is None
        return caught.value

    assert asyncio.run(asked()).kind == "slow-explanation"
