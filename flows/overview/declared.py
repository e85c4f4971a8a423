"""What the overview needs of a model's YAML. The rest of the file is checked by the commands, not here."""

from dataclasses import dataclass

from pipelines.config import settings
from pipelines.errors import RatchetError
from pipelines.model.metrics import METRICS
from pipelines.sections.promote import Promote
from pipelines.sections.schedule import Schedule


@dataclass(frozen=True)
class Declared:
    """metric, margin: of `promote`. schedule: in words, "" without one. problem: what is wrong with the file."""

    metric: str = ""
    greater_is_better: bool = True
    margin: float = 0.0
    schedule: str = ""
    problem: str = ""


def of(model: str) -> Declared:
    """Never raises for a broken file: it is one of the things that the overview says."""
    try:
        content = settings.read(model)
        rules = settings.parse(model, "promote", content.get("promote"), Promote)
        ticks = settings.parse(model, "schedule", content.get("schedule"), Schedule)
    except RatchetError as error:
        return Declared(problem=error.what)
    greater = METRICS[rules.metric].greater_is_better if rules.metric in METRICS else True
    return Declared(rules.metric, greater, rules.margin, ticks.words)
