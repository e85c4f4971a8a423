"""When each model runs next, by Prefect's server, which has worked out the next ticks of every schedule.

It is asked over HTTP at most once in AGAIN seconds: the times that it gives are of the next hours and days.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import requests

from flows.project.environment import Project
from flows.servers import lifecycle, prefect_login

AGAIN = timedelta(seconds=30)
PAGE = 200  # runs in one answer, which is the most that Prefect gives
MOST_PAGES = 20
SECONDS = 2  # for an answer: a page must not wait for a server that hangs


@dataclass
class Coming:
    """What was asked last, and when."""

    asked: datetime | None = None
    found: dict[str, str] = field(default_factory=dict)

    def of(self, project: Project, now: datetime) -> dict[str, str]:
        """The instant of each model's next run; {} where nobody knows."""
        if self.asked is None or not timedelta(0) <= now - self.asked < AGAIN:
            self.found, self.asked = ask(project), now
        return self.found


def ask(project: Project) -> dict[str, str]:
    running = {} if project.prefect else lifecycle.recorded(project)
    if not project.prefect and "prefect" not in running:
        return {}
    wanted = {"tags": {"all_": [project.clone]}, "state": {"type": {"any_": ["SCHEDULED"]}}}
    body: dict[str, Any] = {"flow_runs": wanted, "sort": "NEXT_SCHEDULED_START_TIME_ASC", "limit": PAGE}
    found: dict[str, str] = {}
    try:
        api, login = project.prefect or running["prefect"].api, prefect_login.of_requests(project)
        for page in range(MOST_PAGES):
            asked = body | {"offset": page * PAGE}
            runs = requests.post(f"{api}/flow_runs/filter", json=asked, auth=login, timeout=SECONDS).json()
            for run in runs:
                found.setdefault(run["parameters"].get("model", ""), run["next_scheduled_start_time"])
            if len(runs) < PAGE:
                break
    except (requests.RequestException, ValueError, KeyError, TypeError):  # also an answer that is an error object
        return found
    return found
