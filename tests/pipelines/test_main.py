"""python -m pipelines: the exit status, one paragraph, the log of the flow, and the end with the run."""

import json
import os
import subprocess
import sys

import pytest

from flows.project import environment
from pipelines.__main__ import SECRETS
from pipelines.config.stages import STAGES
from tests.support.world import PATIENCE, ROOT, pets


def test_a_stage_that_works_says_nothing_and_exits_zero(world):
    world.pin(pets())
    done = world.command("ingest")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (world.root / "data/pets/raw.parquet").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["ingst", "pets"], 2, "There is no stage 'ingst' (did you mean 'ingest'?)"),
        (["ingest"], 2, "Run a stage with: python -m pipelines STAGE MODEL"),
        (["ingest", "pest"], 2, "There is no model 'pest': models/pest.yaml does not exist. Did you mean 'pets'?"),
        (["ingest", "../pets"], 2, "'../pets' cannot be a model's name"),
        (["ingest", "pets"], 1, "data/pets/pin.json is missing: the data are not pinned yet"),
        (["clean", "pets"], 1, "data/pets/raw.parquet is missing. Run `ratchet run` or `dvc repro` to make it"),
    ],
)
def test_what_cannot_be_done_is_one_paragraph_and_a_status(world, arguments, status, message):
    done = subprocess.run([sys.executable, "-m", "pipelines", *arguments], capture_output=True, text=True, env=env())
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith(f"error: {message}")
    assert done.stderr.count("\n") == 1


def env(**more: str) -> dict[str, str]:
    return dict(os.environ) | {"PYTHONPATH": str(ROOT)} | more


def test_the_whole_declaration_is_checked_before_a_stage_runs(world):
    world.pin(pets())
    world.declare(train={"epoch": 3})
    done = world.command("ingest")
    assert done.returncode == 2
    assert "train.epoch: unknown key (did you mean 'epochs'?)" in done.stderr
    assert not (world.root / "data/pets/raw.parquet").exists()


def test_a_rule_that_stops_exits_one(world):
    world.pin(pets())
    rule = {"rule": "expect_column_max_to_be_between", "column": "weight", "max_value": 1}
    world.declare(validate={"rules": [rule]})
    world.run("ingest")
    done = world.command("validate")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: The raw data of data/pets break the rules of models/pets.yaml: column")
    assert done.stderr.count("\n") == 1


def test_a_traceback_is_shown_when_it_is_asked_for(world):
    assert "Traceback" not in world.command("ingest").stderr
    assert "Traceback" in world.command("ingest", RATCHET_DEBUG="1").stderr


def test_a_file_that_cannot_be_written_is_told_without_a_traceback(world):
    world.pin(pets())
    (world.root / "data/pets/raw.parquet").mkdir()
    done = world.command("ingest")
    assert done.returncode == 1
    assert done.stderr.startswith("error: Is a directory: data/pets/")
    assert done.stderr.count("\n") == 1


def test_what_was_not_foreseen_is_one_paragraph_too(world):
    world.pin(pets())
    world.run("ingest")
    code = "import sys, pipelines.clean as c; c.run = lambda model: 1 / 0\n"
    code += "from pipelines.__main__ import main; sys.exit(main(['clean', 'pets']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env())
    assert done.returncode == 1
    assert done.stderr.startswith("error: ZeroDivisionError: division by zero. This is a bug: put RATCHET_DEBUG=1")
    assert done.stderr.count("\n") == 1


def test_under_the_flow_output_goes_to_the_log_and_the_paragraph_beside_it(world):
    log = world.root / "stage.log"
    done = world.command("ingest", RATCHET_STAGE_LOG=str(log))
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    kind, _, paragraph = (world.root / "stage.log.error").read_text().partition("\n")
    assert kind == "DataError"
    assert paragraph.startswith("data/pets/pin.json is missing")
    assert log.read_text() == f"error: {paragraph}\n"


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_a_module_with_a_docstring_that_says_its_command(stage):
    text = (ROOT / "pipelines" / f"{stage}.py").read_text()
    assert f"python -m pipelines {stage} digits" in text.split('"""')[1]


def test_a_stage_ends_when_the_run_lets_go_of_its_lifeline(world):
    """The stage is held at its first read, a pipe in place of the pin, when the lifeline closes."""
    pipe = world.root / "lifeline"
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDWR)
    (world.root / "data/pets").mkdir(parents=True)
    os.mkfifo(world.root / "data/pets/pin.json")
    command = [sys.executable, "-m", "pipelines", "ingest", "pets"]
    stage = subprocess.Popen(command, env=env(RATCHET_LIFELINE=str(pipe)))
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            stage.wait(timeout=4)
        os.close(held)
        assert stage.wait(timeout=PATIENCE) == 1
    finally:
        stage.kill()
        stage.wait()


def test_a_models_own_code_sees_no_login(world):
    """It belongs to whoever wrote the model; the logins belong to whoever runs it."""
    world.pin(pets())
    world.run("ingest", "validate")
    (world.root / "models/pets.py").write_text(
        "import json, os, pathlib\n\n\ndef clean(table):\n"
        "    pathlib.Path('seen.json').write_text(json.dumps(dict(os.environ)))\n    return table\n"
    )
    given = dict.fromkeys(SECRETS, "planted-secret") | {"HARMLESS": "kept"}
    done = subprocess.run(
        [sys.executable, "-m", "pipelines", "clean", "pets"], capture_output=True, text=True, env=env(**given)
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads((world.root / "seen.json").read_text())
    assert seen["HARMLESS"] == "kept"
    assert "planted-secret" not in seen.values()


def test_the_logins_of_every_server_are_among_the_variables_that_no_stage_sees():
    assert {name for name in environment.LOGINS if "ENDPOINT" not in name} <= set(SECRETS)
