"""The loop with labels: rows are answered over HTTP, labelled, corrected and learned, each once."""

from pathlib import Path

import httpx
import pandas as pd
import pyarrow.parquet as pq
import pytest

from flows.labels.joined import joined
from pipelines import model_file
from pipelines.table.splits import SPLITS
from tests.support import golden
from tests.support.clone import answer, clone, edit, ratchet
from tests.whole.serving.test_serve import serving

pytestmark = pytest.mark.long
OTHER = {"yes": "no", "no": "yes"}


def sales() -> pd.DataFrame:
    return golden.sales(400).assign(sale=[f"s{number}" for number in range(400)])


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """The model `shop`, whose sales have a key, after its first run. A hundred sales are not known yet."""
    folder = tmp_path_factory.mktemp("project")
    golden.declare_shop(clone(folder))
    edit(folder / "models" / "shop.yaml", "age: number,", "age: number, sale: carried,")
    edit(folder / "models" / "shop.yaml", "shop/sales.csv}", "shop, reader: 2}")
    edit(folder / "models" / "shop.yaml", "seed: 1}", "seed: 1, key: [sale]}, event: [sale]")
    with (folder / "models" / "shop.yaml").open("a") as file:
        file.write("labels: {key: [sale], learn: true}\n")
    sales()[:300].to_csv(golden.incoming(folder), index=False)
    golden.store(golden._project(folder), "prefect")
    assert answer(folder, "run", "shop")["decision"] == "accepted"
    return folder


def taken(project: Path, found: pd.DataFrame, name: str) -> dict:
    path = project.parent / name
    found[["sale", "bought"]].rename(columns={"bought": "label"}).to_csv(path, index=False)
    return answer(project, "label", "shop", str(path))


def rows(project: Path) -> pd.DataFrame:
    folder = project / "data" / "shop"
    return pd.concat(pq.read_table(folder / f"{name}.parquet").to_pandas().assign(split=name) for name in SPLITS)


def test_answers_are_labelled_corrected_and_learned_once(project, monkeypatch):
    whole = sales()
    sent = whole[250:].drop(columns="bought").astype(object).where(whole[250:].notna(), None)
    with serving(project) as found, httpx.Client(timeout=60) as client:
        said = client.post(f"{found.url}/models/shop/predict", json=sent.to_dict("records")).json()
        assert said["logged"]
        assert taken(project, whole[250:], "labels.csv")["answered"] == 150  # while it answers
    corrected = whole[290:310].assign(bought=whole["bought"][290:310].map(OTHER))
    assert taken(project, corrected, "corrected.csv")["new"] == 20
    assert taken(project, corrected, "again.csv")["new"] == 0
    stranger = taken(project, corrected[:1].assign(sale="unknown"), "stranger.csv")
    assert (stranger["answered"], stranger["never_served"]) == (0, 1)

    before = rows(project).set_index("sale")["split"].to_dict()
    ran = answer(project, "run", "shop")
    assert ran["version"] == 2
    found = rows(project)
    assert len(found) == found["sale"].nunique() == 400
    truth = whole.set_index("sale")["bought"].to_dict() | corrected.set_index("sale")["bought"].to_dict()
    assert found.set_index("sale")["bought"].to_dict() == truth
    now = found.set_index("sale")["split"].to_dict()
    assert {sale: now[sale] for sale in before} == before
    assert answer(project, "run", "shop")["decision"] == "unchanged"

    monkeypatch.chdir(project)
    known = [row for batch in joined(project / ".ratchet", model_file.check("shop")) for row in batch.to_pylist()]
    assert {row["row"]["sale"]: row["label"] for row in known} == {sale: truth[sale] for sale in whole["sale"][250:]}
    assert sum(row["corrections"] for row in known) == 20


def test_a_file_with_a_wrong_row_is_refused_whole(project):
    path = project.parent / "wrong.csv"
    path.write_text("sale,label\ns390,yes\ns391,\n")
    store = project / ".ratchet" / "labels" / "shop"
    before = sorted(store.glob("*.parquet"))
    done = ratchet(project, "label", "shop", str(path))
    assert done.returncode == 1
    assert "row 2 has no label" in done.stderr
    assert sorted(store.glob("*.parquet")) == before
