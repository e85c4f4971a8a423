"""Hooks: RATCHET_WEBHOOK, an address, gets a body as JSON by POST; RATCHET_HOOK, a command, gets it on standard input.

Both come only from the environment: an address is often a secret, so no parameter, log or file of the project holds it.
"""

import json
import os
import shlex
import subprocess
from typing import Any
from urllib.parse import urlsplit

import requests

from flows.project import environment
from flows.project.environment import Project

PATIENCE = 20  # seconds that a hook may take


def send(project: Project, name: str, target: str, body: dict[str, Any]) -> str:
    """Give it the body. Returns why that failed, without the address, or "". name, target: of `environment.hooks`."""
    try:
        (_post if name == "RATCHET_WEBHOOK" else _run)(project, target, body)
    except Exception as error:  # any error: what is told does not depend on who hears it
        return f"{name} failed: {_without(target, str(error))[:300]}"
    return ""


def _post(project: Project, address: str, body: dict[str, Any]) -> None:
    if urlsplit(address).scheme not in ("http", "https"):
        raise ValueError("it is not an http or https address")
    requests.post(address, json=body, timeout=PATIENCE, allow_redirects=False).raise_for_status()


def _run(project: Project, command: str, body: dict[str, Any]) -> None:
    """Run it without a shell and without the logins to servers. Its output is dropped, because it may be anything."""
    done = subprocess.run(
        shlex.split(command),
        input=json.dumps(body).encode(),
        cwd=project.home,
        env={name: value for name, value in os.environ.items() if name not in environment.SECRETS},
        timeout=PATIENCE,
        capture_output=True,
    )
    if done.returncode:
        raise RuntimeError(f"exit status {done.returncode}")


def _without(secret: str, text: str) -> str:
    """An error text without the address or command, or parts of them that libraries quote."""
    address = urlsplit(secret)
    parts = {secret, address.path, address.query, address.netloc, *shlex.split(secret)}
    for part in sorted(parts, key=len, reverse=True):
        text = text.replace(part, "***") if len(part) > 3 else text
    return " ".join(text.split())
