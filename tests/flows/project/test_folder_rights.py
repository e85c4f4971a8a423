"""Rights of folders: what a clone keeps is open to its owner alone; a second Unix user is let in nowhere."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from flows.project import databases, environment, folder_rights
from flows.project.environment import Project
from flows.records import ledger
from pipelines.errors import RequestError
from tests.support.clone import ROOT
from tests.support.clone import environment as variables

LOOK = """
import os, sys
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
found = []
for folder, folders, names in os.walk(sys.argv[1], onerror=lambda error: None):
    for name in names:
        try:
            with open(os.path.join(folder, name), "rb"):
                found.append(os.path.relpath(os.path.join(folder, name), sys.argv[1]))
        except OSError:
            pass
print("\\n".join(sorted(found)))
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def open_folder():
    """A folder that every user can enter, and an umask that lets all be read."""
    before = os.umask(0o022)
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    os.umask(before)
    shutil.rmtree(folder)


@pytest.fixture
def kept(open_folder) -> Project:
    """A project with all that a clone keeps, as an older Ratchet has left it."""
    for name in (".ratchet/prefect", ".ratchet/logs", ".ratchet/dvc", "mlflow/artifacts/1", ".dvc/cache/files",
                 "models", "data/pets/source", "data/incoming/pets"):  # fmt: skip
        (open_folder / name).mkdir(parents=True)
    for name in (".ratchet/prefect/prefect.db", ".ratchet/prefect/prefect.db-wal", ".ratchet/servers.json",
                 ".ratchet/logs/x", "mlflow/mlflow.db", "mlflow/ledger.db", "mlflow/artifacts/1/model", "dvc.yaml",
                 ".dvc/cache/files/x", "data/pets/raw.parquet", "data/pets/source/rows.csv", "data/incoming/pets/a.csv",
                 "models/pets.yaml"):  # fmt: skip
        (open_folder / name).write_text("x")
    return Project(open_folder, open_folder / ".ratchet", "", "")


def seen(folder: Path) -> list[str]:
    """What another user can read below a folder."""
    if os.geteuid():
        pytest.skip("only root can look with the eyes of another user")
    done = subprocess.run([sys.executable, "-c", LOOK, str(folder)], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_another_user_sees_the_project_and_nothing_that_is_kept(kept):
    assert len(seen(kept.root)) == 13  # it can look, before
    folder_rights.close(kept)
    assert seen(kept.root) == ["data/incoming/pets/a.csv", "dvc.yaml", "models/pets.yaml"]
    assert folder_rights.opened(kept) == []


def test_folders_are_closed_and_databases_besides(kept):
    folder_rights.close(kept)
    for folder in (".ratchet", "mlflow", ".dvc/cache", ".dvc/tmp", "data/pets"):
        assert mode(kept.root / folder) == 0o700, folder
    for name in (
        "mlflow/mlflow.db",
        "mlflow/ledger.db",
        ".ratchet/prefect/prefect.db",
        ".ratchet/prefect/prefect.db-wal",
    ):
        assert mode(kept.root / name) == 0o600, name
    assert mode(kept.root / "data" / "incoming") == mode(kept.root) == 0o755


def test_a_command_closes_them_and_shared_leaves_them(kept):
    code = "from flows.project import environment; environment.prepare()"
    for more, expected in (({"RATCHET_SHARED": "1"}, 0o755), ({}, 0o700)):
        about = variables(PYTHONPATH=str(ROOT), **more)
        subprocess.run([sys.executable, "-c", code], cwd=kept.root, env=about, check=True)
        assert mode(kept.root / "mlflow") == expected
    assert mode(kept.root / ".ratchet") == 0o700


def test_what_is_made_later_by_any_process_is_closed_too(kept):
    """By MLflow's own store, and by the ledger, under an umask that lets all be read."""
    shutil.rmtree(kept.root / "mlflow")
    (kept.root / "mlflow").mkdir()
    folder_rights.close(kept)
    databases.ensure_mlflow(kept)
    ledger.of(kept).append(None, ledger.Line("pets", 0, "accepted", 1, None, 1, 1, "first"))
    (kept.mlflow_artifacts / "7").mkdir()
    (kept.mlflow_artifacts / "7" / "model").write_text("x")
    assert not [name for name in seen(kept.root) if name.startswith("mlflow")]


def test_the_state_folder_may_be_anywhere_but_not_among_other_things(kept, open_folder, monkeypatch):
    (place := open_folder / "elsewhere").mkdir()
    project = Project(kept.root, place, "", "")
    folder_rights.close(project)
    assert mode(place) == 0o700  # it was empty
    place.chmod(0o755)
    (place / "letter").touch()
    with pytest.raises(RequestError, match="which other users can open and which holds other files"):
        folder_rights.close(project)
    assert mode(place) == 0o755
    (place / "locks").mkdir()  # an older Ratchet's
    folder_rights.close(project)
    assert mode(place) == 0o700


def test_doctor_names_what_is_open(kept, monkeypatch):
    from flows.inspect import doctor

    monkeypatch.delenv("RATCHET_SHARED", raising=False)
    folder_rights.close(kept)
    assert [check.ok for check in doctor._rights(kept)] == [True]
    (kept.root / "mlflow").chmod(0o755)
    (found,) = doctor._rights(kept)
    assert (found.ok, "mlflow" in found.found) == (False, True)
    monkeypatch.setenv("RATCHET_SHARED", "1")
    assert [check.ok for check in doctor._rights(kept)] == [True]


def test_links_and_other_owners_are_left_alone(kept, open_folder):
    (outside := open_folder / "outside").mkdir()
    (kept.root / "data" / "linked").symlink_to(outside)
    folder_rights.close(kept)
    assert mode(outside) == 0o755
    assert environment.shared() is False
