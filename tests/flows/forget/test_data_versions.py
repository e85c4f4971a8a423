"""Versions of the data: files of DVC's cache with a person's rows go, but for those that are another model's alone."""

import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest

from flows.data import pin_file, unpinned
from flows.data.arrivals import arrival_order, scan
from flows.forget import source_rows
from flows.forget.places import data_versions
from flows.forget.traces import Traces
from tests.flows.forget.conftest import HEADER, arrive, declare
from tests.support.clone import git

ID = "a" * 32
TRACES = Traces({ID, "maria-of-oslo"})


@pytest.fixture
def cache(world) -> Path:
    from dvc.repo import Repo

    git(world.root, "init", "-q", "-b", "main")
    with Repo.init(str(world.root)):
        pass
    return world.root / ".dvc" / "cache"


def put(cache: Path, content: bytes, ending: str = "") -> str:
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest() + ending
    path = cache / "files" / "md5" / digest[:2] / digest[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return digest


def lock(world, **outputs: str) -> None:
    """dvc.lock with one stage for each model."""
    lines = "".join(f"  train@{model}:\n    outs:\n    - path: x\n      md5: {md5}\n" for model, md5 in outputs.items())
    (world.root / "dvc.lock").write_text(f"schema: '2.0'\nstages:\n{lines}")


def remove(world, declared, last=()) -> list[str]:
    found, _ = data_versions.look(world, declared, TRACES, list(last))
    for one in found:
        one.do()
    return [one.what for one in found]


def there(cache: Path, digest: str) -> bool:
    return (cache / "files" / "md5" / digest[:2] / digest[2:]).exists()


def test_files_with_rows_go_and_their_earlier_runs(world, declared, cache, tmp_path):
    rows = tmp_path / "rows.parquet"
    pd.DataFrame({"row_id": [ID, "b" * 32], "x": [1, 2]}).to_parquet(rows)
    gone, kept = put(cache, rows.read_bytes()), put(cache, b"nobody")
    run = cache / "runs" / "ab" / ("ab" * 32) / ("cd" * 32)
    run.parent.mkdir(parents=True)
    run.write_text(f"outs:\n- path: x\n  md5: {gone}\n")
    found, hashes = data_versions.look(world, declared, TRACES, [])
    assert [(one.place, one.rows) for one in found] == [("versions of the data", 1)]
    assert hashes == {gone}
    found[0].do()
    assert not there(cache, gone)
    assert not run.parent.exists()
    assert there(cache, kept)


def test_explanations_go_as_a_whole_because_their_pictures_show_what_is_found_beside_them(world, declared, cache):
    def put_folder(about: bytes) -> dict[str, str]:
        files = {"explanations.json": about, "saliency.png": b"PNG " + about[::-1]}
        found = {name: put(cache, content) for name, content in files.items()}
        listed = [{"md5": digest, "relpath": name} for name, digest in found.items()]
        return found | {"": put(cache, json.dumps(listed).encode(), ".dir")}

    gone, kept = put_folder(json.dumps({"row_ids": [ID]}).encode()), put_folder(b"{}")
    working = world.root / "data" / "people" / "explanations"
    working.mkdir(parents=True)
    (working / "explanations.json").write_text(ID)
    (working / "saliency.png").write_bytes(b"a picture")
    remove(world, declared)
    assert not any(there(cache, gone[name]) for name in ("explanations.json", "saliency.png"))
    assert all(there(cache, digest) for digest in kept.values())
    assert list(working.iterdir()) == []


def test_what_only_another_model_names_is_left(world, declared, cache):
    theirs, shared, ours = (put(cache, f"maria-of-oslo {number}".encode()) for number in range(3))
    folder = put(cache, json.dumps([{"md5": theirs, "relpath": "x"}]).encode(), ".dir")
    lock(world, others=folder, people=ours)
    (world.root / "data" / "others").mkdir()
    (world.root / "data" / "others" / "source.dvc").write_text(f"outs:\n- md5: {shared}\n  path: source\n")
    (world.root / "data" / "people").mkdir()
    (world.root / "data" / "people" / "source.dvc").write_text(f"outs:\n- md5: {shared}\n  path: source\n")
    remove(world, declared)
    assert [there(cache, one) for one in (theirs, shared, ours)] == [True, False, False]


def test_rows_are_found_by_raw_files_so_these_go_last(world, declared, cache):
    raw = world.root / "data" / "people" / "raw.parquet"
    raw.parent.mkdir()
    pd.DataFrame({"row_id": [ID]}).to_parquet(raw)
    put(cache, b"maria-of-oslo")
    (raw.parent / "zebra.json").write_text('"maria-of-oslo"')
    assert remove(world, declared, [raw])[-1] == "data/people/raw.parquet"
    assert [path.name for path in raw.parent.iterdir()] == []


def test_remotes_are_known_by_name(world, cache):
    from dvc.config import Config

    with Config(str(world.root / ".dvc")).edit("repo") as changed:
        changed["remote"] = {"store": {"url": "/nowhere"}}
    assert data_versions.remotes(world) == ["store"]


def test_the_next_pin_goes_on_where_the_last_one_ended(world, cache):
    declared = declare(clean={"event": ["person"]})
    (world.root / "models").mkdir()
    (world.root / "models" / "people.yaml").write_text(json.dumps(declared.raw))
    for name in ("a.csv", "b.csv", "c.csv"):
        arrive(world, name, f"{HEADER}\nbob,{ord(name[0])},30,x,yes\n")
    found = scan.read(world, declared, source_rows.folder(world, declared), source_rows.files(world, declared))
    edges = {"column": "day", "validation": "x", "test": "y"}
    pin = world.root / "data" / "people" / "pin.json"
    pin.parent.mkdir()
    entries = [one.entry() for one in (found[1], found[0])]
    pin.write_text(json.dumps({"format": 1, "source": "x", "kind": "files", "files": entries, "edges": edges}))
    data_versions.unpin(world, "people")
    assert not pin.exists()
    order = arrival_order.of(declared, None, found, unpinned.files(world, "people"))
    assert [one.name for one in order] == ["b.csv", "a.csv", "c.csv"]
    pin_file.write(world, "people", pin_file.of_files(declared, order))
    assert json.loads(pin.read_text())["edges"] == edges
