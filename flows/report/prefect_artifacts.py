"""What people read on the Prefect page of a run: its log, the data, the training, the decision, a link to MLflow."""

import contextvars
import json
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger

from flows.project.environment import Project
from flows.project.plain_words import many
from flows.records.epochs import Epoch
from flows.report import digits, progress
from flows.servers import lifecycle
from pipelines import visible_text
from pipelines.safety import markdown

LAST = 2.0  # seconds that the last movement waits for the one before
EVERY = 1.0  # seconds between two movements of a bar


class Logged(progress.Progress):
    """The progress of a run that Prefect has started: lines of its log, beside those that Prefect writes itself."""

    def __init__(self) -> None:
        self._detail = ""

    def detail(self, text: str) -> None:
        self._detail = text

    def end(self, name: str, state: str, seconds: float, note: str = "") -> None:
        if self._detail:
            self.notice(f"{name}: {self._detail}")
        self._detail = ""

    def notice(self, text: str) -> None:
        with suppress(MissingContextError):
            get_run_logger().info("%s", visible_text.line(text))


class Bar:
    """How far a training is, as a bar. Created at its first movement, so that a stage without training has none.

    Each movement has a thread of its own, and only one is under way: Prefect tries for minutes to reach a server that
    is gone, and training never waits for it.
    """

    def __init__(self, model: str):
        self._key, self._moved = f"{_key(model)}-training", 0.0
        self._bar: Any = None
        self._moving: threading.Thread | None = None
        self._away = False

    def move(self, epoch: Epoch, epochs: int) -> None:
        """To an epoch. What cannot be shown now is left out; after a failure nothing is shown any more."""
        done = 100 * epoch["epoch"] / epochs
        if self._away or (done < 100 and time.monotonic() - self._moved < EVERY):
            return
        if self._moving is not None and done >= 100:
            self._moving.join(LAST)
        if self._moving is not None and self._moving.is_alive():
            return
        self._moved = time.monotonic()
        here = contextvars.copy_context()  # by which Prefect knows the task
        arguments = (self._show, done, progress.told(epoch, epochs))
        self._moving = threading.Thread(target=here.run, args=arguments, name="bar", daemon=True)
        self._moving.start()

    def _show(self, done: float, told: Any) -> None:
        try:
            if self._bar is None:
                self._bar = create_progress_artifact(done, key=self._key, description=told)
            else:
                update_progress_artifact(self._bar, done, description=told)
        except Exception:
            self._away = True


def data(project: Project, model: str, refreshed: str) -> None:
    """The rules of `validate` and `check` and what they found, also those of a stage that failed. refreshed: what
    changed in the source."""
    folder, rules = project.data(model), []
    for stage in ("validation", "check"):
        rules += [_rule(stage, entry) for entry in _report(folder, stage).get("rules", [])]
    rows = _report(folder, "validation").get("rows")
    told = f"{model}: {'unknown rows' if rows is None else many(rows, 'row')}. {refreshed}"
    create_table_artifact(
        visible_text.every(rules) or [{"rule": "none declared"}],
        key=f"{_key(model)}-data",
        description=markdown.told(told),
    )


def page(model: str, found: Any) -> None:
    """Which rules the data broke, since when, and what can be done. found: of flows/report/failure_page.py."""
    create_markdown_artifact(found.markdown, key=f"{_key(model)}-page", description=markdown.told(found.title))


def _report(folder: Path, stage: str) -> dict[str, Any]:
    """Of the stage that failed, if it did; {} if it has not run."""
    for path in (folder / "failed" / f"{stage}.json", folder / f"{stage}.json"):
        if path.exists():
            return dict(json.loads(path.read_text(encoding="utf-8")))
    return {}


def _rule(stage: str, entry: dict[str, Any]) -> dict[str, Any]:
    """In the order of what a narrow page is to show first."""
    counted = entry.get("rows")
    return {
        "verdict": "pass" if entry["success"] else f"FAIL ({entry['level']})",
        "failing": f"{entry['failing']:,} of {entry['rows']:,}" if counted else f"found {entry.get('observed')}",
        "stage": stage,
        "rule": entry["rule"],
        "arguments": ", ".join(f"{name} {value}" for name, value in entry["arguments"].items()),
    }


def _key(model: str) -> str:
    return model.replace("_", "-")


def show(project: Project, model: str, made: Any, published: Any, answer: dict[str, Any]) -> None:
    """Artifacts keep a history under their key, so a key belongs to one model."""
    key = _key(model)
    looks = [
        {
            "looked at": look["what"],
            "verdict": look["verdict"],
            "gain": _interval(look),
            "rows": look["rows"],
            "what was found": look["said"],
        }
        for look in answer["looks"]
    ]
    told = markdown.told(f"{model}: {answer['decision']}: {answer['reason']}")
    create_table_artifact(visible_text.every(looks), key=f"{key}-gate", description=told)
    rows = [
        {"what": "decision", "value": answer["decision"]},
        {"what": "reason", "value": answer["reason"]},
        *([{"what": "next", "value": answer["next"]}] if "next" in answer else []),
        {"what": "version", "value": published.version},
        {"what": "champion", "value": answer["champion"]},
        *({"what": f"test {name}", "value": value} for name, value in made.metrics.items()),
        *({"what": f"{name} rows", "value": split["rows"]} for name, split in made.splits.items()),
    ]
    told = markdown.told(f"{model}: {answer['decision']}")
    create_table_artifact(visible_text.every(rows), key=f"{key}-decision", description=told)
    page = f"{lifecycle.address(project, 'mlflow')}/#/experiments/{published.experiment_id}/runs/{published.run_id}"
    told = markdown.told(f"{model}: version {published.version}, its metrics, figures and files")
    create_link_artifact(page, link_text=f"{model} in MLflow", key=f"{key}-mlflow", description=told)


def forms(model: str, answer: dict[str, Any]) -> None:
    """The smaller forms of a version and what was found about each. answer: of flows/compression/decide.py."""
    description = markdown.told(f"{model}: {answer['reason']}")
    create_table_artifact(visible_text.every(answer["forms"]), key=f"{_key(model)}-forms", description=description)


def _interval(look: dict[str, Any]) -> str:
    """The gain and its interval, or "" where no rows were compared."""
    if look["gain"] is None:
        return ""
    return digits.interval(look["gain"], look["low"], look["high"])
