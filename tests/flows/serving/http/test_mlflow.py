"""MLflow's protocol, beside MLflow's own server: the same requests to the same trained model have the same answers."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import httpx
import mlflow.pyfunc
import pandas as pd
import pytest
from mlflow.pyfunc import scoring_server
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

from flows.registry import model_registry, reading, served
from pipelines.ingest import Ingest
from tests.support.served import models as kinds
from tests.support.served import running, versions
from tests.support.served.versions import Parts

pytestmark = pytest.mark.long
ROWS = [
    {"weight": 4.0, "age": 3, "colour": "black", "animal": "cat"},
    {"weight": None, "age": 7, "colour": "never seen", "animal": "dog"},
    {"weight": "12.5", "age": None, "colour": None, "animal": None},
]
READ = reading.content(Ingest(source="-", reader=2, timezone="UTC", missing=["", "NA"]))


@pytest.fixture(scope="module")
def models(made, tmp_path_factory):
    """model -> (MLflow's server of it, the address of ours), for a classification, a regression, and pictures."""
    world, state = made.copy(tmp_path_factory.mktemp("mlflow")), tmp_path_factory.mktemp("state")
    found: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(world.root)
        for model in ("pets", "weights", "tiles"):
            folder = world.run("export", model=model)
            read = None if model == "tiles" else reading.write(READ, world.root / f"reading-{model}")
            found[model] = scoring_server.init(_registered(folder / "model", world.root / f"saved-{model}", read))
            about = json.loads((folder / "model" / "model.json").read_text())
            example = {"image": [[0] * 6] * 6} if model == "tiles" else {name: ROWS[0][name] for name in _names(about)}
            parts = Parts(folder / "model", folder / "serving", read)
            versions.trained(state, model, 1, parts, _columns(about) | {"example": example}, [example])
    with running.server(state) as server:
        assert [one["runtime"] for one in server.said["models"]] == ["onnx"] * 3
        yield {model: (theirs, f"{server.url}/models/{model}") for model, theirs in found.items()}


def _names(about: dict[str, Any]) -> list[str]:
    return [*about["numbers"], *about["categories"]]


def _columns(about: dict[str, Any]) -> dict[str, Any]:
    """columns.json of one of the three."""
    columns = [kinds.number(name, 0, 9) for name in about.get("numbers", [])]
    columns += [kinds.category(name, []) for name in about.get("categories", [])]
    more = {"classes": about["classes"], "shape": about.get("shape", []), "format": 1}
    return kinds.columns(about["kind"], about["task"], about["target"], columns, **more)


def _registered(folder: Path, target: Path, read: Path | None) -> mlflow.pyfunc.PyFuncModel:
    about = json.loads((folder / "model.json").read_text())
    mlflow.pyfunc.save_model(
        target,
        python_model=served.__file__,
        artifacts={"model": str(folder)} | ({"reading": str(read)} if read else {}),
        signature=model_registry.signature(about, READ if read else None),
        pip_requirements=["mlflow"],
    )
    return mlflow.pyfunc.load_model(str(target))


def _answered(ours: str, body: bytes, media: str) -> Any:
    answer = httpx.post(f"{ours}/invocations", content=body, headers={"content-type": media}, timeout=running.PATIENCE)
    assert answer.status_code == 200, answer.text
    return answer.json()["predictions"]


def _asked(theirs: Any, body: bytes, media: str) -> Any:
    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(app=theirs)
        async with httpx.AsyncClient(transport=transport, base_url="http://mlflow") as client:
            return await client.post("/invocations", content=body, headers={"content-type": media})

    answer = asyncio.run(post())
    assert answer.status_code == 200, answer.text
    return answer.json()["predictions"]


def _same(found: Any, wanted: Any) -> None:
    assert [list(one) for one in found] == [list(one) for one in wanted]
    for one, other in zip(found, wanted, strict=True):
        for name, value in other.items():
            assert type(one[name]) is type(value)
            assert one[name] == (pytest.approx(value, rel=1e-5, abs=1e-6) if isinstance(value, float) else value)


def bodies(rows: list[dict[str, Any]]) -> dict[str, tuple[bytes, str]]:
    """The same rows in every form that takes several columns with missing values."""
    table = pd.DataFrame(rows, dtype=object)
    split = {"columns": list(table), "data": [list(row.values()) for row in rows]}
    forms = {"dataframe_records": rows, "dataframe_split": split}
    found = {name: (json.dumps({name: content}).encode(), "application/json") for name, content in forms.items()}
    found["params"] = (json.dumps({"dataframe_records": rows, "params": {"x": 1}}).encode(), "application/json")
    return found | {"csv": (table.to_csv(index=False).encode(), "text/csv; charset=utf-8")}


@pytest.mark.parametrize("form", ["dataframe_records", "dataframe_split", "params", "csv"])
@pytest.mark.parametrize("model", ["pets", "weights"])
def test_rows_of_a_table(models, model, form):
    theirs, ours = models[model]
    body, media = bodies(ROWS)[form]
    _same(_answered(ours, body, media), _asked(theirs, body, media))


@pytest.mark.parametrize("form", ["inputs", "instances"])
def test_columns_of_complete_rows(models, form):
    theirs, ours = models["pets"]
    rows = [{"weight": 4.0, "age": 3.0, "colour": "black"}, {"weight": 9.5, "age": 1.0, "colour": "brown"}]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    body = json.dumps({form: rows if form == "instances" else columns}).encode()
    _same(_answered(ours, body, "application/json"), _asked(theirs, body, "application/json"))


def test_pictures_are_the_bytes_of_their_pixels(models):
    theirs, ours = models["tiles"]
    pixels = [base64.b64encode(bytes([level] * 36)).decode() for level in (0, 130, 250)]
    contents: list[dict[str, Any]] = [
        {"dataframe_records": [{"image": one} for one in pixels]},
        {"dataframe_split": {"columns": ["image"], "data": [[one] for one in pixels]}},
    ]
    for content in contents:
        body = json.dumps(content).encode()
        _same(_answered(ours, body, "application/json"), _asked(theirs, body, "application/json"))


def test_the_client_of_mlflow_speaks_to_this_server(models):
    theirs, ours = models["pets"]
    client = ScoringServerClient("127.0.0.1", 0)
    client.url_prefix = ours
    table = pd.DataFrame(ROWS, dtype=object).where(lambda cells: cells.notna(), None)
    found = client.invoke(table).get_predictions().to_dict("records")
    _same(found, _asked(theirs, *bodies(ROWS)["dataframe_records"]))
