"""prefect.yaml, the models' files and the scheduler say the same."""

import asyncio

import pytest
from ruamel.yaml import YAML

from flows.project import environment
from flows.project.environment import Project
from flows.schedule import serve
from pipelines import model_file
from pipelines.config import settings
from tests.support.world import ROOT

DECLARED = YAML(typ="safe").load((ROOT / "prefect.yaml").read_text())["deployments"]
KEYS = {"cron": "cron", "every_seconds": "interval", "rrule": "rrule"}


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_it_has_one_deployment_for_each_model_that_comes_with_the_project():
    names = [entry["name"] for entry in DECLARED]
    assert len(set(names)) == len(names)
    assert {"breast_cancer", "diabetes", "digits"} <= set(names) <= set(settings.models())


@pytest.mark.parametrize("entry", DECLARED, ids=lambda entry: entry["name"])
def test_a_deployment_is_the_one_that_the_scheduler_serves(entry):
    rules = model_file.check(entry["name"]).schedule
    served = asyncio.run(serve.deployment(Project(ROOT, ROOT, "", ""), entry["name"], rules))
    assert entry["entrypoint"].replace("/", ".").replace(".py:", ".") == served.entrypoint
    assert entry["parameters"] == served.parameters
    (given,), (kept,) = entry["schedules"], served.schedules
    rhythm = kept.schedule
    assert given == {name: getattr(rhythm, name) for name in given}
    assert set(given) - {"timezone"} == {KEYS[name] for name in KEYS if getattr(rules, name)}
    (trigger,), (event,) = entry["triggers"], served.triggers
    assert set(trigger["expect"]) == event.expect
    assert trigger["match"] == event.match.model_dump()
    assert trigger["parameters"] == event.parameters


def test_a_worker_is_as_quiet_as_everything_else():
    for entry in DECLARED:
        assert entry["work_pool"]["job_variables"]["env"] == environment.QUIET


def test_the_form_has_no_hyperparameters():
    form = serve.retrain.parameters.properties
    assert set(form) == {"model", "force", "reason"}
    assert {name: form[name]["type"] for name in form} == {"model": "string", "force": "boolean", "reason": "string"}
    assert all(form[name]["description"] for name in form)
