"""Whether smaller forms wait for a judgement. It needs no registry, so that a command can ask before a run begins."""

import hashlib
import json
from typing import Any

from flows.compression.variants import Made
from flows.records.champion_state import Standing
from pipelines.model_file import Declaration


def rules(declared: Declaration) -> dict[str, Any]:
    """The section `compress`, with its defaults."""
    section = declared.sections.get("compress")
    return section.model_dump() if section else {}


def answers(standing: Standing, number: int) -> bool:
    """Whether a version is champion, or on trial beside it."""
    candidate = standing.trials.candidate
    return number == standing.champion or (candidate is not None and number == candidate.version)


def key(made: Made, declared: Declaration, test_hash: str, standing: Standing) -> str:
    """By which a decision is known again. It needs no registry, so that a command can ask before it begins."""
    sections = [rules(declared), declared.promote.model_dump()]
    about = [made.hash, made.model_hash, test_hash, sections, standing.reference]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def of(made: Made | None, declared: Declaration, test_hash: str, standing: Standing, number: int) -> bool:
    """Whether forms of a version wait for a judgement. made: what the stage has made of it."""
    if made is None or not answers(standing, number):
        return False
    line = standing.forms.get(number)
    if not made.asked and not (line and line.facts.get("served_as")):
        return False
    return line is None or line.decision_key != key(made, declared, test_hash, standing)
