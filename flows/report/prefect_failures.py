"""How a failed run looks in Prefect: its state says in a paragraph what happened, and its log has no traceback.

Only an error of pipelines/errors.py is shown so. Any other exception is a bug, and keeps its traceback.
"""

import logging
from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Failed

from pipelines import visible_text
from pipelines.errors import RatchetError

LOGGERS = ("prefect.flow_runs", "prefect.task_runs")
OWN_STATE = "Task run failed with state"  # Prefect's line about a state that `failed` has made: the next repeats it


def failed(error: RatchetError, refused: bool, headline: str = "") -> State[Any]:
    """The state of a task or flow that failed so; whoever asks for its result gets the error.

    refused: whether the same inputs would fail again. headline: of the page about it, said first.
    """
    said = visible_text.line(": ".join(filter(None, [headline, str(error)])))
    return Failed(name="Refused" if refused else "Failed", message=said, data=error)


class _Paragraph(logging.Filter):
    """Shows one of our errors as its paragraph."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and str(record.msg).startswith(OWN_STATE):
            return False
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if isinstance(error, RatchetError):
            record.msg, record.args = visible_text.line(str(error)), ()
            record.exc_info = record.exc_text = None
        return True


def without_tracebacks() -> None:
    """From now on Prefect's log of this process shows our errors as paragraphs."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(one, _Paragraph) for one in logger.filters):
            logger.addFilter(_Paragraph())
