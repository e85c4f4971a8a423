"""Who is told that a run failed, was rejected or promoted.

Always an event in Prefect, `ratchet.run.<what>`, which automations can act on. RATCHET_WEBHOOK, an address, gets the
same as JSON by POST; RATCHET_HOOK, a command, gets it on its standard input. Both come from the environment alone:
an address is often a secret, and no parameter, log or file of the project holds it. A hook that fails fails no run.
"""

import json
import os
import shlex
import subprocess
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import requests
from prefect.events import emit_event

from flows.project import environment
from flows.project.environment import Project
from pipelines import visible_text

TOLD = {"accepted": "promoted", "rejected": "rejected", "failed": "failed", "refused": "failed"}
PATIENCE = 20  # seconds that a hook may take


def tell(project: Project, content: dict[str, Any], notice: Callable[[str], None]) -> None:
    """content: at least `model`, `outcome` and `reason`. What goes wrong is said to `notice`."""
    what = TOLD.get(content["outcome"])
    if what is None:
        return
    body = {"format": 1, "what": what, **visible_text.every(content)}
    resource = {"prefect.resource.id": f"ratchet.model.{content['model']}", "prefect.resource.name": content["model"]}
    emit_event(f"ratchet.run.{what}", resource=resource, payload=body)
    for name, target in environment.hooks().items():
        try:
            (_post if name == "RATCHET_WEBHOOK" else _run)(project, target, body)
        except Exception as error:  # whatever it is: the run has ended well or badly without it
            notice(f"{name} was not told: {_without(target, str(error))[:300]}")


def _post(project: Project, address: str, body: dict[str, Any]) -> None:
    if urlsplit(address).scheme not in ("http", "https"):
        raise ValueError("it is no http or https address")
    requests.post(address, json=body, timeout=PATIENCE, allow_redirects=False).raise_for_status()


def _run(project: Project, command: str, body: dict[str, Any]) -> None:
    """Without a shell, and without the logins to servers. What it prints is dropped: it may hold anything."""
    done = subprocess.run(
        shlex.split(command),
        input=json.dumps(body).encode(),
        cwd=project.home,
        env={name: value for name, value in os.environ.items() if name not in environment.LOGINS},
        timeout=PATIENCE,
        capture_output=True,
    )
    if done.returncode:
        raise RuntimeError(f"exit status {done.returncode}")


def _without(secret: str, text: str) -> str:
    """An error without the address or command, or the parts of them that libraries put into their messages."""
    address = urlsplit(secret)
    parts = {secret, address.path, address.query, address.netloc, *shlex.split(secret)}
    for part in sorted(parts, key=len, reverse=True):
        text = text.replace(part, "***") if len(part) > 3 else text
    return " ".join(text.split())
