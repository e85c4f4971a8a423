"""Preflight: what a run cannot write is named before any work, and so is a disk without room."""

import json
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from flows.project import preflight
from flows.project.environment import Project
from pipelines.errors import IntegrityError, ShortageError
from tests.support import unprivileged

CHECK = """
import json, os
from pathlib import Path
from flows.project import preflight
from flows.project.environment import Project
project, said = Project(Path.cwd(), Path.cwd() / ".ratchet", "", ""), {}
for name in json.loads(%r):
    path = Path(name)
    mode = path.stat().st_mode
    os.chmod(path, 0o555 if path.is_dir() else 0o444)
    try:
        preflight.check(project, "digits")
    except Exception as error:
        said[name] = str(error)
    os.chmod(path, mode)
preflight.check(project, "digits")
print(json.dumps(said))
"""
FOLDERS = (".", "data/digits", ".dvc/tmp", ".dvc/cache", ".ratchet", ".ratchet/logs", ".ratchet/prefect", "mlflow")
FILES = ("dvc.lock", "mlflow/mlflow.db", "mlflow/ledger.db", ".ratchet/prefect/prefect.db")
MOUNTS = ["unshare", "-rm"]  # a namespace of its own, in which one may mount


def furnished(root) -> Project:
    for name in FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in FILES:
        if name.endswith(".db"):
            with closing(sqlite3.connect(root / name)) as database:
                database.execute("CREATE TABLE experiments (artifact_location)")
        else:
            (root / name).touch()
    return Project(root, root / ".ratchet", "", "")


def test_what_may_not_be_written_is_named_with_what_to_do(tmp_path):
    furnished(tmp_path)
    done = unprivileged.python(CHECK % json.dumps([*FOLDERS, *FILES]), tmp_path)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert list(said) == [*FOLDERS, *FILES]
    for name, words in said.items():
        assert f" may not read or write {(tmp_path / name).resolve()}." in words
        assert "Give this user the right" in words


@pytest.mark.parametrize("name", FOLDERS[1:])
def test_a_file_where_a_folder_is_needed_is_named(tmp_path, name):
    project = furnished(tmp_path)
    shutil.rmtree(tmp_path / name)
    (tmp_path / name).write_text("in the way")
    with pytest.raises(ShortageError, match=rf"^{tmp_path / name} is a file where a folder is needed. Move it away"):
        preflight.check(project, "digits")


def test_what_is_not_there_yet_is_no_obstacle(tmp_path):
    preflight.check(Project(tmp_path, tmp_path / ".ratchet", "", ""), "digits")


def test_a_store_that_names_the_artifacts_of_another_folder_is_told(tmp_path):
    project = furnished(tmp_path)
    with closing(sqlite3.connect(project.mlflow_database)) as database:
        for folder in (tmp_path, "/was/here"):
            preflight.check(project, "digits")
            location = (Path(folder) / "mlflow" / "artifacts" / "digits").as_uri()
            database.execute("INSERT INTO experiments VALUES (?)", [location])
            database.commit()
    with pytest.raises(
        IntegrityError, match=r"moved or copied from /was/here, .* Correct this with `ratchet doctor --fix`"
    ):
        preflight.check(project, "digits")
    with closing(sqlite3.connect(project.mlflow_database)) as database:
        database.execute("BEGIN EXCLUSIVE")
        preflight.check(project, "digits")  # whoever uses it waits


def test_stores_elsewhere_need_no_files_here(tmp_path):
    (tmp_path / "mlflow").write_text("not a folder")
    preflight.check(Project(tmp_path, tmp_path / ".ratchet", "http://a", "", "postgresql://b"), "digits")


def mounted(options: str, where, code: str) -> subprocess.CompletedProcess[str]:
    """Run code in the folder, where mlflow/ is a disk of its own. Skips where this user may not mount."""
    if shutil.which("unshare") is None or subprocess.run([*MOUNTS, "true"], capture_output=True).returncode:
        pytest.skip("this user may not mount: `make faults-root`")
    script = f"mount -t tmpfs -o {options} small {where}/mlflow && exec python -c '{code}'"
    variables = unprivileged.environment(PYTHONPATH=str(unprivileged.ROOT))
    return subprocess.run(
        [*MOUNTS, "sh", "-c", script], cwd=where, env=variables, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("ro", "{0} cannot be written: it or its disk (mounted at {0}) is read-only. Make it writable"),
        ("size=1m", "The disk at {0} is full, or a quota on it is used up (1.0 MB of 1.0 MB free): {0}"),
    ],
)
def test_a_disk_that_is_read_only_or_full_is_named(tmp_path, options, words):
    furnished(tmp_path)
    code = (
        "from flows.project import preflight; from flows.project.environment import Project; from pathlib import Path; "
    )
    code += 'preflight.check(Project(Path.cwd(), Path(".ratchet").absolute(), "", ""), "digits")'
    done = mounted(options, tmp_path, code)
    assert words.format(tmp_path / "mlflow") in done.stderr
