"""Addresses of mail, Slack and others, as apprise has them: https://github.com/caronc/apprise

    RATCHET_ALERTS          addresses, parted by blanks
    <state>/alerts          the same, one a line; "#" begins a comment. Only its user may read it

An address holds a password or a token: no YAML, log or message has it. It is named by where it stands.
"""

import hashlib
import logging
from dataclasses import dataclass

from flows.project import environment, private_files
from flows.project.environment import Project

FILE = "alerts"


@dataclass(frozen=True)
class Address:
    """name: where it stands. secret: the address."""

    name: str
    secret: str

    @property
    def key(self) -> str:
        """By which its receiver is known from one time to the next."""
        return f"address {hashlib.sha256(self.secret.encode()).hexdigest()[:16]}"


def found(project: Project) -> tuple[list[Address], list[str]]:
    """The addresses, and what is wrong with the file that holds some."""
    ours = [Address(f"address {number} of RATCHET_ALERTS", one) for number, one in enumerate(environment.alerts(), 1)]
    path = project.state / FILE
    try:
        if wrong := private_files.wrong(path):
            return ours, [f"{path} {wrong}, so its addresses are not used: `chmod 600 {path}` repairs it"]
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return ours, []
    except (OSError, UnicodeDecodeError) as error:
        return ours, [f"{path} cannot be read: {type(error).__name__}"]
    kept = [(number, line.strip()) for number, line in enumerate(lines, 1)]
    filed = [Address(f"line {number} of {path}", one) for number, one in kept if one and not one.startswith("#")]
    return ours + filed, []


def send(address: Address, title: str, text: str) -> str:
    """Send a plain text. Returns why that failed, without the address, or ""."""
    from apprise import Apprise, AppriseAsset, NotifyFormat
    from apprise.common import PersistentStoreMode

    asset = AppriseAsset(
        app_id="Ratchet",
        app_desc="Ratchet",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        storage_mode=PersistentStoreMode.MEMORY,
        secure_logging=True,
    )
    logger = logging.getLogger("apprise")
    before, logger.disabled = logger.disabled, True  # it logs addresses
    try:
        there = Apprise(asset=asset)
        if not there.add(address.secret):
            return f"{address.name} is none that apprise knows"
        taken = there.notify(body=text, title=title, body_format=NotifyFormat.TEXT)
    except Exception as error:  # any error: what is told does not depend on who hears it
        return f"{address.name} failed: {type(error).__name__}"
    finally:
        logger.disabled = before
    return "" if taken else f"{address.name} failed: the message was not taken"
