"""Where a run comes from: the git commit, and whether code or settings differ from it."""

import getpass
import subprocess

from flows.environment import Project

DEFINING = ("pipelines", "flows", "models", "data", "dvc.yaml", "requirements.lock", "pyproject.toml")


def commit(project: Project) -> dict[str, str]:
    """As MLflow tags; {} outside of git."""
    head = _git(project, "rev-parse", "HEAD")
    if not head:
        return {}
    return {
        "mlflow.source.name": "ratchet run",
        "mlflow.source.git.commit": head,
        "mlflow.source.git.branch": _git(project, "rev-parse", "--abbrev-ref", "HEAD"),
        "mlflow.user": getpass.getuser(),
        "ratchet.dirty": "true" if _git(project, "status", "--porcelain", "--", *DEFINING) else "false",
    }


def _git(project: Project, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=project.root, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
