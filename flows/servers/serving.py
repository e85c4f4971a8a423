"""The answering server of a project: python -m flows.servers.serving [--option=VALUE ...], as flows.serving has them

It starts what makes promotions of other machines live here (flows/deployment), and becomes `python -m flows.serving`,
which imports none of this. Without a model it serves all.
"""

import os
import subprocess
import sys
from collections.abc import Sequence

from flows.project import environment
from flows.project.environment import Project
from pipelines.config import settings
from pipelines.errors import RatchetError

LIVE = "live.json"  # of a model that was made live on this machine (flows/deployment)


def become(project: Project, models: Sequence[str], words: Sequence[str], wait: bool = True) -> None:
    """Become the answering server; does not return. words: more options of `python -m flows.serving`.

    wait: make first what was never made live on this machine. What is only older than the ledger is made beside the
    answers. Raises RequestError for a model that there is not.
    """
    for model in models:
        settings.read(model)
    missing = not_live(project, models or settings.models()) if wait else []
    if missing:
        # it says itself what is wrong, and the server says it again to whoever asks
        subprocess.run(_deployment("ensure", *missing), stdin=subprocess.DEVNULL, stdout=sys.stderr)
    # it ends with this process, also when that has become another program
    following = _deployment("follow", f"--parent={os.getpid()}", *models)
    subprocess.Popen(following, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    command = [sys.executable, "-m", "flows.serving", str(project.state), *models, *words]
    sys.stdout.flush()
    os.execv(sys.executable, command)  # noqa: S606 (no shell, our own module)


def not_live(project: Project, models: Sequence[str]) -> list[str]:
    """The models of which nothing was ever made live on this machine."""
    return [model for model in models if not (project.state / "serving" / model / LIVE).is_file()]


def _deployment(*words: str) -> list[str]:
    return [sys.executable, "-m", "flows.deployment", *words]


def main(words: list[str]) -> int:
    try:
        become(environment.prepare(), [], words, wait=False)
    except RatchetError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return error.status
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
