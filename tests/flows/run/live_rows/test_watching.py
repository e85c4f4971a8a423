"""A scheduled run looks at live rows first, in a process of its own, and goes on whatever becomes of that."""

from datetime import UTC, datetime, timedelta

import pytest
from prefect import flow
from prefect.testing import utilities

from flows.monitoring import last
from flows.project import environment
from flows.run.context import RunContext
from flows.run.live_rows import watching
from flows.run.trigger import RunRequest
from pipelines import model_file
from tests.support import golden
from tests.support.served import championed, labelled
from tests.support.world import ROOT, World

NOW = datetime.now(UTC)


class Shown:
    """What a person sees."""

    def __init__(self):
        self.steps, self.notices = [], []

    def begin(self, name):
        pass

    def end(self, name, state, seconds, note):
        self.steps.append((name, state, note))

    def notice(self, text):
        self.notices.append(text)


@pytest.fixture(scope="module")
def prefect(tmp_path_factory):
    """Prefect's own server for tests, whose database is migrated already."""
    folder = tmp_path_factory.mktemp("prefect")
    golden.database("prefect", folder / "prefect-test.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utilities, "mkdtemp", lambda: str(folder))
        with utilities.prefect_test_harness(server_startup_timeout=120):
            yield


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Of a tick; the model `shop` has a champion, version 7."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("RATCHET_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.db")
    World(tmp_path).declare("shop")
    project = environment.find()
    (project.state / "locks").mkdir(parents=True)
    championed.crowned(project)
    declared = model_file.check("shop")
    championed.promise(project, declared)
    made = RunContext(project, declared, RunRequest("schedule", False), Shown(), None, None, None)
    labelled.log(project.state, {"a": {"age": 3}}, NOW - timedelta(days=1))
    return made


def looked(run):
    """After the look of a run."""
    flow(lambda: watching.look(run), name="retrain")()
    return run.shown


@pytest.mark.usefixtures("prefect")
def test_a_tick_watches_and_tells_prefect_and_soon_after_does_not(run, monkeypatch):
    told = []
    monkeypatch.setattr(watching, "emit_event", lambda event, **about: told.append((event, about["payload"])))
    names = [f"row {place}" for place in range(60)]
    labelled.log(run.project.state, {name: {"age": 3} for name in names}, NOW - timedelta(days=40))
    given = [{"id": name, "label": "cat"} for name in names]
    labelled.label(run.project.state, run.declared, given, NOW - timedelta(days=39))
    (step,) = looked(run).steps
    assert step[:2] == ("watch", "Watched")
    assert "no label has come for 39 days" in step[2]
    ((name, body),) = told
    assert (name, body["events"][0]["kind"]) == ("ratchet.watch.noticed", "labels")
    assert last.of(run.project, "shop").problems == []
    assert looked(run).steps[1] == ("watch", "Unchanged", "it was watched a few minutes ago")
    assert (len(told), run.shown.notices) == (1, [])


@pytest.mark.usefixtures("prefect")
def test_a_watch_that_fails_is_told_and_stops_nothing(run):
    (run.project.root / "models" / "shop.yaml").write_text("data: {")
    shown = looked(run)
    assert shown.steps[0][:2] == ("watch", "Failed")
    (notice,) = shown.notices
    assert "The live rows cannot be watched" in notice
    assert last.of(run.project, "shop").problems


def test_without_answers_and_by_hand_nothing_is_looked_at(run, tmp_path):
    watching.look(RunContext(run.project, run.declared, RunRequest(), run.shown, None, None, None))
    other = environment.Project(tmp_path, tmp_path / "other", "", "")
    watching.look(RunContext(other, run.declared, run.request, run.shown, None, None, None))
    assert run.shown.steps == []
