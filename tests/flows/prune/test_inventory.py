"""Inventory: which runs a version needs, and which data they name, in a real MLflow store."""

from pathlib import Path

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from flows.prune import inventory
from flows.prune.inventory import PRUNED, Inventory
from pipelines.errors import IntegrityError

DIGESTS = [letter * 32 for letter in "abcdef"]


class World:
    """A store with runs that have made, and versions that were made."""

    def __init__(self, store: MlflowClient, prefix: str, folder: Path):
        self.store, self.prefix, self.folder = store, prefix, folder

    def run(self, model: str, model_hash: str, digest: str = "", published: str = "true", **tags: str) -> str:
        """A run with a record that names one hash of DVC's; "" for a run without a record."""
        found = self.store.get_experiment_by_name(self.name(model))
        location = (self.folder / model).as_uri()
        experiment = found.experiment_id if found else self.store.create_experiment(self.name(model), location)
        own = {"ratchet.published": published, "ratchet.model_hash": model_hash}
        run_id = self.store.create_run(experiment, tags=own | tags).info.run_id
        if digest:
            self.store.log_text(run_id, f"stages: {{a: {{outs: [{{md5: {digest}}}]}}}}", "definition/dvc.lock")
        self.store.set_terminated(run_id)
        return run_id

    def version(self, model: str, run_id: str, model_hash: str) -> int:
        if not self.store.search_registered_models(f"name = '{self.name(model)}'"):
            self.store.create_registered_model(self.name(model))
        tags = {"ratchet.model_hash": model_hash}
        return int(self.store.create_model_version(self.name(model), str(self.folder), run_id, tags=tags).version)

    def name(self, model: str) -> str:
        return f"{self.prefix}_{model}"

    def read(self) -> Inventory:
        """Without what other tests have put into the store."""
        found = inventory.read(self.store, [self.name("pets")])
        ours = [{name: of[name] for name in of if name.startswith(self.prefix)} for of in (found.versions, found.runs)]
        return Inventory(*ours)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> MlflowClient:
    folder = tmp_path_factory.mktemp("inventory")
    uri = f"sqlite:///{folder}/mlflow.db"
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    return MlflowClient(uri, uri)


@pytest.fixture
def world(store, tmp_path) -> World:
    return World(store, tmp_path.name, tmp_path)


def test_all_runs_that_made_the_same_model_go_with_its_version(world):
    first, other = world.run("pets", "one", DIGESTS[0]), world.run("pets", "one", DIGESTS[1])
    stays = world.run("pets", "two", DIGESTS[2])
    number = world.version("pets", first, "one")
    world.version("pets", stays, "two")
    found = world.read()
    makers = found.makers(world.name("pets"), number)
    assert makers == sorted([first, other])
    parted = found.part(world.name("pets"), {number}, makers)
    assert {run.info.run_id for run in parted.dropped} == {first, other}
    assert inventory.outputs(world.store, parted.dropped) == set(DIGESTS[:2])
    assert DIGESTS[2] in inventory.needs(world.store, parted)
    assert not set(DIGESTS[:2]) & inventory.needs(world.store, parted)


def test_a_run_stays_if_a_version_of_another_number_or_model_needs_it(world):
    run_id = world.run("pets", "one", DIGESTS[0])
    first, second = world.version("pets", run_id, "one"), world.version("pets", run_id, "one")
    elsewhere = world.run("others", "three", DIGESTS[3])
    world.version("others", elsewhere, "three")
    found, name = world.read(), world.name("pets")
    parted = found.part(name, {first}, [run_id, elsewhere])
    assert parted.dropped == []
    assert {run_id, elsewhere} <= parted.required
    assert [run.info.run_id for run in found.part(name, {first, second}, [run_id]).dropped] == [run_id]


def test_a_run_stays_if_a_version_that_stays_is_the_same_model(world):
    first, second = world.run("pets", "one"), world.run("pets", "one")
    number = world.version("pets", first, "one")
    world.version("pets", second, "one")
    assert world.read().part(world.name("pets"), {number}, [first, second]).dropped == []


@pytest.mark.parametrize("tags", [{"ratchet.published": "false"}, {"ratchet.published": "true"}])
def test_a_version_is_unfinished_while_any_run_that_made_it_is(world, tags):
    done = world.run("pets", "one")
    left = world.run("pets", "one", published=tags["ratchet.published"])
    if tags["ratchet.published"] == "true":
        world.store.update_run(left, status="RUNNING")
    number = world.version("pets", done, "one")
    assert world.read().unfinished(world.name("pets")) == {number}


def test_a_version_that_no_run_of_ours_made_is_unfinished(world):
    number = world.version("pets", "0" * 32, "one")
    assert world.read().unfinished(world.name("pets")) == {number}


def test_a_run_without_a_version_keeps_its_data_until_it_is_tagged(world):
    killed = world.run("pets", "one", DIGESTS[0], published="false")
    pruned = world.run("pets", "two", DIGESTS[1], **{PRUNED: "2026-11-01"})
    deleted = world.run("pets", "three", DIGESTS[2])
    world.store.delete_run(deleted)
    parted = world.read().part(world.name("pets"), set(), [])
    assert {killed, deleted} <= {run.info.run_id for run in parted.kept}
    assert pruned not in {run.info.run_id for run in parted.kept + parted.dropped}
    assert {DIGESTS[0], DIGESTS[2]} <= inventory.needs(world.store, parted)


def test_a_tagged_run_whose_model_came_back_keeps_its_data(world):
    run_id = world.run("pets", "one", DIGESTS[0], **{PRUNED: "2026-11-01"})
    world.version("pets", run_id, "one")
    parted = world.read().part(world.name("pets"), set(), [run_id])
    assert run_id in {run.info.run_id for run in parted.kept}


def test_a_version_that_stays_without_a_record_is_an_error(world):
    run_id = world.run("pets", "one")
    world.version("pets", run_id, "one")
    parted = world.read().part(world.name("pets"), set(), [])
    with pytest.raises(IntegrityError, match=rf"The run {run_id} .* has no definition/dvc.lock .* Nothing was deleted"):
        inventory.needs(world.store, parted)


def test_every_page_of_a_search_is_read():
    class Page(list[int]):
        token: str | None = None

    def search(page_token: str | None) -> Page:
        start = int(page_token or 0)
        page = Page(range(start, start + 3))
        page.token = str(start + 3) if start < 6 else None
        return page

    assert list(inventory._all(search)) == list(range(9))
