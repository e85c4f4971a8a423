"""Names from outside: none becomes a path, a query or an option of git's before it is known to be plain."""

import os

import pytest
from typer.testing import CliRunner

from flows.cli.app import app
from flows.compare import compare
from flows.graph import provenance, worktree
from flows.project import environment, locks
from flows.project.environment import Project
from flows.registry import model_registry
from flows.verify import rebuild
from pipelines.config import settings
from pipelines.errors import RequestError
from tests.support.clone import ROOT, command, git

WRONG = ("../../evil", "/etc/passwd", "a/b", "Pets", "-n", "pets\n", "pets'", "ä", "", "model", "x" * 101, "a b", "..")


@pytest.fixture
def project(tmp_path):
    """A folder inside of another one, so that what leads out of it is seen."""
    (tmp_path / "inside" / ".ratchet" / "locks").mkdir(parents=True)
    return Project(tmp_path / "inside", tmp_path / "inside" / ".ratchet", "", "")


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_the_name_of_a_model(name):
    assert not settings.is_name(name)
    with pytest.raises(RequestError, match="cannot be a model's name"):
        settings.check_name(name)


COMMANDS = (
    *("run", "plan", "data", "history", "verify", "rollback", "restore", "prune", "promote", "compare", "predict"),
    *("package", "label", "watch", "serve"),
)
LONGER = [pytest.param(name, marks=pytest.mark.long) for name in ("-n", "")]


@pytest.fixture
def run(world, monkeypatch):
    """A command in this process, in an empty project; gives status, error, and the files it has left."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    git(world.root, "init", "-q")
    before = everything(world.root.parent)

    def invoke(*arguments: str):
        done = CliRunner().invoke(app, list(arguments))
        left = [path for path in everything(world.root.parent) if path not in before and ".ratchet" not in path]
        return done.exit_code, done.stderr, left

    return invoke


@pytest.mark.parametrize("command", [*COMMANDS, "new"])
@pytest.mark.parametrize("name", ["../../evil", *LONGER])
def test_every_command_refuses_such_a_name_and_leaves_nothing(command, name, run):
    more = {
        "promote": ["1", "--reason=x"],
        "compare": ["1", "2"],
        "predict": ["dvc.yaml", "out.csv"],
        "new": ["--data=dvc.yaml"],
        "package": ["folder"],
        "label": ["dvc.yaml"],
    }.get(command, [])
    options = [word for word in more if word.startswith("--")]
    status, said, left = run(command, *options, "--", name, *[word for word in more if word not in options])
    assert (status, "cannot be a model's name" in said, left) == (2, True, [])


@pytest.mark.parametrize("name", ["../../evil", ""])
def test_a_stage_refuses_such_a_name_before_it_looks_for_a_file(name, world):
    done = command(world.root, "pipelines", "ingest", name, PYTHONPATH=str(ROOT))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "cannot be a model's name" in done.stderr


@pytest.mark.parametrize("name", ["../../evil", "model-../../evil", "model-/tmp/x", "", "a.b", "model-a\n"])
def test_a_lock_has_a_plain_name(name, project, tmp_path):
    before = everything(tmp_path)
    with pytest.raises(RequestError, match="cannot be the name of a lock"), locks.hold(project, name, "a test"):
        pass
    assert everything(tmp_path) == before


@pytest.mark.parametrize("trigger", ["page", "command"])
def test_a_flow_parameter_is_checked_before_anything_is_named_after_it(trigger, world, monkeypatch):
    """What somebody posts to Prefect's API, called as a function: a server is not needed to see it refused."""
    from flows.retrain import retrain
    from flows.run import context

    monkeypatch.setattr(os, "environ", os.environ.copy())
    (world.root / ".ratchet" / "ticks").mkdir(parents=True)
    (world.root / ".ratchet" / "locks").mkdir()
    before = everything(world.root.parent)

    began = {"page": retrain.fn, "command": lambda name: context.checked(environment.find(), name)}[trigger]
    with pytest.raises(RequestError, match=r"'\.\./\.\./evil' cannot be a model's name"):
        began("../../evil")
    assert everything(world.root.parent) == before


def test_files_by_other_names_are_no_models(world):
    for name in ("Upper", "with space", "-n", "all"):
        (world.root / "models" / f"{name}.yaml").write_text("format: 1\n")
    assert settings.models() == ["pets"]


def test_a_ref_by_another_name_is_not_counted(project):
    git(project.root, "init", "-q", "-b", "main")
    git(project.root, "commit", "-q", "--allow-empty", "-m", "first")
    git(project.root, "update-ref", "refs/ratchet/pets/7", "HEAD")
    (project.root / "dvc.yaml").write_text("stages: {}\n")
    git(project.root, "update-ref", "refs/ratchet/pets/mine", "HEAD")
    assert provenance.keep(project, "pets", provenance.tree(project))["ratchet.ref"] == "refs/ratchet/pets/8"


@pytest.mark.parametrize("branch", ["-h", "--all", "--upload-pack=touch x", "a b", "a\nb", "$(id)", "main^{tree}"])
def test_a_branch_that_is_an_option_of_gits_is_refused(branch, project, monkeypatch):
    git(project.root, "init", "-q", "-b", "main")
    monkeypatch.setenv("RATCHET_BRANCH", branch)
    with pytest.raises(RequestError, match=r"RATCHET_BRANCH is .* not a branch name"):
        worktree.declared(project)


@pytest.mark.parametrize("commit", ["--orphan", "HEAD", "-", "", "a" * 39])
def test_a_recorded_commit_is_one(commit, project, tmp_path):
    with pytest.raises(RequestError, match=r"ratchet\.commit"):
        rebuild.clone(project, commit, tmp_path / "tree")


class _Asked:
    """A store that must not be asked."""

    def __getattr__(self, name):
        raise AssertionError(f"{name} was asked")


@pytest.mark.parametrize("number", [-1, 0, 2**31, 10**30])
def test_a_version_that_no_registry_has_is_not_asked_for(number):
    assert model_registry.version(_Asked(), "pets", number) is None


@pytest.mark.parametrize("word", ["-1", "1 or 1=1", "٣", "9" * 5000, "1'", ""])
def test_a_version_to_compare_is_a_number(word):
    with pytest.raises(RequestError, match="names no version"):
        compare.resolve(_Asked(), "pets", word)


def test_names_in_the_ledger_that_nobody_of_us_has_written_stop_a_prune(project):
    from sqlalchemy import create_engine, insert

    from flows.prune import prune
    from flows.records import ledger
    from pipelines.errors import IntegrityError

    (project.root / "mlflow").mkdir()
    book = ledger.of(project)
    assert prune._named(book) == []
    line = ledger.Line("pets", 0, "accepted", 1, None, 1, 1, "first")
    book.append(None, line)
    assert prune._named(book) == ["pets"]
    from dataclasses import asdict

    with create_engine(book.url).begin() as connection:
        connection.execute(insert(ledger.LINES).values(**asdict(line) | {"model": "../evil' or '1", "sequence": 1}))
    with pytest.raises(IntegrityError, match=r"lines of \"\.\./evil' or '1\""):
        prune._named(book)
