"""A copy of this repository in a temporary folder, and the commands a person would type there."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import requests
from typer.testing import CliRunner

ROOT = Path(__file__).parents[2]
FOREIGN = ("PREFECT_", "MLFLOW_", "RATCHET_", "DVC_", "GIT_")


def environment(**more: str) -> dict[str, str]:
    """This process's variables without those that name somebody's servers, and with this interpreter first on PATH."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
    path = os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]])
    return kept | {"PATH": path, "PYTHONPATH": "", "COLUMNS": "120"} | more


def files() -> list[str]:
    """Those of this repository that git would take."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def clone(target: Path) -> Path:
    """The files that git would take, committed in a repository of their own."""
    for name in files():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target / name)
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "a copy"]):
        git(target, *command)
    return target


def clone_of_one(target: Path, model: str, declared: str) -> Path:
    """The same with one model instead of those that come with it, not committed. declared: its YAML."""
    clone(target)
    edit(target / "dvc.yaml", "[digits, breast_cancer, diabetes]", f"[{model}]")
    for path in (target / "models").iterdir():
        path.unlink()
    (target / "models" / f"{model}.yaml").write_text(declared)
    (target / "models" / f"{model}.py").write_text('"""No code of its own."""\n')
    return target


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def command(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m <arguments>` in a clone."""
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=folder, env=environment(**more), capture_output=True, text=True
    )


def ratchet(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return command(folder, "flows.cli", *arguments, **more)


def called(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What `ratchet` says in a clone, called in this process: for a command that only looks, or that is refused."""
    from flows.cli.app import app

    before, clean = dict(os.environ), environment()
    try:
        os.environ.clear()
        os.environ.update(clean)
        with contextlib.chdir(folder):
            done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    finally:
        os.environ.clear()
        os.environ.update(before)
    return subprocess.CompletedProcess(list(arguments), done.exit_code, done.stdout, done.stderr)


def answer(folder: Path, *arguments: str, **more: str) -> dict[str, Any]:
    """The JSON object of a command that must succeed."""
    done = ratchet(folder, *arguments, "--json", **more)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def edit(path: Path, old: str, new: str) -> None:
    """Replace a text that must be there."""
    content = path.read_text(encoding="utf-8")
    assert old in content, f"{path} does not hold {old!r}"
    path.write_text(content.replace(old, new), encoding="utf-8")


def prefect(folder: Path, path: str, method: str = "POST", content: Any = None) -> requests.Response:
    """What the Prefect server that is up in a clone answers to somebody who has its login."""
    servers = json.loads((folder / ".ratchet" / "servers.json").read_text())["servers"]
    url = next(server["url"] for server in servers if server["name"] == "prefect")
    login = tuple((folder / ".ratchet" / "prefect-login").read_text().split(":"))
    return requests.request(method, f"{url}/api/{path}", json=content, auth=login, timeout=30)
