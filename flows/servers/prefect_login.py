"""The login of Prefect's server: a secret of this clone, in a file that only its user can read.

The secret lets its owner use Prefect's API and pages as this user. It is in that file, in the memory of the server, of
commands and of the scheduler, and in the environment of a scheduled run's process. It is never in the environment of a
stage, of a model's own code or of a hook, on a command line, in a log or in a parameter. A team's Prefect
(RATCHET_PREFECT_API_URL) never gets it: the user's own variables log in there, and our server never gets those.
"""

import base64
import os
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import requests
from requests.auth import AuthBase, HTTPBasicAuth

from flows.project import environment, private_files
from flows.project.environment import Project
from pipelines.errors import IntegrityError

USER = "ratchet"
FORM = re.compile(rf"{USER}:[A-Za-z0-9_-]{{43}}")
PAGE = "/ratchet/login"  # of our server (flows/servers/login_page.py)
NEW = "Run `ratchet down`, delete the file, and run `ratchet up`: it makes a new one."


def path(project: Project) -> Path:
    return project.state / "prefect-login"


def ensure(project: Project) -> str:
    """The secret, "user:password"; the first caller makes it. Raises IntegrityError as `read` does."""
    if not path(project).exists():
        private_files.make(path(project), f"{USER}:{secrets.token_urlsafe(32)}")
    return read(path(project))


def read(file: Path) -> str:
    """The secret in a file. Raises IntegrityError if other users may read or write the file, or it holds no secret."""
    try:
        wrong = private_files.wrong(file)
        text = "" if wrong else file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise IntegrityError(f"The login of Prefect's server, {file}, cannot be read: {error}.", NEW) from error
    if wrong or not FORM.fullmatch(text):
        raise IntegrityError(
            f"The login of Prefect's server, {file}, {wrong or 'is not a login that `ratchet up` wrote'}.", NEW
        )
    return text


def header(secret: str) -> str:
    """The header `Authorization` of a request."""
    return f"Basic {base64.b64encode(secret.encode()).decode()}"


def settings(project: Project) -> dict[Any, Any]:
    """The settings of Prefect's clients in this process, for `temporary_settings`."""
    if project.prefect:
        return {}
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_KEY  # Prefect: slow to import

    return {PREFECT_API_AUTH_STRING: ensure(project), PREFECT_API_KEY: None}


def of_requests(project: Project, environ: Mapping[str, str] = os.environ) -> AuthBase:
    """The login for `requests`. Being explicit, it also keeps `requests` from using the user's .netrc."""
    secret, key = (environ.get(name, "") for name in environment.OF_PREFECT)
    if not project.prefect:
        secret = ensure(project)
    if secret:
        user, _, password = secret.partition(":")
        return HTTPBasicAuth(user.encode(), password.encode())
    return _Bearer(key)


class _Bearer(AuthBase):
    """A key of Prefect Cloud, or nothing."""

    def __init__(self, key: str):
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request


def page(project: Project, address: str) -> str:
    """The address that logs a browser in to our server's pages; "" without a secret, or for a team's server.

    The secret follows a #, which a browser keeps to itself. address: of the pages.
    """
    with suppress(IntegrityError):
        return "" if project.prefect else f"{address}{PAGE}#{read(path(project))}"
    return ""
